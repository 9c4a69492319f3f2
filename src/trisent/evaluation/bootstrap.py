"""Intervals by resampling whole videos.

Utterances of one video share a speaker, a topic and a label's bias, so they are not independent: drawing utterances
would make intervals too narrow. Videos are drawn with replacement, and every figure is a function of the drawn sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from trisent.errors import UsageError
from trisent.evaluation.figures import Figure
from trisent.evaluation.predictions import Numbers, Predictions
from trisent.i18n import t
from trisent.types import OnProgress, no_progress

LEVEL = 0.95
_CELLS = 1 << 22  # counts held at a time: 32 MB
_FEWEST = 100  # the ends of a 95 % interval would rest on two or three resamples


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of a figure's resamples; `nan` when it is defined in none of them, or there is but one video."""

    low: float
    high: float

    def to_json(self) -> list[float | None]:
        """Return [low, high]; what is not defined is None."""
        return [None if value != value else value for value in (self.low, self.high)]


_NOTHING = Interval(float("nan"), float("nan"))  # one video drawn again and again is always the same


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a second run differs from a first in one figure.

    Attributes:
        value: second minus first.
        interval: of that difference.
        p: two-sided, of "no difference": twice the smaller share of resamples on either side of 0.
    """

    value: float
    interval: Interval
    p: float


@dataclass(frozen=True, slots=True)
class Resampling:
    """How to draw: `resamples` times, from `seed`."""

    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_negative_seed(self.seed)
        if self.resamples < _FEWEST:
            raise UsageError(
                t("a bootstrap needs at least {fewest} resamples, got {got}", fewest=_FEWEST, got=self.resamples)
            )


def refuse_negative_seed(seed: int) -> None:
    """Raise UsageError for a seed that no generator takes."""
    if seed < 0:
        raise UsageError(t("{name} must be at least {least}, got {value}", name="seed", least=0, value=seed))


def intervals(
    predictions: Predictions,
    figures: Sequence[Figure],
    *,
    resampling: Resampling,
    on_progress: OnProgress = no_progress,
) -> dict[str, Interval]:
    """Give each figure its interval, by key; utterances stand alone where their videos are not known."""
    places, count = _places(predictions.videos, len(predictions))
    if count == 1:
        return {figure.key: _NOTHING for figure in figures}
    sums = _by_video(predictions, figures, places=places)
    parts: dict[str, list[Numbers]] = {figure.key: [] for figure in figures}
    for counts in _draws(count, resampling, on_progress=on_progress):
        for figure in figures:
            parts[figure.key].append(figure.value(counts @ sums[figure.key]))
    return {key: _middle(np.concatenate(drawn)) for key, drawn in parts.items()}


def differences(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    *,
    figures: Sequence[Figure],
    resampling: Resampling,
    on_progress: OnProgress = no_progress,
) -> dict[str, Difference]:
    """Compare two runs, each given as one `Predictions` a seed, all of the same utterances in the same order.

    Both runs are judged on the same drawn videos. With several seeds the seeds of each run are drawn too, and widened
    as `_seed_weights` says; a run's figure is the mean over those drawn.
    """
    places, count = _places(known_videos([*first, *second]), len(first[0]))
    sums = [[_by_video(seed, figures, places=places) for seed in run] for run in (first, second)]
    parts: dict[str, list[Numbers]] = {figure.key: [] for figure in figures}
    random = np.random.default_rng([resampling.seed, 1])
    freedom = sum(len(run) - 1 for run in sums)
    for counts in _draws(count, resampling, on_progress=on_progress):
        weights = [_seed_weights(len(run), len(counts), freedom=freedom, random=random) for run in sums]
        for figure in figures:
            drawn = [_means(run, figure, counts=counts, weights=w) for w, run in zip(weights, sums, strict=True)]
            parts[figure.key].append(drawn[1] - drawn[0])
    found = {}
    for figure in figures:
        a, b = (float(np.mean([figure.of(seed)[0] for seed in run])) for run in (first, second))
        every = np.concatenate(parts[figure.key])
        interval, p = (_middle(every), _two_sided(every)) if count > 1 else (_NOTHING, float("nan"))
        found[figure.key] = Difference(b - a, interval, p)
    return found


def mean_intervals(
    run: Sequence[Predictions],
    figures: Sequence[Figure],
    *,
    resampling: Resampling,
    on_progress: OnProgress = no_progress,
) -> dict[str, Interval]:
    """Give the mean over seeds of each figure its interval, by key: videos are drawn, and seeds, as in `differences`.

    Args:
        run: one `Predictions` a seed, all of the same utterances in the same order.
        figures: what to compute.
        resampling: how to draw.
        on_progress: told of resamples.
    """
    places, count = _places(known_videos(run), len(run[0]))
    if count == 1:
        return {figure.key: _NOTHING for figure in figures}
    sums = [_by_video(seed, figures, places=places) for seed in run]
    parts: dict[str, list[Numbers]] = {figure.key: [] for figure in figures}
    random = np.random.default_rng([resampling.seed, 1])
    for counts in _draws(count, resampling, on_progress=on_progress):
        weights = _seed_weights(len(run), len(counts), freedom=len(run) - 1, random=random)
        for figure in figures:  # widened, it may have left what the figure can be
            parts[figure.key].append(_means(sums, figure, counts=counts, weights=weights).clip(*figure.limits))
    return {key: _middle(np.concatenate(drawn)) for key, drawn in parts.items()}


def known_videos(same: Sequence[Predictions]) -> tuple[str, ...] | None:
    """Return the videos of utterances that several files hold in one order: of the first file that knows them."""
    return next((predictions.videos for predictions in same if predictions.videos is not None), None)


def _seed_weights(seeds: int, resamples: int, *, freedom: int, random: np.random.Generator) -> Numbers:
    """Draw how much each seed weighs in each resample [resamples, seeds]; rows sum to 1.

    Drawn from themselves, a handful of seeds vary less than new ones would: two of them by half the variance. So the
    weights are taken farther from equal ones, as a t-test over seeds would have it: sqrt(seeds / (seeds - 1)) makes the
    variance of a mean over seeds unbiased, and Student's quantile in place of the normal one allows for its being
    estimated from `freedom` degrees.
    """
    weights: Numbers = random.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    if seeds == 1:
        return weights
    factor = np.sqrt(seeds / (seeds - 1)) * stdtrit(freedom, (1 + LEVEL) / 2) / ndtri((1 + LEVEL) / 2)
    wider: Numbers = 1 / seeds + factor * (weights - 1 / seeds)
    return wider


def _means(run: Sequence[dict[str, Numbers]], figure: Figure, *, counts: Numbers, weights: Numbers) -> Numbers:
    """Compute a figure's weighted mean over seeds in each resample [resamples], from each seed's sums by video."""
    values = np.stack([figure.value(counts @ seed[figure.key]) for seed in run], axis=1)
    mean: Numbers = (weights * values).sum(axis=1)
    return mean


def _places(videos: Sequence[str] | None, n: int) -> tuple[NDArray[np.int64], int]:
    """Number the videos: the number of each utterance's [n], and how many there are."""
    if videos is None:
        return np.arange(n), n
    names, places = np.unique(np.array(videos), return_inverse=True)
    return places, len(names)


def _by_video(predictions: Predictions, figures: Sequence[Figure], *, places: NDArray[np.int64]) -> dict[str, Numbers]:
    found = {}
    for figure in figures:
        terms = figure.terms(predictions)
        total = np.zeros((int(places.max()) + 1, terms.shape[1]))
        np.add.at(total, places, terms)
        found[figure.key] = total
    return found


def _draws(videos: int, resampling: Resampling, *, on_progress: OnProgress) -> Iterator[Numbers]:
    """Yield counts [resamples of this chunk, videos]: how often each video was drawn."""
    random = np.random.default_rng([resampling.seed, 0])
    chunk = max(1, min(resampling.resamples, _CELLS // videos))
    for start in range(0, resampling.resamples, chunk):
        rows = min(chunk, resampling.resamples - start)
        drawn = random.integers(videos, size=(rows, videos)) + videos * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * videos).reshape(rows, videos).astype(np.float64)
        on_progress(t("bootstrap"), start + rows, resampling.resamples)


def _middle(drawn: Numbers) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _two_sided(drawn: Numbers) -> float:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return float("nan")
    # One more on either side: with B resamples nothing can be less probable than 2 in B + 1.
    below, above = (int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (min(below, above) + 1) / (len(defined) + 1))
