"""MMSA's pickles: read as MMSA and MMSA-FET write them, and written as MMSA's loader wants them."""

import importlib.util
import pickle
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trisent.data.dataset import Dataset, Sequences, sequences
from trisent.data.formats import mmsa
from trisent.data.safe_pickle import UnsafePickleError, load
from trisent.errors import DataError
from trisent.types import Features, Provenance
from unit.data.field_files import STEPS, VIDEOS, check, padded, sentiment, unaligned, write


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_unaligned_features_are_read_without_their_padding(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "unaligned_50.pkl", {s: unaligned(s) for s in VIDEOS}, protocol=protocol)
    assert mmsa.recognises(path)
    dataset = mmsa.read(path)
    for key, modality in (("text", "text"), ("audio", "audio"), ("vision", "video")):
        check(dataset, key, modality)
    assert dataset.ids == ("a$_$0", "a$_$1", "b$_$2", "c$_$0", "c$_$1", "-d_$$_$0", "e$_$1")
    assert dataset.videos == ("a", "a", "b", "c", "c", "-d_$", "e")
    assert dataset.splits == ("train",) * 3 + ("valid",) * 2 + ("test",) * 2
    assert dataset.texts[1] == "words train 1"
    np.testing.assert_array_equal(dataset.sentiment, np.concatenate([sentiment(s) for s in VIDEOS]))
    assert (dataset.name, dataset.format, dataset.scale) == ("unaligned_50", "mmsa", (-3.0, 3.0))
    said = " ".join(dataset.notes)
    assert "audio: lengths are those of audio_lengths" in said
    assert "text: lengths are those of the attention mask" in said
    assert "annotations, classification_labels: not kept" in said
    assert "audio: kept with half the digits" in said


def test_aligned_features_are_as_long_as_the_attention_mask(tmp_path: Path) -> None:
    content = {}
    for split in VIDEOS:
        content[split] = {k: v for k, v in unaligned(split).items() if not k.endswith("_lengths")}
        for key in ("audio", "vision"):
            content[split][key] = padded(split, key, steps=9)
            content[split][key][0, 4:] = 0  # the last steps of the first utterance are silent, and yet its own
    dataset = mmsa.read(write(tmp_path / "aligned_50.pkl", content))
    for modality in ("text", "audio", "video"):
        assert dataset.features[modality].lengths[:2].tolist()[0] == STEPS["text"][0]  # type: ignore[index]
    check(dataset, "text", "text")
    # audio is longer than its mask says in the third utterance: what is not zero is kept
    assert dataset.features["audio"].lengths[2] == STEPS["audio"][2]
    assert "beyond" in " ".join(dataset.notes)


def test_sims_is_judged_by_modality_and_goes_from_minus_one_to_one(tmp_path: Path) -> None:
    content = {s: unaligned(s) for s in VIDEOS}
    for split in content.values():
        split["regression_labels"] = split["regression_labels"] / 3
        for letter, value in zip("TAV", (0.2, -0.4, 1.0), strict=True):
            split[f"regression_labels_{letter}"] = np.full(len(split["id"]), value, np.float32)
    dataset = mmsa.read(write(tmp_path / "unaligned_39.pkl", content))
    assert dataset.scale == (-1.0, 1.0)
    assert {name: round(float(values[0]), 3) for name, values in dataset.labels.items()} == {
        "sentiment": -1.0, "text": 0.2, "audio": -0.4, "video": 1.0,
    }  # fmt: skip


def test_what_mmsa_fet_wrote_is_read_without_what_it_left_out(tmp_path: Path) -> None:
    """FET: everything an array, float64, config and align on top, absent modalities without a key, padding in front."""
    content: dict[str, Any] = {"config": {"audio": {"tool": "librosa"}}, "align": None}
    for split, videos in VIDEOS.items():
        n = len(videos)
        content[split] = {
            "id": np.array([f"{video}$_${i}" for i, video in enumerate(videos)]),
            "audio": padded(split, "audio", steps=11, front=True, dtype="f8"),
            "audio_lengths": np.array(STEPS["audio"][:n]),
            "raw_text": np.array(["said"] * n),
            "annotations": np.array([None] * n),
            "regression_labels": sentiment(split).astype(np.float64),
        }
    dataset = mmsa.read(write(tmp_path / "feature.pkl", content, protocol=5))
    assert list(dataset.features) == ["audio"]
    check(dataset, "audio", "audio")
    assert "padded in front" in " ".join(dataset.notes)
    assert "librosa" in " ".join(dataset.notes)


