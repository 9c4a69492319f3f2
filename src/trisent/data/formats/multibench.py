"""The raw pickles of MultiBench (mosi_raw.pkl, mosei_raw.pkl; sarcasm.pkl and humor.pkl look the same).

    {train, valid, test}:
        text, audio, vision   [utterances, 50, dim], padded in front; text is GloVe, or what is said
        labels                [utterances, 1, 1], sentiment, or [utterances, 1, 7] with the emotions
        id                    [utterances]: "video[k]" as CMU's toolkit names segments

Nothing stores lengths, so rows of zeros count as padding.
"""

from pathlib import Path

import numpy as np

from trisent.data.dataset import SENTIMENT, Dataset
from trisent.data.formats.pickled import (
    count,
    features,
    joined,
    outline,
    read_columns,
    sentiment,
    strings,
    unique,
    video_of,
)
from trisent.i18n import t


def recognises(path: Path) -> bool:
    """Say whether it is a pickle of MultiBench's columns: those of MulT, with one text as an id."""
    found = outline(path)
    return found is not None and found.columns >= {"labels", "text", "vision", "id"} and not found.triple_ids


def read(path: Path) -> Dataset:
    """Read a raw pickle of MultiBench.

    Raises:
        UnsafePickleError: it holds more than arrays and plain containers.
        DataError: a column is missing, or does not fit the others.
    """
    splits, _ = read_columns(path, required=("id", "labels"))
    counts = {name: count(path, split["id"], "id") for name, split in splits.items()}
    ids, notes = unique(strings(joined(path, splits, "id", counts=counts) or []))
    labels = sentiment(path, joined(path, splits, "labels", counts=counts) or [], "labels")
    sequences, more = features(path, splits, counts=counts)
    said = joined(path, splits, "text", counts=counts) or []
    if set(np.unique(labels[SENTIMENT])) <= {-1.0, 0.0, 1.0}:
        more += (t("labels are -1, 0 and 1 only: humour or sarcasm, perhaps, and no sentiment"),)
    return Dataset(
        name=path.stem,
        format="multibench",
        ids=ids,
        splits=tuple(name for name, n in counts.items() for _ in range(n)),
        labels=labels,
        features=sequences,
        texts=() if "text" in sequences else strings(said),
        videos=tuple(video_of(name) for name in ids),
        notes=(*notes, *more),
    )
