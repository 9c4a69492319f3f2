"""Where the mistakes are: class against class, and group by group."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trisent.errors import DataError
from trisent.evaluation.classes import Classes
from trisent.evaluation.figures import FIGURES, Figure
from trisent.evaluation.predictions import Predictions
from trisent.i18n import t

_PARTS = 4  # numbers are cut at their quartiles
# Chinese and Japanese characters, which stand one beside the other
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_FEW = 10  # distinct numbers up to this are groups as they are


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the utterances: how many, and the figures on them by key; nan where not defined."""

    name: str
    n: int
    values: dict[str, float]


def confusion(truth: Classes, predicted: Classes, *, limit: int = 3) -> NDArray[np.int64]:
    """Count utterances by class [2 limit + 1, 2 limit + 1]: rows are labels, columns predictions, -limit first."""
    count = 2 * limit + 1
    places = (truth + limit) * count + predicted + limit
    return np.bincount(places, minlength=count * count).reshape(count, count)


def by_video(predictions: Predictions, figures: Sequence[Figure]) -> list[Group]:
    """Score every video, the worst MAE first.

    Raises:
        DataError: it is not known which video an utterance is from.
    """
    if predictions.videos is None:
        raise DataError(
            t("which video is an utterance from? Neither a column video nor ids such as video$_$3 or video[3] say so.")
        )
    groups = by_value(predictions, predictions.videos, figures=figures)
    errors = by_value(predictions, predictions.videos, figures=[FIGURES["mae"]])
    worst = {group.name: -group.values["mae"] for group in errors}
    return sorted(groups, key=lambda group: worst[group.name])


def by_length(predictions: Predictions, figures: Sequence[Figure]) -> list[Group]:
    """Score the quartiles of length: the column length or duration_s as it is, else the words of the column text.

    Raises:
        DataError: there is no such column.
    """
    for name in ("length", "duration_s"):
        if name in predictions.columns:
            return by_column(predictions, name, figures=figures)
    if "text" not in predictions.columns:
        raise DataError(
            t("how long is an utterance? There is no column length, duration_s or text; there are {columns}.",
              columns=", ".join(predictions.columns) or "-")
        )  # fmt: skip
    words = np.array([count_words(text) for text in predictions.columns["text"]], np.float64)
    return by_value(predictions, _quartiles(words), figures=figures)


def by_column(predictions: Predictions, column: str, *, figures: Sequence[Figure]) -> list[Group]:
    """Score the groups of a column: its values, or quartiles of numbers when there are many.

    Raises:
        DataError: there is no such column.
    """
    column = column.strip().lower()  # as files of predictions are read
    if column not in predictions.columns:
        message = "there is no column {column} to group by; there are {columns}"
        raise DataError(t(message, column=column, columns=", ".join(predictions.columns) or "-"))
    cells = predictions.columns[column]
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return by_value(predictions, cells, figures=figures)
    if not np.isfinite(numbers).all() or len(np.unique(numbers)) <= _FEW:
        return by_value(predictions, cells, figures=figures)
    return by_value(predictions, _quartiles(numbers), figures=figures)


def by_value(predictions: Predictions, names: Sequence[str], *, figures: Sequence[Figure]) -> list[Group]:
    """Score the utterances of each name [n]: sorted, numbers by size."""
    distinct, places = np.unique(np.array(names), return_inverse=True)
    sizes_named = np.array([_number(name) for name in distinct.tolist()])
    if np.isfinite(sizes_named).all():
        order = np.argsort(sizes_named, kind="stable")
        distinct, places = distinct[order], np.argsort(order)[places]
    sizes = np.bincount(places)
    columns = {}
    for figure in figures:
        terms = figure.terms(predictions)
        total = np.zeros((len(distinct), terms.shape[1]))
        np.add.at(total, places, terms)
        columns[figure.key] = figure.value(total)
    return [
        Group(str(name), int(sizes[i]), {key: float(values[i]) for key, values in columns.items()})
        for i, name in enumerate(distinct)
    ]


def count_words(text: str) -> int:
    """Count words; where a script puts no spaces between them, characters.

    >>> count_words("a good film"), count_words("这部电影很好")
    (3, 6)
    """
    return len(_UNSPACED.findall(text)) + len(_UNSPACED.sub(" ", text).split())


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _quartiles(numbers: NDArray[np.float64]) -> list[str]:
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _PARTS + 1)[1:-1]))
    part = np.searchsorted(edges, numbers, side="left")
    # The number in front keeps the groups in order when their names are sorted.
    names = {i: f"{i + 1}: {numbers[part == i].min():g} – {numbers[part == i].max():g}" for i in np.unique(part)}
    return [names[i] for i in part]