def test_infinity_and_nan_are_kept_for_the_audit_to_find(tmp_path: Path) -> None:
    content = {s: unaligned(s) for s in VIDEOS}
    content["train"]["audio"][0, 0] = [-np.inf, np.nan, 1e300]
    got = mmsa.read(write(tmp_path / "a.pkl", content)).features["audio"].of(0).values[0]
    np.testing.assert_array_equal(got, np.array([-np.inf, np.nan, np.inf], np.float32))


def test_lengths_that_lie_do_not_cut_anything_off(tmp_path: Path) -> None:
    content = {s: unaligned(s) for s in VIDEOS}
    content["train"]["audio_lengths"] = [1, 99, 6]
    dataset = mmsa.read(write(tmp_path / "a.pkl", content))
    assert dataset.features["audio"].lengths[:3].tolist() == [7, 12, 6]
    assert any("audio" in note and "1 utterances" in note and "beyond" in note for note in dataset.notes)


def test_lengths_that_no_array_has_are_told_and_halves_are_refused(tmp_path: Path) -> None:
    content = {split: unaligned(split) for split in VIDEOS}
    content["train"]["audio_lengths"][0] = 999
    dataset = mmsa.read(write(tmp_path / "mosi.pkl", content))
    assert dataset.features["audio"].lengths[0] == 12
    assert "audio: lengths are those of audio_lengths; 1 utterances have fewer rows than that" in dataset.notes
    content["train"]["audio_lengths"][0] = 6.5
    with pytest.raises(DataError, match="audio_lengths must be whole numbers"):
        mmsa.read(write(tmp_path / "half.pkl", content))


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float64("nan")])
def test_a_text_that_is_nothing_is_empty(tmp_path: Path, nothing: object) -> None:
    content = {split: unaligned(split) for split in VIDEOS}
    content["train"]["raw_text"][1] = nothing  # what pandas makes of an empty cell
    assert mmsa.read(write(tmp_path / "mosi.pkl", content)).texts[:3] == ("words train 0", "", "words train 2")


def test_an_id_that_comes_again_gets_a_number(tmp_path: Path) -> None:
    content = {s: unaligned(s) for s in VIDEOS}
    content["test"]["id"] = content["train"]["id"][:2]
    dataset = mmsa.read(write(tmp_path / "a.pkl", content))
    assert dataset.ids[-2:] == ("a$_$0#2", "a$_$1#2")
    assert any("2 utterances have the id of another" in note for note in dataset.notes)


def test_a_hostile_file_is_refused_with_its_name(tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return eval, ("1",)

    path = write(tmp_path / "mosei.pkl", {"train": Call()})
    assert mmsa.recognises(path)  # so that reading says what is wrong
    with pytest.raises(UnsafePickleError, match=r"mosei\.pkl asks for builtins\.eval"):
        mmsa.read(path)


def test_a_table_that_begins_and_ends_like_a_pickle_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "label.tsv"
    path.write_text("clip_id\ttext\n1\tI liked it.", encoding="utf-8")
    assert not mmsa.recognises(path)


def break_count(split: dict[str, Any]) -> None:
    split["audio"] = split["audio"][:1]


def break_labels(split: dict[str, Any]) -> None:
    split["regression_labels"] = ["positive"] * len(split["id"])


def break_shape(split: dict[str, Any]) -> None:
    split["vision"] = np.array(["a"] * len(split["id"]), object)[:, None]


def break_width(split: dict[str, Any]) -> None:
    split["vision"] = split["vision"][:, :, :1]


def break_splits(split: dict[str, Any]) -> None:
    del split["vision"]


def break_column(split: dict[str, Any]) -> None:
    del split["regression_labels"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_count, r"valid has 1 values of audio for 2 utterances"),
        (break_labels, r"regression_labels must hold numbers"),
        (break_shape, r"vision must be numbers"),
        (break_width, r"vision must have one width for all utterances, got \[1, 2\]"),
        (break_splits, r"vision is in the splits train, test"),
        (break_column, r"the split valid lacks regression_labels"),
    ],
)
def test_a_damaged_column_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    content = {s: unaligned(s) for s in VIDEOS}
    damage(content["valid"])
    with pytest.raises(DataError, match=message):
        mmsa.read(write(tmp_path / "a.pkl", content))


