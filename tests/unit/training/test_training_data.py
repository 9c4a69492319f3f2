"""Training on data of every format: what is refused, what the bundle keeps, and that cleaning is repeated."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from trisent.checkpoint import load_bundle
from trisent.data.batching import Examples
from trisent.data.cleaning import CleaningOptions, cleaning_file, fit_cleaning
from trisent.data.dataset import Dataset, Sequences
from trisent.data.readers import read, write
from trisent.data.resplit import split_digest
from trisent.errors import BundleError, DataError, UsageError
from trisent.training import evaluate, train
from trisent.training.finetune import Finetune
from trisent.types import Provenance
from unit.training.test_training import DIMS, config, write_folder


def test_the_bundle_tells_which_data_and_which_split_it_was_trained_on(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    first = train(data, out=tmp_path / "a", config=config(epochs=1)).bundle.data
    again = train(data, out=tmp_path / "b", config=config(epochs=1)).bundle.data
    assert first == again
    for file in ("val.npz", "test.npz"):  # the same utterances, others in valid
        (data / file).rename(data / f"{file}.was")
    (data / "val.npz.was").rename(data / "test.npz")
    (data / "test.npz.was").rename(data / "val.npz")
    other = train(data, out=tmp_path / "c", config=config(epochs=1)).bundle.data
    assert other["sha256"] != first["sha256"]
    assert len({first["sha256"], first["split_sha256"]}) == 2


def test_what_cleaning_leaves_out_is_in_the_bundle_and_the_model_takes_what_is_left(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    with np.load(data / "train.npz") as file:
        arrays = dict(file)
    arrays["audio_features"][:, 2] = -np.inf
    np.savez(data / "train.npz", **arrays)
    train(data, out=tmp_path / "run", config=config(epochs=1))
    bundle, fusion = load_bundle(tmp_path / "run")
    assert bundle.cleaning is not None
    assert bundle.cleaning.columns["audio"].dropped == {"bad": (2,)}
    assert (bundle.data["widths"]["audio"], fusion.dims["audio"]) == (6, 5)


def test_a_model_of_data_that_were_cleaned_when_converted_does_not_claim_to_judge_videos(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data, draw = tmp_path / "data", np.random.default_rng(0)
    data.mkdir()
    for name in ("train", "val", "test"):  # of widths by which the preset is known otherwise
        rows = {f"{m}_features": draw.normal(size=(8, d)) for m, d in (("text", 768), ("audio", 768), ("video", 2048))}
        np.savez(data / f"{name}.npz", **rows, labels=draw.uniform(-3, 3, 8))
    assert train(data, out=tmp_path / "a", config=config(epochs=1)).bundle.preset == "pretrained"
    cleaning = fit_cleaning(read(data), CleaningOptions(drop_constant=False))
    write(cleaning.apply(read(data)), tmp_path / "clean", format="npz")
    cleaning_file(tmp_path / "clean").write_text("{}")
    with caplog.at_level(logging.WARNING, "trisent"):
        bundle = train(tmp_path / "clean", out=tmp_path / "b", config=config(epochs=1)).bundle
    assert (bundle.preset, bundle.extractors) == (None, None)
    assert "train on the data as they were, with --clean" in caplog.text
    with pytest.raises(UsageError, match="cannot judge a video"):
        train(tmp_path / "clean", out=tmp_path / "c", config=config(epochs=1), preset="pretrained")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"label.csv": "video_id,clip_id,text,label,mode\nv,1,hello,1.0,train\n"}, "labels and no features"),
        ({"nothing.xyz": ""}, "no data set that trisent reads"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_the_next_command(tmp_path: Path, files: dict[str, str], words: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"{words}[\s\S]*trisent"):
        train(tmp_path, out=tmp_path / "run", config=config())


def write_store_of(data: Dataset, folder: Path) -> Path:
    write(data, folder, format="store")
    return folder


def sequences_of(n: int, *, seed: int = 0, bad: int | None = None) -> Dataset:
    """Make utterances of 1 to 6 steps whose first text column tells the sentiment; some have no video."""
    random = np.random.default_rng(seed)
    labels = random.uniform(-3, 3, n).astype(np.float32)
    features = {}
    for m, dim in DIMS.items():
        steps = random.integers(0 if m == "video" else 1, 7, n)
        values = random.standard_normal((int(steps.sum()), dim)).astype(np.float32)
        if m == "text":
            values[:, 0] += np.repeat(labels, steps)
        offsets = np.concatenate([[0], np.cumsum(steps)])
        features[m] = Sequences(values, offsets, np.zeros(len(values), np.float32), np.ones(len(values), np.bool_))
    splits = tuple(("train", "train", "valid", "test")[i % 4] for i in range(n))
    known = Provenance("bert", "minilm-l6", "ab" * 32, (3, 6), "WordPiece")
    ids = tuple(f"v{i}" for i in range(n))
    if bad is not None:
        labels[bad] = np.nan
    return Dataset("made up", "", ids, splits, {"sentiment": labels}, features, provenance={"text": known})


def test_a_feature_store_trains_and_the_bundle_knows_whose_extractors_made_it(tmp_path: Path):
    folder = write_store_of(sequences_of(160), tmp_path / "store")
    result = train(folder, out=tmp_path / "run", config=config(epochs=30, patience=30), model_config={"hidden": 16})
    bundle, _ = load_bundle(tmp_path / "run")
    assert bundle.preset == "embedded"
    assert bundle.extractors is not None
    assert bundle.extractors["text"].weights == "minilm-l6"
    assert (bundle.data["format"], bundle.data["rows"]) == ("store", {"train": 80, "valid": 40, "test": 40})
    assert result.bundle.scores["valid"].corr > 0.7


def test_labels_of_sims_are_learnt_stretched_and_judged_on_their_own_scale(tmp_path: Path):
    told = {}
    for name, factor in (("sims", 1), ("mosei", 3)):
        data = sequences_of(80)
        labels = np.rint(data.sentiment * 5 / 3).astype(np.float32) / np.float32(5) * np.float32(factor)
        store = write_store_of(replace(data, labels={"sentiment": labels}), tmp_path / name)
        train(
            store, out=tmp_path / f"run {name}", config=config(), model="gated", model_config={"hidden": 8, "heads": 2}
        )
        told[name] = np.genfromtxt(tmp_path / f"run {name}" / "predictions-valid.csv", delimiter=",", skip_header=1)
    assert load_bundle(tmp_path / "run sims")[0].data["scale"] == [-1.0, 1.0]
    sentiment, probabilities = slice(2, 3), slice(3, 10)
    np.testing.assert_allclose(told["sims"][:, sentiment] * 3, told["mosei"][:, sentiment], atol=1e-5)
    np.testing.assert_allclose(told["sims"][:, probabilities], told["mosei"][:, probabilities], atol=1e-5)


def test_an_utterance_without_sentiment_is_left_out_as_if_it_were_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = sequences_of(40, bad=4)
    with caplog.at_level(logging.WARNING):
        result = train(write_store_of(data, tmp_path / "store"), out=tmp_path / "run", config=config())
    without = data.take(np.delete(np.arange(40), 4))
    expected = train(write_store_of(without, tmp_path / "other"), out=tmp_path / "expected", config=config())
    assert result.bundle.scores == expected.bundle.scores
    assert result.bundle.data["rows"] == {"train": 19, "valid": 10, "test": 10}
    assert result.bundle.data["split_sha256"] == split_digest(data)
    assert "1 of 20 utterances of train have no sentiment and are left out (v4)" in caplog.text


def test_training_with_cleaning_leaves_out_a_modality_that_is_the_same_everywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = sequences_of(40)
    audio = data.features["audio"]
    blank = replace(data, features={**data.features, "audio": replace(audio, values=np.zeros_like(audio.values))})
    with caplog.at_level(logging.WARNING):
        train(
            write_store_of(blank, tmp_path / "store"),
            out=tmp_path / "run",
            config=config(epochs=1),
            cleaning=CleaningOptions(),
        )
    bundle, _ = load_bundle(tmp_path / "run")
    assert bundle.model_config["dims"] == {m: d for m, d in DIMS.items() if m != "audio"}
    assert "columns are left out, never changing" in caplog.text
    assert "audio is left out" in caplog.text


def test_labels_beyond_the_scale_are_told_before_anything_is_learned(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    data = sequences_of(40)
    data.labels["sentiment"][:] = np.clip(data.sentiment, -2.9, 2.9)
    data.labels["sentiment"][[0, 2, 3]] = [-70, 5, 100]  # in train, in valid, and in test, which is not looked at
    with caplog.at_level(logging.WARNING):
        train(write_store_of(data, tmp_path / "store"), out=tmp_path / "run", config=config(epochs=1))
    assert "2 of 30 labels lie outside [-3, 3], the farthest is -70" in caplog.text


def test_a_split_in_which_nobody_has_judged_anything_stops_training_before_it_begins(tmp_path: Path):
    data = sequences_of(40)
    data.labels["sentiment"][data.index("valid")] = np.nan
    with pytest.raises(
        DataError, match=r"none of the 10 utterances of valid has a sentiment \(v2, .*trisent data audit"
    ):
        train(write_store_of(data, tmp_path / "store"), out=tmp_path / "run", config=config())
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_a_valid_split_is_refused_and_one_without_test_is_not(tmp_path: Path):
    data = sequences_of(40)
    untested = replace(data, splits=tuple({"test": ""}.get(s, s) for s in data.splits))
    unvalidated = replace(data, splits=tuple({"valid": ""}.get(s, s) for s in data.splits))
    scored = train(
        write_store_of(untested, tmp_path / "a"), out=tmp_path / "run", config=config(epochs=1)
    ).bundle.scores
    assert [*scored] == ["valid"]
    with pytest.raises(DataError, match=r"there are train 20, valid 0, test 10.*trisent data split"):
        train(write_store_of(unvalidated, tmp_path / "b"), out=tmp_path / "run", config=config())


def test_a_bundle_trained_on_cleaned_features_cleans_what_it_judges(tmp_path: Path):
    data = sequences_of(80)
    folder = write_store_of(data, tmp_path / "store")
    train(folder, out=tmp_path / "run", config=config(epochs=2), cleaning=CleaningOptions())
    bundle, fusion = load_bundle(tmp_path / "run")
    assert bundle.cleaning is not None
    assert bundle.cleaning == fit_cleaning(read(folder))
    judged = Examples(data, data.index("valid"), cleaning=bundle.cleaning)
    assert evaluate(fusion, judged) == bundle.scores["valid"]
    assert evaluate(fusion, Examples(data, data.index("valid"))) != bundle.scores["valid"]


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_bundle_whose_cleaning_is_damaged_is_refused(tmp_path: Path, damage: str):
    train(
        write_store_of(sequences_of(40), tmp_path / "s"),
        out=tmp_path,
        config=config(epochs=1),
        cleaning=CleaningOptions(),
    )
    path = tmp_path / "cleaning.json"
    path.unlink() if damage == "missing" else path.write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"cleaning\.json is damaged or belongs to another bundle"):
        load_bundle(tmp_path)


def hide(file: Path, *modalities: str) -> None:
    """Make the features of these modalities unknown in all utterances of a file."""
    arrays = dict(np.load(file))
    for m in modalities:
        arrays[f"{m}_features"] = np.full_like(arrays[f"{m}_features"], np.nan)
    np.savez(file, **arrays)


def test_a_modality_that_train_never_has_is_left_out_rather_than_judged_by_weights_that_never_learnt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = write_folder(tmp_path / "data")
    hide(data / "train.npz", "audio")
    result = train(data, out=tmp_path / "run", config=config(epochs=1))
    assert set(result.bundle.model_config["dims"]) == {"text", "video"}
    assert "audio is left out: no utterance of train has any" in caplog.text
    bundle, model = load_bundle(tmp_path / "run")
    whole = read(data)
    index = whole.index("valid")
    again = evaluate(model, Examples(whole, index, cleaning=bundle.cleaning))
    assert again.mae == pytest.approx(result.bundle.scores["valid"].mae, abs=1e-6)
    hide(data / "train.npz", "text", "video")
    with pytest.raises(DataError, match=r"train has no features that can be used.*trisent data audit"):
        train(data, out=tmp_path / "other", config=config(epochs=1))


def test_two_trainings_into_one_folder_do_not_write_over_each_other(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    train(data, out=tmp_path / "run", config=config(epochs=1))
    before = (tmp_path / "run/bundle.json").read_bytes()
    with FileLock(tmp_path / "run/.lock"), pytest.raises(UsageError, match=r"another training is at work there.*--out"):
        train(data, out=tmp_path / "run", config=config(epochs=2))
    assert (tmp_path / "run/bundle.json").read_bytes() == before
    assert len(train(data, out=tmp_path / "run", config=config(epochs=2)).history.epochs) == 2


def test_valid_without_anything_to_see_stops_training_and_without_one_modality_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = write_folder(tmp_path / "data")
    hide(data / "val.npz", "audio")
    train(data, out=tmp_path / "run", config=config(epochs=1))
    assert "audio: no utterance of valid has any that can be used" in caplog.text
    hide(data / "val.npz", "text", "video")
    with pytest.raises(DataError, match=r"valid has no features that can be used.*trisent data audit"):
        train(data, out=tmp_path / "other", config=config(epochs=1))


@pytest.mark.parametrize("modalities", [("text",), ("video", "text")])
def test_learning_from_some_modalities_is_learning_as_if_the_others_were_not_there(
    tmp_path: Path, modalities: tuple[str, ...]
):
    whole, some = write_folder(tmp_path / "whole"), write_folder(tmp_path / "some")
    for name in ("train.npz", "val.npz", "test.npz"):
        arrays = dict(np.load(some / name))
        np.savez(some / name, **{k: v for k, v in arrays.items() if k == "labels" or k.split("_")[0] in modalities})
    one = train(whole, out=tmp_path / "a", config=config(epochs=2), modalities=modalities)
    other = train(some, out=tmp_path / "b", config=config(epochs=2))
    assert list(one.bundle.model_config["dims"]) == [m for m in ("text", "audio", "video") if m in modalities]
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in "ab"]
    assert weights[0] == weights[1]
    all_of_it = train(whole, out=tmp_path / "c", config=config(epochs=1))
    assert one.bundle.data["sha256"] == all_of_it.bundle.data["sha256"]  # the two compare
    assert one.bundle.scores == other.bundle.scores


def test_modalities_that_are_none_or_not_there_are_refused(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    for wrong, words in (
        (["sound"], "modalities must be some of text, audio, video, got sound"),
        ([], "must be some of"),
    ):
        with pytest.raises(UsageError, match=words):
            train(data, out=tmp_path / "run", config=config(epochs=1), modalities=wrong)
    for name in ("train.npz", "val.npz", "test.npz"):
        arrays = dict(np.load(data / name))
        del arrays["audio_features"]
        np.savez(data / name, **arrays)
    with pytest.raises(UsageError, match="data has no audio features; there are text, video"):
        train(data, out=tmp_path / "run", config=config(epochs=1), modalities=["audio"])
    with pytest.raises(UsageError, match="text must be among the modalities"):
        train(data, out=tmp_path / "run", config=config(epochs=1), modalities=["video"], finetune=Finetune())
