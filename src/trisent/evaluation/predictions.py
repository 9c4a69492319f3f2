"""Predictions with their labels: what every figure is computed from."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trisent.errors import DataError
from trisent.i18n import t

Numbers = NDArray[np.float64]
CLASSES = 7
_TOO_FAR_FROM_ONE = 0.01  # probabilities printed with three decimals still add up to 1 within this
_NAMED_AT_MOST = 5

# How data sets write "utterance k of this video": MMSA, CMU's SDK after alignment, CMU's transcripts.
_VIDEO_IN_ID = (re.compile(r"(.+)\$_\$[^$]+"), re.compile(r"(.+)\[\d+\]"), re.compile(r"(.+?)___\d+(?:___.*)?"))


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model said of a set of utterances, beside the labels. Make one with `predictions_of`.

    Attributes:
        predicted: sentiment as predicted, float64 [n], finite, not clipped.
        truth: labels, float64 [n], finite.
        ids: one name an utterance, all different; None when the source had none.
        videos: the video of each utterance; None when that is not known.
        probabilities: of the classes -3..3, float64 [n, 7]; None when the model gave none.
        columns: whatever else the source said of each utterance, as text, by name.
        stretch: by how much labels are stretched to those classes: 1, and 3 for labels of CH-SIMS.
    """

    predicted: Numbers
    truth: Numbers
    ids: tuple[str, ...] | None
    videos: tuple[str, ...] | None
    probabilities: Numbers | None
    columns: dict[str, tuple[str, ...]]
    stretch: float = 1.0

    def __len__(self) -> int:
        return len(self.truth)


def predictions_of(
    predicted: ArrayLike,
    truth: ArrayLike,
    *,
    ids: Sequence[str] | None = None,
    videos: Sequence[str] | None = None,
    probabilities: ArrayLike | None = None,
    columns: dict[str, tuple[str, ...]] | None = None,
    stretch: float = 1.0,
) -> Predictions:
    """Check predictions and labels and put them together; videos are read out of the ids when those name them.

    Raises:
        DataError: nothing to compare, different lengths, an id twice, or a value that is not a finite number.
    """
    p, y = _numbers(t("predictions"), predicted), _numbers(t("labels"), truth)
    if len(p) != len(y) or not len(p):
        raise DataError(
            t("scores need as many predictions as labels, and at least one; got {p} and {y}", p=len(p), y=len(y))
        )
    named = None if ids is None else tuple(map(str, ids))
    if named is not None:
        twice = [name for name, times in Counter(named).items() if times > 1]
        if twice:
            raise DataError(t("an id must name one utterance; these come more than once: {ids}", ids=some(twice)))
    groups = videos_in(named) if videos is None and named is not None else videos
    for what, given in ((t("ids"), named), (t("videos"), groups)):
        if given is not None and len(given) != len(y):
            raise DataError(t("{what}: got {got} for {n} utterances", what=what, got=len(given), n=len(y)))
    return Predictions(
        p,
        y,
        named,
        None if groups is None else tuple(map(str, groups)),
        None if probabilities is None else _probabilities(probabilities, len(y)),
        dict(columns or {}),
        stretch,
    )


def videos_in(ids: Sequence[str]) -> tuple[str, ...] | None:
    """Read the video out of every id; None unless all ids are written in the same known way.

    >>> videos_in(["a$_$0", "a$_$1"]), videos_in(["a[0]", "b[3]"]), videos_in(["0", "1"])
    (('a', 'a'), ('a', 'b'), None)
    """
    for pattern in _VIDEO_IN_ID:
        found = [pattern.fullmatch(name) for name in ids]
        if all(found):
            return tuple(match[1] for match in found if match)
    return None


def some(names: Sequence[str]) -> str:
    """Name the first few of many."""
    rest = len(names) - _NAMED_AT_MOST
    shown = ", ".join(names[:_NAMED_AT_MOST])
    return t("{shown} and {rest} more", shown=shown, rest=rest) if rest > 0 else shown


def _numbers(what: str, values: ArrayLike) -> Numbers:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise DataError(
            t("{what} must be one number an utterance, shape [n]; got shape {shape}", what=what, shape=array.shape)
        )
    _refuse_infinite(what, array)
    return array


def _refuse_infinite(what: str, array: Numbers) -> None:
    # Beyond what a float32 holds, squares would overflow; infinity and NaN fail the comparison, too.
    fits = np.abs(array) <= np.finfo(np.float32).max
    finite = fits if array.ndim == 1 else fits.all(axis=1)
    if bad := int((~finite).sum()):
        message = t(
            "{what}: {bad} of {n} are not finite numbers, first at index {index}. Such a model has no scores.",
            what=what,
            bad=bad,
            n=len(array),
            index=int(np.argmin(finite)),
        )
        raise DataError(message)


def _probabilities(values: ArrayLike, n: int) -> Numbers:
    array = np.asarray(values, np.float64)
    if array.shape != (n, CLASSES):
        raise DataError(
            t("class probabilities must have shape {expected}, got {got}", expected=(n, CLASSES), got=array.shape)
        )
    _refuse_infinite(t("class probabilities"), array)
    wrong = (array < 0).any(axis=1) | (np.abs(array.sum(axis=1) - 1) > _TOO_FAR_FROM_ONE)
    if wrong.any():
        message = t(
            "class probabilities must not be negative and must add up to 1; at index {index} they are {got}. "
            "Logits have to go through softmax first.",
            index=int(np.argmax(wrong)),
            got=np.round(array[np.argmax(wrong)], 4).tolist(),
        )
        raise DataError(message)
    return array
