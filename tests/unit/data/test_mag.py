"""MAG-BERT's pickles, and MISA's."""

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisent.data import readers
from trisent.data.formats import mag
from trisent.errors import DataError
from unit.data.field_files import VIDEOS, check, rows, sentiment, write

NAMES = {"train": "train", "valid": "dev", "test": "test"}


def utterances(split: str, words: Any) -> list[tuple[Any, Any, str]]:
    """The list of a split: ((words, visual, acoustic), label, segment), none of it padded."""
    return [
        ((words(split, i), rows(split, "vision", i).astype(np.float64), rows(split, "audio", i)),
         np.array([[sentiment(split)[i]]]), f"{video}[{i}]")
        for i, video in enumerate(VIDEOS[split])
    ]  # fmt: skip


def spoken(split: str, i: int) -> list[str]:
    return ["words", "of", split, str(i)]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_utterances_are_read_with_their_words(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "mosi.pkl", {NAMES[s]: utterances(s, spoken) for s in VIDEOS}, protocol=protocol)
    found = readers.recognise(path)
    assert found is not None
    assert found.name == "mag"
    dataset = mag.read(path)
    check(dataset, "audio", "audio")
    check(dataset, "vision", "video")
    assert dataset.splits == ("train",) * 3 + ("valid",) * 2 + ("test",) * 2
    assert dataset.texts[1] == "words of train 1"
    assert (dataset.ids[2], dataset.videos[2]) == ("b[2]", "b")
    np.testing.assert_array_equal(dataset.sentiment, np.concatenate([sentiment(s) for s in VIDEOS]))


def test_numbers_of_words_are_looked_up_beside_the_file(tmp_path: Path) -> None:
    content = {NAMES[s]: utterances(s, lambda *_: np.array([3, 1])) for s in VIDEOS}
    path = write(tmp_path / "all_mod_data.pickle", content)
    assert "word2id.pickle, which says what they mean, is not beside it" in " ".join(mag.read(path).notes)
    (tmp_path / "word2id.pickle").write_bytes(pickle.dumps({"hello": 1, "": 2, "oh": 3}))
    assert mag.read(path).texts[0] == "oh hello"


def unknown() -> int:
    return 0


def test_numbers_of_words_that_would_call_a_function_are_left_unread(tmp_path: Path) -> None:
    """MISA's word2id.pkl is a defaultdict with a function of the program that wrote it."""
    path = write(tmp_path / "a.pkl", {NAMES[s]: utterances(s, lambda *_: [3, 1]) for s in VIDEOS})
    write(tmp_path / "word2id.pkl", defaultdict(unknown, {"hello": 1}))
    dataset = mag.read(path)
    assert set(dataset.texts) == {""}
    assert "test_mag.unknown" in " ".join(dataset.notes)


def test_numbers_of_words_may_be_numpys_own(tmp_path: Path) -> None:
    numbers = {s: utterances(s, lambda *_: [np.int64(1), np.int32(0)]) for s in VIDEOS}
    path = write(tmp_path / "mosi.pkl", {NAMES[s]: rows for s, rows in numbers.items()})
    assert set(mag.read(path).texts) == {""}
    write(tmp_path / "word2id.pickle", {"again": 0, "well": 1})
    assert set(mag.read(path).texts) == {"well again"}


def test_misa_s_fourth_part_is_the_words(tmp_path: Path) -> None:
    content = {
        NAMES[s]: [((np.array([1, 2]), v, a, spoken(s, 0)), label, name)
                   for (_, v, a), label, name in utterances(s, spoken)]
        for s in VIDEOS
    }  # fmt: skip
    assert mag.read(write(tmp_path / "a.pkl", content)).texts[0] == "words of train 0"


def test_an_utterance_of_another_make_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pkl", {"train": utterances("train", spoken), "test": [("words", 1.0)]})
    with pytest.raises(DataError, match=r"in the split test an utterance must be .* got tuple of 2"):
        mag.read(path)
