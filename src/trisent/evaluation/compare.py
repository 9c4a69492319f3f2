"""Two runs on the same utterances: how much they differ, and whether that could be chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from trisent.errors import DataError
from trisent.evaluation.bootstrap import Difference, Resampling, differences
from trisent.evaluation.figures import BINARIES, Binary, Figure, figures_for
from trisent.evaluation.predictions import Predictions, some
from trisent.i18n import t
from trisent.types import OnProgress, no_progress

_SAME_LABEL = 1e-4  # files print labels, which are thirds, with four decimals or more


@dataclass(frozen=True, slots=True)
class Run:
    """A model's predictions, one `Predictions` a seed, all of the same utterances in the same order."""

    name: str
    seeds: tuple[Predictions, ...]

    def mean(self, figure: Figure) -> tuple[float, float]:
        """Return mean and population standard deviation of a figure over seeds."""
        values = [figure.of(seed)[0] for seed in self.seeds]
        return float(np.mean(values)), float(np.std(values))


@dataclass(frozen=True, slots=True)
class McNemar:
    """The exact test of equal accuracy under one binary convention.

    Attributes:
        n: utterances the convention counts.
        only_first: judged right by the first run alone.
        only_second: judged right by the second run alone.
        p: two-sided exact binomial probability. It takes utterances for independent; those of one video are not.
    """

    n: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A second run against a first, by figure and by binary convention.

    Attributes:
        differences: by key of the figure.
        tests: by key of the binary convention, one test for each pair of seeds.
    """

    first: Run
    second: Run
    differences: dict[str, Difference]
    tests: dict[str, tuple[McNemar, ...]]

    def p(self, binary: str) -> float:
        """Return McNemar's p over all pairs of seeds: twice the median, which holds however they depend.

        The median is that of one side, the smaller, so pairs that differ in opposite directions are no evidence.
        """
        tests = self.tests[binary]
        if len(tests) == 1:
            return tests[0].p
        sides = (
            [one_sided_p(t_.only_first, t_.only_second) for t_ in tests],
            [one_sided_p(t_.only_second, t_.only_first) for t_ in tests],
        )
        return min(1.0, 2 * 2 * min(float(np.median(side)) for side in sides))


def compare(first: Run, second: Run, *, resampling: Resampling, on_progress: OnProgress = no_progress) -> Comparison:
    """Compare two runs whose predictions are of the same utterances in the same order (see `aligned`)."""
    probable = all(seed.probabilities is not None for run in (first, second) for seed in run.seeds)
    figures = [f for f in figures_for(first.seeds[0]) if probable or not f.needs_probabilities]
    found = differences(first.seeds, second.seeds, figures=figures, resampling=resampling, on_progress=on_progress)
    tests = {
        binary.key: tuple(mcnemar(a, b, binary=binary) for a in first.seeds for b in second.seeds)
        for binary in BINARIES
    }
    return Comparison(first, second, found, tests)


def mcnemar(first: Predictions, second: Predictions, *, binary: Binary) -> McNemar:
    """Test whether two predictions of the same utterances, in the same order, are right equally often."""
    said_first, truth, keep = binary.sides(first)
    said_second = binary.sides(second)[0]
    right_first, right_second = (said_first == truth) & keep, (said_second == truth) & keep
    only_first, only_second = int((right_first & ~right_second).sum()), int((right_second & ~right_first).sum())
    return McNemar(int(keep.sum()), only_first, only_second, exact_p(only_first, only_second))


def exact_p(only_first: int, only_second: int) -> float:
    """Return the two-sided exact probability of a split at least so uneven when both are equally good.

    >>> round(exact_p(1, 6), 6)  # 2 * (1 + 7) / 2**7
    0.125
    """
    return min(1.0, 2 * min(one_sided_p(only_first, only_second), one_sided_p(only_second, only_first)))


def one_sided_p(fewer: int, more: int) -> float:
    """Return the exact probability of at most `fewer` out of both when either side is as likely."""
    return float(bdtr(fewer, fewer + more, 0.5)) if fewer + more else 1.0


def aligned(reference: Predictions, other: Predictions, *, name: str) -> Predictions:
    """Put `other` into the order of `reference`, by id; without ids on either side, the order must be the same.

    Raises:
        DataError: the sets of utterances or their labels differ; the message names the ids.
    """
    if (reference.ids is None) != (other.ids is None):
        raise DataError(t("{name}: only one of the two files has ids, so they cannot be paired", name=name))
    if reference.ids is None or other.ids is None:
        if len(reference) != len(other):
            message = "{name}: {got} utterances, the first file has {n}; without ids they cannot be paired"
            raise DataError(t(message, name=name, got=len(other), n=len(reference)))
        matched = other
    else:
        _refuse_other_ids(reference.ids, other.ids, name=name)
        place = {id_: i for i, id_ in enumerate(other.ids)}
        matched = _take(other, np.array([place[id_] for id_ in reference.ids]))
    differ = np.flatnonzero(np.abs(matched.truth - reference.truth) > _SAME_LABEL)
    if len(differ):
        names = [reference.ids[i] if reference.ids else t("index {index}", index=i) for i in differ]
        message = "{name}: {n} labels differ from those of the first file: {ids}"
        raise DataError(t(message, name=name, n=len(differ), ids=some(names)))
    return matched


def _refuse_other_ids(expected: Sequence[str], got: Sequence[str], *, name: str) -> None:
    missing, extra = ([i for i in a if i not in set_b] for a, set_b in ((expected, set(got)), (got, set(expected))))
    reasons = []
    if missing:
        reasons.append(t("{n} ids are missing ({ids})", n=len(missing), ids=some(missing)))
    if extra:
        reasons.append(t("{n} are in it alone ({ids})", n=len(extra), ids=some(extra)))
    if reasons:
        message = (
            "{name} is not of the same utterances as the first file: {reasons}. Compare what was judged on one set."
        )
        raise DataError(t(message, name=name, reasons="; ".join(reasons)))


def _take(predictions: Predictions, order: np.ndarray) -> Predictions:
    def pick(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if names is None else tuple(names[i] for i in order)

    return Predictions(
        predictions.predicted[order],
        predictions.truth[order],
        pick(predictions.ids),
        pick(predictions.videos),
        None if predictions.probabilities is None else predictions.probabilities[order],
        {name: tuple(cells[i] for i in order) for name, cells in predictions.columns.items()},
        predictions.stretch,
    )
