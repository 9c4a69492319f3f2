"""How good a prediction of sentiment is, in figures whose names say how they were computed.

"Acc-7" and "Acc-2" mean different things in different papers. The conventions here are those of MMSA's `metricsTop`,
which most published CMU-MOSEI tables use; on one and the same prediction another convention can differ by 30 points.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN

# field of Scores -> (what people read, the field that holds how many utterances it was computed on)
CONVENTIONS = {
    "mae": ("MAE", "n"),
    "corr": ("Pearson r", "n"),
    "acc7_round": ("Acc-7 (clip to ±3, np.round: half to even)", "n"),
    "acc2_has0": ("Acc-2 has0 (>= 0 against < 0, all)", "n"),
    "acc2_non0": ("Acc-2 non0 (> 0 against <= 0, without y = 0)", "n_non0"),
}


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one model on one split. `nan` stands for what is not defined; JSON has None for it.

    Attributes:
        n: utterances judged.
        mae: mean absolute error; predictions are not clipped.
        corr: Pearson's r; nan when the predictions or the labels are all the same.
        acc7_round: both sides clipped to [-3, 3] and rounded half to even (0.5 -> 0, 1.5 -> 2, 2.5 -> 2), equal.
        acc2_has0: (p >= 0) == (y >= 0) on all.
        acc2_non0: (p > 0) == (y > 0) where y != 0; nan when every label is 0.
        n_non0: utterances with y != 0.
    """

    n: int
    mae: float
    corr: float
    acc7_round: float
    acc2_has0: float
    acc2_non0: float
    n_non0: int

    def rows(self) -> list[tuple[str, float, int]]:
        """List (name with its convention, value, n) in the order people expect."""
        return [(name, getattr(self, field), getattr(self, n)) for field, (name, n) in CONVENTIONS.items()]

    def to_json(self) -> dict[str, float | int | None]:
        """Return a JSON object; what is not defined is None."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Scores":
        """Rebuild from `to_json`."""
        read: dict[str, Any] = {name: float("nan") if value is None else value for name, value in values.items()}
        return cls(**read)


def scores(predicted: ArrayLike, truth: ArrayLike) -> Scores:
    """Compare predicted sentiment with the labels.

    >>> scores([0.5, -1.2, 2.0, 0.1], [0.0, -1.0, 3.0, 0.0]).acc2_non0
    1.0

    Raises:
        DataError: nothing to compare, different lengths, or a value that is not a finite number.
    """
    p, y = _numbers(t("predictions"), predicted), _numbers(t("labels"), truth)
    if len(p) != len(y) or not len(p):
        raise DataError(
            t("scores need as many predictions as labels, and at least one; got {p} and {y}", p=len(p), y=len(y))
        )
    non0 = y != 0
    return Scores(
        n=len(y),
        mae=float(np.abs(p - y).mean()),
        corr=_pearson(p, y),
        acc7_round=float((_classes(p) == _classes(y)).mean()),
        acc2_has0=float(((p >= 0) == (y >= 0)).mean()),
        acc2_non0=float(((p > 0) == (y > 0))[non0].mean()) if non0.any() else float("nan"),
        n_non0=int(non0.sum()),
    )


def _numbers(what: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise DataError(
            t("{what} must be one number an utterance, shape [n]; got shape {shape}", what=what, shape=array.shape)
        )
    if bad := int((~np.isfinite(array)).sum()):
        message = t(
            "{what}: {bad} of {n} are not finite numbers, first at index {index}. Such a model has no scores.",
            what=what,
            bad=bad,
            n=len(array),
            index=int(np.argmin(np.isfinite(array))),
        )
        raise DataError(message)
    return array


def _classes(sentiment: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(np.clip(sentiment, SENTIMENT_MIN, SENTIMENT_MAX), dtype=np.float64)


def _pearson(p: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    # Compare exactly: the deviations of a constant from its own mean are rounding noise, not zero.
    if np.all(p == p[0]) or np.all(y == y[0]):
        return float("nan")
    dp, dy = p - p.mean(), y - y.mean()
    return float((dp @ dy) / np.sqrt((dp @ dp) * (dy @ dy)))
