"""Statistics of every column of features, in one pass that holds no more than a few megabytes of steps at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from trisent.data.dataset import Sequences
from trisent.types import Floats

_VALUES_AT_ONCE = 4_000_000
_ROWS_FOR_SPREAD = 20_000


@dataclass(frozen=True, slots=True)
class Columns:
    """What the visible steps of one modality look like; low, high, mean and std are of the finite values.

    Attributes:
        pooled: mean of an utterance's visible finite steps [utterances, dim]; NaN where there is none.
        seen: the utterance has a visible step [utterances].
        broken: one of its visible values is NaN or infinite [utterances].
        blank: all its visible values are 0 [utterances].
        steps: visible steps.
        nan, above, below: how often NaN, inf, -inf occur [dim].
        zeros: share of the visible values that are exactly 0 [dim].
        low, high, mean, std: [dim]; NaN where nothing is finite.
        centre: median [dim] of up to 20,000 steps.
        spread: distance to `centre` that 99 % of these steps stay within [dim].
    """

    pooled: Floats
    seen: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    steps: int
    nan: NDArray[np.int64]
    above: NDArray[np.int64]
    below: NDArray[np.int64]
    zeros: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def nonfinite(self) -> NDArray[np.int64]:
        """How often anything but a finite number occurs [dim]."""
        return self.nan + self.above + self.below


def measure(sequences: Sequences) -> Columns:
    """Measure one modality."""
    n, dim = len(sequences), sequences.dim
    pooled = np.full((n, dim), np.nan, np.float32)
    seen, broken, blank = (np.zeros(n, np.bool_) for _ in range(3))
    nan, above, below, finite_count, zeros = (np.zeros(dim, np.int64) for _ in range(5))
    total, squares = np.zeros(dim), np.zeros(dim)
    low, high = np.full(dim, np.inf), np.full(dim, -np.inf)
    steps = 0
    for values, owner in _chunks(sequences):
        steps += len(values)
        finite = np.isfinite(values)
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        who = owner[starts]
        seen[who] = True
        counts = np.diff(np.append(starts, len(owner)))[:, None].astype(np.float64)
        if whole := bool(finite.all()):
            low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
            finite_count += len(values)
        else:
            nan += np.isnan(values).sum(axis=0)
            above += np.isposinf(values).sum(axis=0)
            below += np.isneginf(values).sum(axis=0)
            broken[owner[~finite.all(axis=1)]] = True
            low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0))
            high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0))
            finite_count += finite.sum(axis=0)
            counts = np.add.reduceat(finite.astype(np.int64), starts, axis=0).astype(np.float64)
            values = np.where(finite, values, np.float32(0))
        zero = values == 0 if whole else (values == 0) & finite
        zeros += zero.sum(axis=0)
        blank[who] = np.logical_and.reduceat(zero.all(axis=1), starts)
        # A sparse matrix of ones adds up the steps of each utterance, several times faster than reduceat.
        ends = np.append(starts, len(owner))
        ones = csr_array((np.ones(len(owner), np.float32), np.arange(len(owner)), ends), (len(starts), len(owner)))
        sums = np.asarray(ones @ values, np.float64)
        total += sums.sum(axis=0)
        squares += np.einsum("ij,ij->j", values, values, dtype=np.float64, casting="same_kind")
        with np.errstate(invalid="ignore"):  # no finite step: 0 / 0 is NaN, as it should be
            pooled[who] = sums / counts
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / finite_count
        std = np.sqrt(np.maximum(squares / finite_count - mean**2, 0))
    nothing = finite_count == 0
    centre, spread = _spread(sequences)
    return Columns(
        pooled, seen, broken, blank, steps, nan, above, below, zeros / max(steps, 1),
        np.where(nothing, np.nan, low), np.where(nothing, np.nan, high), mean, std, centre, spread,
    )  # fmt: skip


def _chunks(sequences: Sequences) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Yield the visible steps of some utterances at a time, and whose they are; never an empty chunk."""
    offsets, first = sequences.offsets, 0
    at_once = max(1, _VALUES_AT_ONCE // max(sequences.dim, 1))
    while first < len(sequences):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + at_once, "right")) - 1)
        rows = slice(int(offsets[first]), int(offsets[last]))
        mask = sequences.mask[rows]
        owner = np.repeat(np.arange(first, last), sequences.lengths[first:last])
        values = sequences.values[rows].astype(np.float32, copy=False)
        if not mask.all():
            values, owner = values[mask], owner[mask]
        if len(values):
            yield values, owner
        first = last


def _spread(sequences: Sequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    visible = np.flatnonzero(sequences.mask)
    if not len(visible):
        return np.full(sequences.dim, np.nan), np.full(sequences.dim, np.nan)
    chosen = visible[np.unique(np.linspace(0, len(visible) - 1, _ROWS_FOR_SPREAD).astype(np.int64))]
    values = sequences.values[chosen].astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    some = np.isfinite(values).any(axis=0)
    centre, spread = np.full(sequences.dim, np.nan), np.full(sequences.dim, np.nan)
    centre[some] = np.nanmedian(values[:, some], axis=0)
    spread[some] = np.nanpercentile(np.abs(values[:, some] - centre[some]), 99, axis=0)
    return centre, spread