def example(*, whole: bool = True) -> Dataset:
    """Make seven utterances with a known origin; unless `whole`, with all that MMSA cannot keep."""
    rng = np.random.default_rng(0)
    n, known = 7, (3, 1, 4, 2, 5, 2, 1)

    def make(dim: int, factor: int) -> Sequences:
        steps = [k * factor if whole or i else 0 for i, k in enumerate(known)]
        made = [
            Features(rng.normal(size=(k, dim)).astype(np.float32), np.full(k, np.nan if whole else 0.5, np.float32),
                     np.ones(k, np.bool_) if whole else rng.random(k) < 0.5)
            for k in steps
        ]  # fmt: skip
        return sequences(made, dim)

    return Dataset(
        name="ours",
        format="store",
        ids=tuple(f"v{i}$_${i}" for i in range(n)) if whole else tuple(f"u{i}" for i in range(n)),
        splits=("train", "valid", "test", "test", "train", "train", "valid" if whole else ""),
        labels={"sentiment": np.linspace(-1, 1, n, dtype=np.float32), "text": np.zeros(n, np.float32),
                "audio": np.full(n, 0.5, np.float32), "video": np.arange(n, dtype=np.float32) / 7}
        | ({} if whole else {"happiness": np.ones(n, np.float32)}),
        features={"text": make(8, 1), "audio": make(5, 3), "video": make(4, 2)},
        texts=tuple(f"text {i}, 你好" for i in range(n)),
        videos=tuple(f"v{i}" for i in range(n)),
        scale=(-1.0, 1.0),
        provenance={"text": Provenance("bert", "bert-base-uncased", "0" * 64, (12,), "as it is")},
        preset="pretrained",
        synthetic=True,
    )  # fmt: skip


def test_what_mmsa_keeps_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = example()
    lost = mmsa.write(dataset, tmp_path / "deep" / "features.pkl")
    got = mmsa.read(tmp_path / "deep" / "features.pkl")
    order = [dataset.ids.index(name) for name in got.ids]
    expected = dataset.take(np.array(order, np.int64))
    for name in ("ids", "splits", "texts", "videos", "scale", "provenance", "preset", "synthetic"):
        assert getattr(got, name) == getattr(expected, name), name
    for label, values in expected.labels.items():
        np.testing.assert_array_equal(got.labels[label], values)
    for modality, s in expected.features.items():
        np.testing.assert_array_equal(got.features[modality].values, s.values)
        np.testing.assert_array_equal(got.features[modality].offsets, s.offsets)
    assert len(lost) == 1
    assert "use_bert" in lost[0]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["features.pkl"]


def test_what_mmsa_cannot_keep_is_said(tmp_path: Path) -> None:
    said = " ".join(mmsa.write(example(whole=False), tmp_path / "a.pkl"))
    for words in ("1 utterances without sentiment or split", "text: 1 utterances have no steps", "times are not kept",
                  "steps that could not be seen", "happiness", 'written as "video$_$id"'):  # fmt: skip
        assert words in said
    got = mmsa.read(tmp_path / "a.pkl")
    assert got.ids[0] == "v0$_$u0"
    assert got.features["audio"].of(0).values.tolist() == [[0.0] * 5]


def test_a_split_without_utterances_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled utterance in valid"):
        mmsa.write(example().take(np.array([0, 2])), tmp_path / "a.pkl")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mmsa.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        mmsa.write(example(), tmp_path / "a.pkl")
    assert not list(tmp_path.iterdir())


def as_mmsa_loads(path: Path, mode: str) -> dict[str, Any]:
    """Take what MMDataset of MMSA 2.2.1 takes, after src/MMSA/data_loader.py: custom_feature, SIMS, unaligned."""
    with path.open("rb") as file:
        data = pickle.load(file)[mode]
    arrays: dict[str, NDArray[np.float32]] = {k: data[k].astype(np.float32) for k in ("text", "audio", "vision")}
    arrays["audio"][arrays["audio"] == -np.inf] = 0
    labels = {"M": np.array(data["regression_labels"]).astype(np.float32)}
    labels |= {m: data[f"regression_labels_{m}"].astype(np.float32) for m in "TAV"}
    assert len(data["raw_text"]) == len(data["id"]) == len(labels["M"])
    assert all(len(data[f"{k}_lengths"]) == len(labels["M"]) for k in ("audio", "vision"))
    return {**data, **arrays, "labels": labels}


def expected_by_id(dataset: Dataset, mode: str) -> dict[str, int]:
    return {name: i for i, name in enumerate(dataset.ids) if dataset.splits[i] == mode}


