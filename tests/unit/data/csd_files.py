"""Computational sequences as CMU's SDK writes them, and an independent way to read and to align them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

Entries = Mapping[str, tuple[ArrayLike, ArrayLike]]

# The SDK's list lacks a comma, so two of its keys are one.
METADATA_KEYS = [
    "root name",
    "computational sequence description",
    "dimension namescomputational sequence version",
    "alignment compatible",
    "dataset name",
    "dataset version",
    "creator",
    "contact",
    "featureset bib citation",
    "dataset bib citation",
]


def put(path: Path, root: str, entries: Entries, **about: Any) -> Path:
    """Write entries key -> (features, intervals) the SDK's way: gzip, and metadata as JSON in texts of any length."""
    with h5py.File(path, "w") as file:
        for key, (features, intervals) in entries.items():
            for name, rows in (("features", features), ("intervals", np.asarray(intervals, np.float64))):
                file.create_dataset(f"{root}/data/{key}/{name}", data=rows, compression="gzip")
        for key in {*METADATA_KEYS, *about}:
            value = json.dumps(about.get(key, root if key == "root name" else "?"))
            file.create_dataset(f"{root}/metadata/{key}", data=[value], dtype=h5py.string_dtype())
    return path


def get(path: Path) -> tuple[str, dict[str, tuple[NDArray[Any], NDArray[Any]]], dict[str, Any]]:
    """Read a file as the SDK does: the first group's data and metadata, of which every text is JSON."""
    with h5py.File(path, "r") as file:
        root = next(iter(file))
        data = {key: (group["features"][()], group["intervals"][()]) for key, group in file[root]["data"].items()}
        metadata = {key: json.loads(text[0]) for key, text in file[root]["metadata"].items()}
    for key, (features, intervals) in data.items():  # what the SDK checks
        assert features.ndim >= 2, key
        assert intervals.ndim == 2, key
        assert len(features) == len(intervals), key
    return root, data, metadata


def column(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None]


def small_folder(folder: Path) -> Path:
    """Make two videos: "a" with two utterances of two words, "b" with one of one word.

    Worked out by hand: the words of a are 0-1, 1-2, 3-4, 4-5; sound has a row every half second, whose value is its
    number; pictures have a row a second.
    """
    folder.mkdir(exist_ok=True)
    labels = np.array([[1, 0, 1, 2, 3, 0, 0], [-3, 1, 0, 0, 0, 0, 0.5]], np.float32)
    words_a = [[0, 1], [1, 2], [3, 4], [4, 5]]
    put(folder / "l.csd", "All Labels", {"b": (labels[1:], [[0, 2]]), "a": (labels, [[0, 2], [3, 5]])})
    put(folder / "w.csd", "words", {
        "a": (np.array([[b"so"], [b"good"], [b"sp"], [b"too"], [b"bad"]]), [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]),
        "b": (np.array([[b"hm"]]), [[0.5, 1]]),
    })  # fmt: skip
    put(folder / "g.csd", "glove_vectors", {"a": (column(1, 2, 3, 4), words_a), "b": (column(5), [[0.5, 1]])})
    halves = [[k / 2, k / 2 + 0.5] for k in range(12)]
    put(folder / "c.csd", "COVAREP", {"a": (column(*range(12)), halves), "b": (column(7, 9), [[0.5, 1], [1, 1.5]])})
    put(folder / "f.csd", "FACET 4.2", {"a": (column(10, 11, 12, 13), [[k, k + 1] for k in range(4)])})
    return folder


def slow_alignment(reference: Sequence[float], rows: NDArray[np.float64]) -> list[int]:
    """Say which rows belong to a reference, one comparison after the other; rows in the order of beginnings."""
    a, b = reference
    if abs(a - b) < 1e-5:
        return []
    belong = []
    for k in sorted(range(len(rows)), key=lambda k: rows[k][0]):
        s, e = rows[k]
        if b - s > -1e-5 and e - a > -1e-5 and abs(max(s, a) - min(e, b)) > 1e-5:
            belong.append(k)
    return belong
