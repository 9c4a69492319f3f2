"""Pickles as MMSA, MMSA-FET, MulT, MultiBench and MAG write them, by their rules, with Python's own pickler."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VIDEOS = {"train": ("a", "a", "b"), "valid": ("c", "c"), "test": ("-d_$", "e")}
STEPS = {"text": (5, 3, 4), "audio": (7, 2, 6), "vision": (4, 1, 3)}
WIDTHS = {"text": 6, "audio": 3, "vision": 2}


def rows(split: str, key: str, i: int) -> NDArray[np.float32]:
    """Make the true rows of an utterance: no zeros, and every value tells where it is from."""
    steps = STEPS[key][i]
    start = 100 * list(VIDEOS).index(split) + 10 * i + 1
    return (start + np.arange(steps * WIDTHS[key]).reshape(steps, -1) / 100).astype(np.float32)


def padded(split: str, key: str, *, steps: int, front: bool = False, dtype: str = "f4") -> NDArray[Any]:
    """Pad the utterances of a split with zeros to `steps`."""
    values = np.zeros((len(VIDEOS[split]), steps, WIDTHS[key]), dtype)
    for i in range(len(values)):
        own = rows(split, key, i)
        values[i, slice(steps - len(own), None) if front else slice(len(own))] = own
    return values


def sentiment(split: str) -> NDArray[np.float32]:
    """Give every utterance thirds, as CMU-MOSEI has them."""
    return np.array([-3, 0, 2 / 3][: len(VIDEOS[split])], np.float32)


def unaligned(split: str) -> dict[str, Any]:
    """A split of unaligned_50.pkl: lists of lengths, float64 audio, arrays of texts."""
    n = len(VIDEOS[split])
    tokens = np.zeros((n, 3, 9), np.float32)
    for i in range(n):
        tokens[i, :2, : STEPS["text"][i]] = [[101 + i], [1]]
    return {
        "raw_text": np.array([f"words {split} {i}" for i in range(n)], object),
        "audio": padded(split, "audio", steps=12, dtype="f8"),
        "vision": padded(split, "vision", steps=10),
        "id": np.array([f"{video}$_${i}" for i, video in enumerate(VIDEOS[split])]),
        "text": padded(split, "text", steps=9),
        "text_bert": tokens,
        "audio_lengths": list(STEPS["audio"][:n]),
        "vision_lengths": list(STEPS["vision"][:n]),
        "annotations": np.array(["Negative", "Neutral", "Positive"][:n]),
        "classification_labels": np.arange(n, dtype=np.float32),
        "regression_labels": sentiment(split),
    }


def write(path: Path, content: Mapping[str, Any], *, protocol: int = 4) -> Path:
    """Write a pickle as the other side does."""
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


def check(dataset: Any, key: str, modality: str, splits: Sequence[str] = tuple(VIDEOS)) -> None:
    """Hold the features of a data set against the rows that went into the file, before padding."""
    expected = [rows(split, key, i) for split in splits for i in range(len(VIDEOS[split]))]
    assert len(dataset) == len(expected)
    for i, values in enumerate(expected):
        got = dataset.features[modality].of(i)
        np.testing.assert_array_equal(got.values, values)
        assert got.mask.all()
        assert np.isnan(got.times).all()
