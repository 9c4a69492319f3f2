"""MulT's pickles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisent.data import readers
from trisent.data.formats import mult
from trisent.errors import DataError
from unit.data.field_files import VIDEOS, check, padded, sentiment, write


def split_of_mosi(split: str, *, steps: dict[str, int], front: bool = True) -> dict[str, Any]:
    """A split as mosi_data.pkl has it: labels in two brackets, ids of bytes, float64."""
    videos = VIDEOS[split]
    return {
        "vision": padded(split, "vision", steps=steps["vision"], front=front, dtype="f8"),
        "text": padded(split, "text", steps=steps["text"], front=front),
        "audio": padded(split, "audio", steps=steps["audio"], front=front, dtype="f8"),
        "labels": sentiment(split)[:, None, None].astype(np.float64),
        "id": np.array([[v.encode(), f"{i}.5".encode(), f"{i + 2}".encode()] for i, v in enumerate(videos)]),
    }


UNALIGNED = {"text": 9, "audio": 20, "vision": 15}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("front", [True, False])
def test_unaligned_features_are_cut_where_they_are_padded(tmp_path: Path, protocol: int, front: bool) -> None:
    content = {split: split_of_mosi(split, steps=UNALIGNED, front=front) for split in VIDEOS}
    path = write(tmp_path / "mosi_data_noalign.pkl", content, protocol=protocol)
    found = readers.recognise(path)
    assert found is not None
    assert found.name == "mult"
    dataset = mult.read(path)
    for key, modality in (("text", "text"), ("audio", "audio"), ("vision", "video")):
        check(dataset, key, modality)
    assert dataset.ids[:3] == ("a$_$0.5-2", "a$_$1.5-3", "b$_$2.5-4")
    assert dataset.videos[:3] == ("a", "a", "b")
    assert dataset.spans[1].tolist() == [1.5, 3.0]
    np.testing.assert_array_equal(dataset.sentiment, np.concatenate([sentiment(s) for s in VIDEOS]))
    where = "in front" if front else "at the end"
    assert f"audio: lengths are not stored; rows of zeros {where} count as padding" in dataset.notes


def test_steps_that_belong_together_are_cut_together(tmp_path: Path) -> None:
    """Aligned, a word without a face keeps its row of zeros, in front as well."""
    content = {split: split_of_mosi(split, steps=dict.fromkeys(UNALIGNED, 9)) for split in VIDEOS}
    dataset = mult.read(write(tmp_path / "mosi_data.pkl", content))
    # the longest of the three tells how long an utterance is: 7, 3 and 6 words
    for modality in ("text", "audio", "video"):
        assert dataset.features[modality].lengths[:3].tolist() == [7, 3, 6]  # type: ignore[index]
    assert not dataset.features["video"].of(0).values[:3].any()


def test_labels_with_emotions_are_read_in_cmu_s_order(tmp_path: Path) -> None:
    content = {split: split_of_mosi(split, steps=UNALIGNED) for split in VIDEOS}
    for split in content.values():
        split["labels"] = np.repeat(np.arange(7.0)[None, None], len(split["id"]), axis=0)
    dataset = mult.read(write(tmp_path / "mosei_senti_data.pkl", content))
    assert {name: float(values[0]) for name, values in dataset.labels.items()} == {
        "sentiment": 0, "happiness": 1, "sadness": 2, "anger": 3, "surprise": 4, "disgust": 5, "fear": 6,
    }  # fmt: skip


def test_classes_of_emotion_are_no_sentiment(tmp_path: Path) -> None:
    content = {split: split_of_mosi(split, steps=UNALIGNED) for split in VIDEOS}
    for split in content.values():
        split["labels"] = np.zeros((len(split.pop("id")), 4, 2))  # IEMOCAP: four emotions, yes or no
    with pytest.raises(DataError, match="got 8 numbers for each utterance"):
        mult.read(write(tmp_path / "iemocap_data.pkl", content))


def test_ids_may_be_tuples_in_a_list(tmp_path: Path) -> None:
    content = {split: split_of_mosi(split, steps=UNALIGNED) for split in VIDEOS}
    for split in content.values():
        split["id"] = [tuple(row) for row in split["id"].tolist()]
    dataset = readers.read(write(tmp_path / "mosi_data.pkl", content))
    assert (dataset.format, dataset.ids[:2], dataset.videos[:2]) == ("mult", ("a$_$0.5-2", "a$_$1.5-3"), ("a", "a"))


def test_utterances_without_ids_are_numbered(tmp_path: Path) -> None:
    content = {split: split_of_mosi(split, steps=UNALIGNED) for split in VIDEOS}
    for split in content.values():
        del split["id"]
    dataset = mult.read(write(tmp_path / "a.pkl", content))
    assert dataset.ids[:4] == ("train/0", "train/1", "train/2", "valid/0")
    assert set(dataset.videos) == {""}


@pytest.mark.parametrize("content", [{"weights": [1]}, {"train": 3, "test": 4}, [1, 2], {"train": {"x": [1]}}])
def test_a_pickle_of_something_else_is_not_taken_for_a_data_set(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path / "a.pkl", content)
    assert readers.recognise(path) is None
    with pytest.raises(DataError, match=r"expected a dictionary|lacks labels"):
        mult.read(path)
