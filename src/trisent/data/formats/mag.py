"""The pickles of MAG-BERT (mosi.pkl, mosei.pkl), which MISA, MMIM and others took over.

    {train, dev, test}: a list of ((words, visual, acoustic), label, segment)
        words      a list of words, or of their numbers in word2id.pickle beside; MISA has the words as a fourth part
        visual     [words, dim]; the mean over each word
        acoustic   [words, dim]
        label      sentiment, [1, 1], or [1, 7] with the emotions
        segment    "video[k]" as CMU's toolkit names segments

There are no text features: BERT is part of the model there. The words become texts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trisent.data.dataset import Dataset, Sequences
from trisent.data.formats.pickled import check_widths, outline, piece, read_splits, sentiment, strings, unique, video_of
from trisent.data.padding import end_to_end
from trisent.data.safe_pickle import load
from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import Modality

WORD_NUMBERS = ("word2id.pickle", "word2id.pkl")

_PARTS: dict[Modality, str] = {"audio": "acoustic", "video": "visual"}


def recognises(path: Path) -> bool:
    """Say whether it is a pickle whose splits are lists of utterances."""
    found = outline(path)
    return found is not None and found.lists


def read(path: Path) -> Dataset:
    """Read a pickle of MAG-BERT.

    Raises:
        UnsafePickleError: it holds more than arrays and plain containers.
        DataError: an utterance is not ((words, visual, acoustic), label, segment).
    """
    splits, _ = read_splits(path)
    names = [name for name, split in splits.items() for _ in _listed(path, name, split)]
    rows = [_row(path, name, row) for name, split in splits.items() for row in _listed(path, name, split)]
    if not rows:
        raise DataError(t("{path} has no utterances", path=path))
    features: dict[Modality, Sequences] = {}
    for modality, key in _PARTS.items():
        check_widths(path, [row[key] for row in rows], key)
        features[modality] = end_to_end([row[key] for row in rows])
    segments = strings([row["segment"] for row in rows])
    ids, notes = unique(segments)
    texts, more = _texts(path, [row["words"] for row in rows])
    return Dataset(
        name=path.stem,
        format="mag",
        ids=ids,
        splits=tuple(names),
        labels=sentiment(path, [row["label"] for row in rows], "label"),
        features=features,
        texts=texts,
        videos=tuple(map(video_of, segments)),
        notes=(*notes, *more),
    )


def _listed(path: Path, name: str, split: object) -> list[object]:
    if not isinstance(split, list):
        message = "{path}: the split {split} must be a list of utterances, got {kind}"
        raise DataError(t(message, path=path, split=name, kind=type(split).__name__))
    return split


def _row(
    path: Path, split: str, row: object
) -> dict[str, Any]:  # the parts of an utterance, some checked by their users
    match row:
        case ((words, visual, acoustic, *more), label, segment):
            said = more[0] if more else words  # numbers first and words last in MISA's
            parts = {"visual": piece(path, visual, "visual"), "acoustic": piece(path, acoustic, "acoustic")}
            return parts | {"words": said, "label": label, "segment": segment}
    message = (
        "{path}: in the split {split} an utterance must be ((words, visual, acoustic), label, segment), got {kind}"
    )
    kind = f"{type(row).__name__} of {len(row)}" if isinstance(row, list | tuple) else type(row).__name__
    raise DataError(t(message, path=path, split=split, kind=kind))


def _texts(path: Path, rows: Sequence[object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Join words to texts, and look their numbers up where they are numbers."""
    words = [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]
    if not any(isinstance(word, int | np.integer) for row in words if isinstance(row, list | tuple) for word in row):
        return tuple(_joined(row) for row in words), ()
    table, reason = _words_by_number(path)
    if not table:
        return (), (t("words are numbers, and word2id.pickle, which says what they mean, {reason}", reason=reason),)
    numbered = [[table.get(word, "") for word in row] if isinstance(row, list | tuple) else [] for row in words]
    return tuple(_joined(row) for row in numbered), ()


def _joined(row: object) -> str:
    return " ".join(filter(None, strings(row))) if isinstance(row, list | tuple) else strings([row])[0]


def _words_by_number(path: Path) -> tuple[dict[object, str], str]:
    for file in (path.with_name(name) for name in WORD_NUMBERS):
        if file.is_file():
            try:
                found = load(file)
            except DataError as error:
                return {}, t("cannot be read: {reason}", reason=error)
            return {n: str(word) for word, n in found.items()} if isinstance(found, dict) else {}, t("is no dictionary")
    return {}, t("is not beside it")