def test_mmsa_s_logic_takes_what_is_written(tmp_path: Path) -> None:
    dataset = example()
    mmsa.write(dataset, tmp_path / "a.pkl")
    for mode in ("train", "valid", "test"):
        data = as_mmsa_loads(tmp_path / "a.pkl", mode)
        rows = expected_by_id(dataset, mode)
        assert list(data["id"]) == list(rows)
        for k, i in enumerate(rows.values()):
            for key, modality in (("text", "text"), ("audio", "audio"), ("vision", "video")):
                values = dataset.features[modality].of(i).values  # type: ignore[index]
                np.testing.assert_array_equal(data[key][k, : len(values)], values)
                assert not data[key][k, len(values) :].any()
            assert data["vision_lengths"][k] == dataset.features["video"].lengths[i]
            assert data["labels"]["V"][k] == dataset.labels["video"][i]


def mmsa_loader(folder: Path) -> Any:
    """Fetch MMSA 2.2.1 from the package index, without what it depends on, and import its loader alone."""
    command = [sys.executable, "-m", "pip", "download", "mmsa==2.2.1", "--no-deps", "--no-binary", ":none:", "-d",
               str(folder), "-q", "--disable-pip-version-check"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"MMSA cannot be had from the package index: {done.stderr[-200:]}")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extract("MMSA/data_loader.py", folder)
    spec = importlib.util.spec_from_file_location("mmsa_data_loader", folder / "MMSA" / "data_loader.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("need_data_aligned", [False, True])
def test_mmsa_s_own_loader_takes_what_is_written(tmp_path: Path, need_data_aligned: bool) -> None:
    loader = mmsa_loader(tmp_path)
    dataset = example()
    mmsa.write(dataset, tmp_path / "a.pkl")
    # MMSA's arguments are a dictionary that gives None for what is not there
    arguments: dict[str, Any] = defaultdict(lambda: None)
    arguments |= {"dataset_name": "sims", "custom_feature": str(tmp_path / "a.pkl"), "feature_dims": [0, 0, 0],
                  "need_data_aligned": need_data_aligned, "batch_size": 2, "seq_lens": (0, 0, 0)}  # fmt: skip
    loaders = loader.MMDataLoader(arguments, 0)
    assert arguments["feature_dims"] == [8, 5, 4]
    seen = set()
    for mode, batches in loaders.items():
        rows = expected_by_id(dataset, mode)
        for batch in batches:
            for k, name in enumerate(batch["id"]):
                i = rows[name]
                seen.add(name)
                values = dataset.features["audio"].of(i).values
                np.testing.assert_array_equal(batch["audio"][k, : len(values)].numpy(), values)
                assert batch["labels"]["M"][k, 0].item() == dataset.sentiment[i]
                assert batch["raw_text"][k] == dataset.texts[i]
                if not need_data_aligned:
                    assert batch["audio_lengths"][k].item() == len(values)
    assert seen == set(dataset.ids)


def test_a_file_of_ours_holds_nothing_but_plain_data(tmp_path: Path) -> None:
    mmsa.write(example(), tmp_path / "a.pkl")
    got = load(tmp_path / "a.pkl")
    assert isinstance(got, dict)
    assert list(got) == ["train", "valid", "test", "config"]


@pytest.mark.parametrize("names", [("Train", "Valid", "Test"), ("TRAIN", "Dev", "TEST"), ("train", "val", "test ")])
def test_splits_are_told_whatever_the_case_of_their_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    path = write(tmp_path / "a.pkl", {name: unaligned(s) for name, s in zip(names, VIDEOS, strict=True)})
    assert mmsa.recognises(path)
    dataset = mmsa.read(path)
    assert dataset.splits == ("train",) * 3 + ("valid",) * 2 + ("test",) * 2
    assert not any(name in note for note in dataset.notes for name in names)


def test_one_split_under_two_names_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pkl", {"train": unaligned("train"), "Train": unaligned("valid")})
    with pytest.raises(DataError, match="one split under two names"):
        mmsa.read(path)


def test_features_without_any_column_are_refused(tmp_path: Path) -> None:
    content = {s: unaligned(s) | {"audio": np.zeros((len(VIDEOS[s]), 12, 0))} for s in VIDEOS}
    with pytest.raises(DataError, match=r"audio must have one width for all utterances, got \[0\]"):
        mmsa.read(write(tmp_path / "a.pkl", content))
