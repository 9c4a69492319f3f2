"""A clip is judged on the very features that the model was trained on, however these were taken."""

import csv
from pathlib import Path

import pytest

from trisent.checkpoint import load_bundle
from trisent.data.formats.npz import write
from trisent.data.pooling import pool
from trisent.data.readers import read
from trisent.errors import DataError
from trisent.features.extract import extract
from trisent.predictor import Predictor
from trisent.runs.source import fitted_to
from trisent.training import TrainConfig, train
from unit.features.corpus import settings

NOT_SPEECH = {"audio": "none"}  # the corpus holds tones, and of what is no speech nothing is judged
CONFIG = TrainConfig(epochs=3, lr=1e-2, device="cpu")
MODEL = {"hidden": 8, "heads": 2}
OPTIONS = [{"fps": 5.0}, {"rate_hz": 3.0}, {"fps": 6.0, "rate_hz": 4.0, "text": "none"}, {"frames": "full"}]


def judged_at_the_end_of_training(run: Path, utterance: str) -> float:
    with (run / "predictions-valid.csv").open(newline="", encoding="utf-8") as file:
        return next(float(row["prediction"]) for row in csv.DictReader(file) if row["id"] == utterance)


def judged_from_the_file(run: Path, clip: Path, text: str, folder: Path) -> float:
    words = folder / "words.srt"
    words.write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n", encoding="utf-8")  # the whole clip
    [prediction] = Predictor.from_bundle(run, device="cpu").predict(clip, text=str(words)).predictions
    return prediction.judgement.sentiment


@pytest.fixture(autouse=True)
def _encoders_in_models(named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(Path(named["text"].removeprefix("bert:")).parent)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_bundle_judges_a_clip_of_its_training_as_training_did(
    clips: Path, named: dict[str, str], tmp_path: Path, options: dict[str, object]
) -> None:
    features = extract([clips], tmp_path / "features", settings(named | NOT_SPEECH, dtype="fp32", **options)).out
    train(features, out=tmp_path / "run", config=CONFIG, model="gated", model_config=MODEL)
    file = clips / "Raw" / "video 0" / "0001.mp4"
    expected = judged_at_the_end_of_training(tmp_path / "run", "video 0$_$0001")
    assert judged_from_the_file(tmp_path / "run", file, "a bad film", tmp_path) == pytest.approx(expected, abs=1e-4)


def test_a_model_of_averaged_features_is_given_averaged_features(
    clips: Path, named: dict[str, str], tmp_path: Path
) -> None:
    features = extract([clips], tmp_path / "features", settings(named | NOT_SPEECH, dtype="fp32")).out
    write(pool(read(features)), tmp_path / "averaged")
    train(tmp_path / "averaged", out=tmp_path / "run", config=CONFIG, model="gated", model_config=MODEL)
    file = clips / "Raw" / "video 0" / "0001.mp4"
    expected = judged_at_the_end_of_training(tmp_path / "run", "video 0$_$0001")
    assert judged_from_the_file(tmp_path / "run", file, "a bad film", tmp_path) == pytest.approx(expected, abs=1e-4)


def test_features_taken_at_another_rate_are_not_evaluated(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    for rate_hz in (2.0, 5.0):
        extract([clips], tmp_path / f"{rate_hz}", settings(named, rate_hz=rate_hz))
    train(tmp_path / "2.0", out=tmp_path / "run", config=CONFIG)
    with pytest.raises(DataError, match=r"5 steps a second.*trained on.*2 steps a second.*trisent extract"):
        fitted_to(load_bundle(tmp_path / "run")[0], read(tmp_path / "5.0"), split="valid")
