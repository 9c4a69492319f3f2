"""Data sets as folders of .csd files."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from trisent.data.csd import writing
from trisent.data.dataset import Dataset, sequences
from trisent.data.formats import csd
from trisent.errors import DataError
from trisent.types import Features, Modality, Provenance
from unit.data.csd_files import METADATA_KEYS, column, get, put, small_folder


def steps(*rows: tuple[float, float, bool], width: int = 2) -> Features:
    """Make a step of each (value, time, seen)."""
    values = np.array([[value] * width for value, _, _ in rows], np.float32).reshape(-1, width)
    times, mask = [time for _, time, _ in rows], [seen for _, _, seen in rows]
    return Features(values, np.array(times, np.float32), np.array(mask, np.bool_))


def small_dataset() -> Dataset:
    text = [steps((1, 0.1, True), (2, 0.1, True), (3, 0.7, True)), steps((4, np.nan, True)), steps()]
    video = [steps((5, 0, True), (0, 0.4, False)), steps(), steps((6, 0.2, True))]
    return Dataset(
        name="mine",
        format="made",
        ids=("talk/1$_$4", "z[2]", "plain"),
        splits=("test", "train", ""),
        labels={"sentiment": np.array([0.5, -1, np.nan], np.float32), "text": np.array([1, np.nan, 0], np.float32)},
        features={"text": sequences(text, 2), "video": sequences(video, 2)},
        texts=("so good", "", "嗯"),
        videos=("talk/1", "z", ""),
        spans=np.array([[10, 12], [0, 1], [np.nan, np.nan]], np.float32),
        scale=(-1.0, 1.0),
        provenance={"text": Provenance("bert", "base", "ab", (3, 4), "none")},
        preset="pretrained",
        synthetic=True,
    )


def same(one: Dataset, other: Dataset) -> None:
    for field in ("ids", "splits", "texts", "videos", "scale", "provenance", "preset", "synthetic", "name"):
        assert getattr(one, field) == getattr(other, field), field
    assert np.array_equal(one.spans, other.spans, equal_nan=True)
    assert one.labels.keys() == other.labels.keys()
    for name, values in one.labels.items():
        assert np.array_equal(values, other.labels[name], equal_nan=True), name
    assert one.dims == other.dims
    for m, s in one.features.items():
        for part in ("values", "offsets", "times", "mask"):
            assert np.array_equal(getattr(s, part), getattr(other.features[m], part), equal_nan=True), (m, part)


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    dataset = small_dataset()
    csd.write(dataset, tmp_path)
    same(dataset, csd.read(tmp_path))


def test_random_data_sets_come_back_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for trial in range(20):
        features: dict[Modality, list[Features]] = {"audio": [], "video": []}
        for _ in range(6):
            for made in features.values():
                n = int(rng.integers(0, 5))
                times = np.sort(rng.uniform(0, 5, n)).astype(np.float32)
                made.append(Features(rng.normal(size=(n, 3)).astype(np.float32), times, np.ones(n, np.bool_)))
        start = rng.uniform(0, 900, 6).astype(np.float32)
        dataset = Dataset(
            name="random",
            format="made",
            ids=tuple(f"v{i // 2}$_${int(k)}" for i, k in enumerate(rng.permutation(6))),
            splits=("train", "train", "valid", "valid", "test", ""),
            labels={"sentiment": rng.uniform(-3, 3, 6).astype(np.float32)},
            features={m: sequences(made, 3) for m, made in features.items()},
            videos=tuple(f"v{i // 2}" for i in range(6)),
            spans=np.stack([start, start + 6], axis=1),
        )
        folder = tmp_path / str(trial)
        csd.write(dataset, folder)
        same(dataset, csd.read(folder))


def test_cmus_way_of_reading_finds_entries_of_equal_keys_and_all_metadata(tmp_path: Path) -> None:
    csd.write(small_dataset(), tmp_path)
    root, labels, metadata = get(tmp_path / "labels.csd")
    assert root == "Opinion Segment Labels"
    assert list(labels) == ["plain[0]", "talk_1[4]", "z[2]"]
    assert labels["talk_1[4]"][0].tolist() == [[0.5]]
    assert labels["talk_1[4]"][1].tolist() == [[10, 12]]
    assert set(METADATA_KEYS) <= metadata.keys()
    assert metadata["root name"] == root
    root, text, metadata = get(tmp_path / "text.csd")
    assert (root, metadata["root name"], metadata["dataset name"]) == ("text", "text", "mine")
    assert text["talk_1[4]"][0].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert np.allclose(text["talk_1[4]"][1], [[10.1, 10.7], [10.1, 10.7], [10.7, 12]])
    assert "plain[0]" not in text


def test_all_seven_labels_go_in_the_sdks_order(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path / "in"))
    csd.write(dataset, tmp_path / "out")
    root, labels, _ = get(tmp_path / "out" / "labels.csd")
    assert root == "All Labels"
    assert labels["a[0]"][0].tolist() == [[1, 0, 1, 2, 3, 0, 0]]
    same(replace(dataset, notes=()), csd.read(tmp_path / "out"))


def test_what_the_sdk_has_left_out_since_is_not_missed(tmp_path: Path) -> None:
    csd.write(small_dataset(), tmp_path)
    with h5py.File(tmp_path / "labels.csd", "a") as file:
        del file["Opinion Segment Labels/data/z[2]"]
    dataset = csd.read(tmp_path)
    assert dataset.ids == ("talk/1$_$4", "plain")
    assert dataset.splits == ("test", "")


def test_losses_are_told(tmp_path: Path) -> None:
    dataset = small_dataset()
    half = replace(dataset.features["text"], values=dataset.features["text"].values.astype(np.float16))
    losses = csd.write(replace(dataset, features={**dataset.features, "text": half}), tmp_path)
    assert any("float16 is written as float32" in loss for loss in losses)
    assert any("video: 1 masked steps" in loss for loss in losses)
    assert any("text: the times of 1 steps are unknown" in loss for loss in losses)


@pytest.mark.parametrize("damage", ["nonsense", {"utterances": 3}, {"utterances": {"talk_1[4]": {"split": "holdout"}}}])
def test_metadata_of_ours_that_someone_has_spoilt_are_refused(tmp_path: Path, damage: object) -> None:
    put(tmp_path / "labels.csd", "All Labels", {"talk_1[4]": (np.ones((1, 7)), [[0, 1]])}, trisent=damage)
    with pytest.raises(DataError, match="metadata 'trisent' of the labels is damaged"):
        csd.read(tmp_path)


def test_a_modality_that_no_utterance_has_is_left_out_and_the_rest_can_be_read(tmp_path: Path) -> None:
    dataset = small_dataset()
    faceless = replace(dataset, features={**dataset.features, "video": sequences([steps()] * 3, 2)})
    lost = csd.write(faceless, tmp_path / "d")
    assert "video: no utterance has any, so it is left out" in lost
    assert [*csd.read(tmp_path / "d").features] == ["text"]
    assert not (tmp_path / "d" / "video.csd").exists()


def test_a_folder_with_other_sequences_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "COVAREP.csd", "COVAREP", {"a": (column(1), [[0, 1]])})
    with pytest.raises(DataError, match=r"holds other \.csd files \(COVAREP\.csd\)"):
        csd.write(small_dataset(), tmp_path)


def test_when_writing_fails_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_intervals", fail)
    with pytest.raises(OSError, match="No space"):
        csd.write(small_dataset(), tmp_path)
    assert list(tmp_path.iterdir()) == []
