"""`trisent predict` on what people bring: good files, broken files, and files that lack something."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from commands.conftest import Run
from media_files import greys, one_sentence, write
from trisent.report import SCHEMA
from trisent.samples import TALK
from unit.extractors import tiny

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("embedded_weights")]


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video in which somebody speaks."""
    return one_sentence(tmp_path_factory.mktemp("sentence") / "sentence.mp4")


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return found


def test_given_text_replaces_recognition(trisent: Run, sentence: Path) -> None:
    done = trisent("predict", sentence, "--json", "--text", "I hated it. I loved it.")
    assert done.returncode == 0, done.stderr
    utterances = document(done)["videos"][0]["utterances"]
    assert [u["text"] for u in utterances] == ["I hated it.", "I loved it."]
    assert utterances[0]["sentiment"] < utterances[1]["sentiment"]


def test_subtitles_bring_their_own_times(trisent: Run, tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text(
        "1\n00:00:01,000 --> 00:00:03,500\nFine.\n\n2\n00:00:04,000 --> 00:00:08,000\nBad.\n"
    )
    done = trisent("predict", TALK, "--json", "--text", "talk.srt")
    utterances = document(done)["videos"][0]["utterances"]
    assert [(u["start_s"], u["end_s"], u["text"]) for u in utterances] == [(1.0, 3.5, "Fine."), (4.0, 8.0, "Bad.")]


def test_one_text_for_two_videos_is_wrong_use(trisent: Run) -> None:
    done = trisent("predict", TALK, TALK, "--text", "hello")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_broken_file_is_one_line_and_the_others_are_judged(trisent: Run, tmp_path: Path, sentence: Path) -> None:
    (tmp_path / "notes.mp4").write_text("these are my notes")
    done = trisent("predict", "notes.mp4", sentence, "missing.mp4", "--json", "--out", "out")
    assert done.returncode == 1
    found = document(done)
    assert [Path(v["path"]).name for v in found["videos"]] == ["sentence.mp4"]
    assert [f["path"] for f in found["failed"]] == ["notes.mp4", "missing.mp4"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 2
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out/predictions.json").read_text(encoding="utf-8")) == found
    assert (tmp_path / "out/report.html").is_file()


def test_a_name_in_an_old_encoding_of_china_comes_back_as_it_was(trisent: Run, tmp_path: Path) -> None:
    name = os.fsdecode("我的.mp4".encode("gb18030"))
    write(tmp_path / name, pictures=greys(5))
    done = trisent("predict", name, "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert document(done)["videos"][0]["path"] == name
    assert json.loads((tmp_path / "out/predictions.json").read_bytes()) == document(done)
    assert "<h2>" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_pretrained_without_a_bundle_says_how_to_get_one(trisent: Run) -> None:
    done = trisent("predict", TALK, "--preset", "pretrained")
    assert done.returncode == 2
    assert "trisent train" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["predict"], 2, "trisent predict --help"),
        (["predict", TALK, "--preset", "nonsense"], 2, "embedded"),
        (["predict", TALK, "--bundle", "nowhere"], 1, "nowhere"),
        (["predict", TALK, "--text", "absent.txt"], 2, "absent.txt"),
        (["predict", TALK, "--device", "abacus"], 2, "abacus"),
        (["predict", TALK, "--out", TALK], 1, "talk.mp4: File exists"),
        (["judge"], 2, "judge"),
        (["--lang", "xx", "demo"], 2, "xx"),
    ],
)
def test_wrong_use_is_one_line_with_the_right_exit_code(
    trisent: Run, words: list[object], code: int, says: str
) -> None:
    done = trisent(*words)
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert says in lines[0]
    assert done.stdout == ""


def write_features(folder: Path, dims: dict[str, int]) -> None:
    """Write made-up features of the embedded preset's widths in the guide's format."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, n in (("train", 64), ("val", 16), ("test", 16)):
        labels = random.integers(0, 7, n)
        arrays = {f"{m}_features": random.normal(labels[:, None] - 3, 1, (n, d)) for m, d in dims.items()}
        np.savez(folder / f"{split}.npz", **{k: v.astype(np.float32) for k, v in arrays.items()}, labels=labels)
    (folder / "features.json").write_text('{"synthetic": true, "preset": "embedded"}')


def test_a_model_one_trained_judges_ones_own_video(trisent: Run, tmp_path: Path, sentence: Path) -> None:
    write_features(tmp_path / "data", {"text": 768, "audio": 768, "video": 1415})
    trained = trisent("train", "data", "--epochs", 2, "--lr", "1e-3", "--out", "bundle", "--device", "cpu")
    assert trained.returncode == 0, trained.stderr
    done = trisent("predict", sentence, "--bundle", "bundle", "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["bundle"]["model"] == "concat"
    assert "synthetic data" in done.stderr


def test_the_preset_pretrained_goes_the_whole_way_with_weights_placed_by_hand(
    trisent: Run, tmp_path: Path, sentence: Path
) -> None:
    tiny.bert(tmp_path / "models" / "bert-base-uncased")
    tiny.wav2vec(tmp_path / "models" / "wav2vec2-base")
    tiny.resnet(tmp_path / "models" / "resnet50")
    write_features(tmp_path / "data", {"text": 16, "audio": 16, "video": 256})
    (tmp_path / "data" / "features.json").unlink()
    trained = trisent("train", "data", "--epochs", 1, "--out", "bundle", "--device", "cpu", "--preset", "pretrained")
    assert trained.returncode == 0, trained.stderr
    done = trisent("predict", sentence, "--bundle", "bundle", "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["bundle"]["weights"]["text"]["name"] == "bert-base-uncased"


def test_a_bundle_that_does_not_know_its_extractors_asks_for_the_preset(
    trisent: Run, tmp_path: Path, sentence: Path
) -> None:
    write_features(tmp_path / "data", {"text": 768, "audio": 768, "video": 1415})
    (tmp_path / "data" / "features.json").unlink()
    assert trisent("train", "data", "--epochs", 1, "--out", "bundle", "--device", "cpu").returncode == 0
    refused = trisent("predict", sentence, "--bundle", "bundle")
    assert refused.returncode == 1
    assert "--preset" in refused.stderr
    assert trisent("predict", sentence, "--bundle", "bundle", "--preset", "embedded").returncode == 0


def test_features_of_other_widths_are_refused_by_name(trisent: Run, tmp_path: Path, sentence: Path) -> None:
    write_features(tmp_path / "data", {"text": 768, "audio": 384, "video": 1415})
    assert trisent("train", "data", "--epochs", 1, "--out", "bundle", "--device", "cpu").returncode == 0
    done = trisent("predict", sentence, "--bundle", "bundle")
    assert done.returncode == 1
    assert "384" in done.stderr
    assert "audio" in done.stderr
