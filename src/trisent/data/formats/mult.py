"""The pickles of MulT (mosi_data.pkl, mosei_senti_data_noalign.pkl): what papers from 2019 on have trained on.

    {train, valid, test}:
        text, audio, vision   [utterances, steps, dim], padded in front; text is GloVe
        labels                [utterances, 1, 1], sentiment
        id                    [utterances, 3]: video, start and end in seconds, as bytes in CMU-MOSI's; may be absent

Nothing stores lengths, so rows of zeros count as padding. There are no texts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trisent.data.dataset import Dataset
from trisent.data.formats.pickled import (
    Split,
    count,
    features,
    joined,
    outline,
    read_columns,
    sentiment,
    strings,
    unique,
)
from trisent.types import Floats


def recognises(path: Path) -> bool:
    """Say whether it is a pickle of MulT's columns."""
    found = outline(path)
    return found is not None and found.columns >= {"labels", "text", "vision"}


def read(path: Path) -> Dataset:
    """Read a pickle of MulT.

    Raises:
        UnsafePickleError: it holds more than arrays and plain containers.
        DataError: a column is missing, or does not fit the others.
    """
    splits, _ = read_columns(path, required=("labels",))
    counts = {name: count(path, split["labels"], "labels") for name, split in splits.items()}
    sequences, notes = features(path, splits, counts=counts)
    names, videos, spans = _names(path, splits, counts)
    ids, more = unique(names)
    return Dataset(
        name=path.stem,
        format="mult",
        ids=ids,
        splits=tuple(name for name, n in counts.items() for _ in range(n)),
        labels=sentiment(path, joined(path, splits, "labels", counts=counts) or [], "labels"),
        features=sequences,
        videos=videos,
        spans=spans,
        notes=(*more, *notes),
    )


def _names(
    path: Path, splits: Mapping[str, Split], counts: Mapping[str, int]
) -> tuple[Sequence[str], tuple[str, ...], Floats]:
    """Name utterances by video and time; by their number in the split where the file has no ids."""
    rows = joined(path, splits, "id", counts=counts)
    spans = np.full((sum(counts.values()), 2), np.nan, np.float32)
    if rows is None:
        return [f"{name}/{i}" for name, n in counts.items() for i in range(n)], (), spans
    names, videos = [], []
    for i, row in enumerate(rows):
        video, *times = strings(np.asarray(row).reshape(-1).tolist())
        if len(times) == 2:
            spans[i] = [_seconds(time) for time in times]
        names.append(f"{video}$_${'-'.join(times)}" if times else video)
        videos.append(video)
    return names, tuple(videos), spans


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
