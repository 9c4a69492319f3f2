"""A data set out of rows of text, as tables have them: what every column may be called, and what a cell may say.

A cell that makes no sense counts as unknown, a row without an id of its own is left out, and the notes say so: whether
the data set is still good for something is for the audit and its reader to judge.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trisent.data.dataset import EMOTIONS, SENTIMENT, Dataset
from trisent.errors import DataError
from trisent.evaluation.classes import SIMS_SCALE, like_sims
from trisent.features.layouts import SPLIT_NAMES, seconds
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Floats

# name of a label -> the column it is in; SIMS judges what is said, heard and seen alone
LABEL_COLUMNS = {SENTIMENT: "label", "text": "label_T", "audio": "label_A", "video": "label_V"}
LABEL_COLUMNS |= {emotion: emotion for emotion in EMOTIONS}

# our word for a column -> what it may be called, in lower case, the better names first
EMOTION_WORDS: dict[str, tuple[str, ...]] = {
    "happiness": ("happiness", "happy"),
    "sadness": ("sadness", "sad"),
    "anger": ("anger", "angry"),
    "surprise": ("surprise",),
    "disgust": ("disgust",),
    "fear": ("fear",),
}
WORDS: dict[str, tuple[str, ...]] = {
    "text": ("text", "transcript", "raw_text", "sentence"),
    "label": ("label", "sentiment", "score"),
    "split": ("split", "mode", "set", "fold"),
    "start": ("start", "begin", "start_time"),
    "end": ("end", "stop", "end_time"),
    "label_T": ("label_t",),
    "label_A": ("label_a",),
    "label_V": ("label_v",),
    **EMOTION_WORDS,
}


@dataclass(frozen=True, slots=True)
class Row:
    """An utterance as a table has it: where it is said, its id and video, and its cells by our word for the column."""

    where: str
    id: str
    video: str
    cells: Mapping[str, str]
    fault: str = ""


@dataclass(slots=True)
class _Complaints:
    """Collects what is wrong with cells and rows, to be told once a kind."""

    cells: dict[str, list[str]] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)

    def notes(self, name: str) -> tuple[str, ...]:
        message = "{name}: {count} cells of {column} make no sense and count as unknown, first {first}"
        notes = [
            t(message, name=name, count=len(said), column=column, first=said[0]) for column, said in self.cells.items()
        ]
        if self.rows:
            message = "{name}: {count} rows are left out, first {first}"
            notes.append(t(message, name=name, count=len(self.rows), first=self.rows[0]))
        return tuple(notes)


def assemble(
    name: str, rows: Sequence[Row], *, format: str, decimal_comma: bool = False, notes: Sequence[str] = ()
) -> Dataset:
    """Make a data set without features out of rows.

    Args:
        name: of the data set.
        rows: a row with a fault, or with an id that was there before, is left out.
        format: name of the reader.
        decimal_comma: numbers are written as 0,5.
        notes: what is known already.

    Raises:
        DataError: no row is left.
    """
    wrong = _Complaints()
    good: dict[str, Row] = {}
    for row in rows:
        if fault := row.fault or (row.id in good and t("the id {id} comes twice", id=row.id)) or "":
            wrong.rows.append(f"{row.where} ({fault})")
        else:
            good[row.id] = row
    if not good:
        message = "{name}: no row of {n} can be used, first {first}"
        raise DataError(t(message, name=name, n=len(rows), first=wrong.rows[0] if wrong.rows else "–"))

    def numbers(column: str, read: Callable[[str], float] = float) -> Floats:
        found = np.full(len(good), np.nan, np.float32)
        for i, row in enumerate(good.values()):
            if text := row.cells.get(column, "").strip():
                try:
                    found[i] = read(text.replace(",", ".") if decimal_comma else text)
                except (ValueError, OverflowError):
                    wrong.cells.setdefault(column, []).append(f"{row.where}: {text!r}")
        return found

    there = {column for row in good.values() for column, text in row.cells.items() if text}
    labels = {
        label: numbers(column) for label, column in LABEL_COLUMNS.items() if column in there or label == SENTIMENT
    }
    scale = _scale_of(labels)
    guessed = scale == SIMS_SCALE and not _alone(labels)
    spans = np.stack([numbers("start", _time), numbers("end", _time)], axis=1)
    return Dataset(
        name=name,
        format=format,
        ids=tuple(good),
        splits=tuple(_split(row, wrong) for row in good.values()),
        labels=labels,
        features={},
        texts=tuple(row.cells.get("text", "") for row in good.values()),
        videos=tuple(row.video for row in good.values()),
        spans=spans,
        scale=scale,
        notes=(*notes, *([guessed_sims()] if guessed else []), *wrong.notes(name)),
    )


def _time(text: str) -> float:
    """Read seconds, negative ones too, which the audit will find, or a clock."""
    return seconds(text) if ":" in text else float(text)


def _split(row: Row, wrong: _Complaints) -> str:
    text = row.cells.get("split", "").strip().lower()
    if text and text not in SPLIT_NAMES:
        wrong.cells.setdefault("split", []).append(f"{row.where}: {text!r}")
    return SPLIT_NAMES.get(text, "")


def _scale_of(labels: Mapping[str, Floats]) -> tuple[float, float]:
    """CH-SIMS labels each modality alone, or in steps of 0.2, and goes from -1 to 1."""
    sentiment = labels[SENTIMENT]
    small = not (np.abs(sentiment[np.isfinite(sentiment)]) > 1).any()
    return SIMS_SCALE if (_alone(labels) and small) or like_sims(sentiment) else (SENTIMENT_MIN, SENTIMENT_MAX)


def guessed_sims() -> str:
    """Say that nothing but the labels' values tells their scale."""
    return t("labels are multiples of 0.2 from -1 to 1: taken for those of CH-SIMS")


def _alone(labels: Mapping[str, Floats]) -> bool:
    return any(np.isfinite(labels[m]).any() for m in ("text", "audio", "video") if m in labels)


def lost_in_tables(dataset: Dataset) -> tuple[str, ...]:
    """Say what no table can keep, a sentence each."""
    lost = []
    if dataset.features:
        lost.append(t("features are not kept: {modalities}", modalities=", ".join(dataset.features)))
    if dataset.synthetic:
        lost.append(t("that the data are synthetic is not kept"))
    if _scale_of(dataset.labels) != dataset.scale:
        low, high = dataset.scale
        lost.append(t("that sentiment goes from {low:g} to {high:g} is not kept", low=low, high=high))
    if others := ", ".join(name for name in dataset.labels if name not in LABEL_COLUMNS):
        lost.append(t("labels that have no column are not kept: {others}", others=others))
    return tuple(lost)


def lost_blanks(texts: Iterable[str], ids: Iterable[str]) -> tuple[str, ...]:
    """Say what cells of tables cannot keep: readers take off the blanks around them."""
    lost = []
    if any(text != text.strip() for text in texts):
        lost.append(t("blanks at the ends of texts are not kept"))
    if any(name != name.strip() for name in ids):
        lost.append(t("blanks at the ends of ids are not kept"))
    return tuple(lost)


def written(value: float) -> str:
    """Write a float32 with as few digits as give it back, "" for NaN.

    >>> written(np.float32(2 / 3)), written(1.0), written(math.nan)
    ('0.6666667', '1.0', '')
    """
    return "" if math.isnan(value) else np.format_float_positional(np.float32(value), unique=True, trim="0")
