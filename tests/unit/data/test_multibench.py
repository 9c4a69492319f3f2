"""MultiBench's raw pickles."""

from pathlib import Path
from typing import Any

import numpy as np

from trisent.data import readers
from trisent.data.formats import multibench
from unit.data.field_files import VIDEOS, padded, rows, sentiment, write


def split_of_mosi_raw(split: str) -> dict[str, Any]:
    """A split as get_raw_data.py writes it: padded in front by text, vision and audio alike; ids a list."""
    columns = {key: padded(split, key, steps=9, front=True, dtype="f8") for key in ("vision", "audio", "text")}
    ids = [f"{video}[{i}]" for i, video in enumerate(VIDEOS[split])]
    return {**columns, "labels": sentiment(split)[:, None, None], "id": ids}


def test_segments_are_read_with_their_videos(tmp_path: Path) -> None:
    path = write(tmp_path / "mosi_raw.pkl", {split: split_of_mosi_raw(split) for split in VIDEOS}, protocol=3)
    found = readers.recognise(path)
    assert found is not None
    assert found.name == "multibench"
    dataset = multibench.read(path)
    assert dataset.ids[:3] == ("a[0]", "a[1]", "b[2]")
    assert dataset.videos == ("a", "a", "b", "c", "c", "-d_$", "e")
    # the longest of the three tells how long an utterance is
    for modality in ("text", "audio", "video"):
        assert dataset.features[modality].lengths[:3].tolist() == [7, 3, 6]  # type: ignore[index]
    np.testing.assert_array_equal(dataset.features["audio"].of(0).values, rows("train", "audio", 0))


def test_text_may_be_what_is_said(tmp_path: Path) -> None:
    content = {split: split_of_mosi_raw(split) for split in VIDEOS}
    for name, split in content.items():
        split["text"] = np.array([f"said in {name}"] * len(split["id"]))
    dataset = multibench.read(write(tmp_path / "a.pkl", content))
    assert dataset.texts[0] == "said in train"
    assert list(dataset.features) == ["audio", "video"]


def test_an_id_may_stand_in_a_bracket_of_its_own(tmp_path: Path) -> None:
    content = {split: split_of_mosi_raw(split) for split in VIDEOS}
    plain = multibench.read(write(tmp_path / "plain.pkl", content))
    for split in content.values():
        split["id"] = np.asarray(split["id"])[:, None]
    dataset = readers.read(write(tmp_path / "mosi_raw.pkl", content))
    assert (dataset.format, dataset.ids, dataset.videos) == ("multibench", plain.ids, plain.videos)


def test_labels_of_yes_and_no_are_doubted(tmp_path: Path) -> None:
    content = {split: split_of_mosi_raw(split) for split in VIDEOS}
    for split in content.values():
        split["labels"] = np.resize([0, 1], len(split["id"]))[:, None]
    dataset = multibench.read(write(tmp_path / "sarcasm.pkl", content))
    assert any("humour or sarcasm" in note for note in dataset.notes)
