"""Which rows of one sequence belong to which interval of another, as CMU's SDK aligns.

The rules are those of `mmdataset.align` in CMU-MultimodalSDK (mmsdk/mmdatasdk/dataset/dataset.py, commit 3e27d37), with
epsilon 10 µs, a reference from a to b and a row from s to e:

- a reference shorter than epsilon has no rows;
- a row belongs to the reference if s < b + epsilon and e > a - epsilon, and what they have in common, from max(s, a) to
  min(e, b), is longer than epsilon either way round. So touching is not enough, a row without length never belongs,
  and a reversed row (s > e) belongs if it lies inside; a row may belong to several references;
- rows go by their beginnings; the average is over rows, each counting the same however short its share is; NaN and
  infinity go into it.

Where nothing belongs, the SDK has no entry, which its users fill with zeros. Here the step stays and is masked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trisent.data.csd.files import Doubles
from trisent.types import Floats

EPSILON_S = 10e-6

_MOST_PAIRS = 4_000_000  # candidates looked at together, which bounds the memory that one row over a whole video costs


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which row belongs to which reference, ordered by reference, then by row.

    Attributes:
        reference: int64 [pairs].
        row: int64 [pairs].
        shared: float64 [pairs, 2], from when to when they are at the same time, seconds.
    """

    reference: NDArray[np.int64]
    row: NDArray[np.int64]
    shared: Doubles


def overlaps(references: Doubles, rows: Doubles) -> Pairs:
    """Find the rows that belong to each reference.

    >>> overlaps(np.array([[0.0, 1.0]]), np.array([[0.0, 0.5], [0.5, 1.5], [1.0, 2.0]])).row.tolist()
    [0, 1]

    Args:
        references: [references, 2] seconds, in any order; they may overlap.
        rows: [rows, 2] seconds, in the order of their beginnings.
    """
    # Rows that begin before the reference ends come first; of these, none before the first that is over late enough.
    margin = 2 * EPSILON_S
    last = np.searchsorted(rows[:, 0], references[:, 1] + margin)
    ends = np.where(np.isnan(rows[:, 1]), -np.inf, rows[:, 1])
    first = np.searchsorted(np.maximum.accumulate(ends), references[:, 0] - margin)
    counts = np.maximum(last - first, 0)
    counts[~(np.abs(references[:, 0] - references[:, 1]) >= EPSILON_S)] = 0
    found = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))]
    done, total = 0, np.cumsum(counts)
    while done < len(references):
        before = int(total[done - 1]) if done else 0
        end = max(done + 1, int(np.searchsorted(total, before + _MOST_PAIRS, side="right")))
        found.append(_checked(references, rows, np.arange(done, end), first[done:end], counts[done:end]))
        done = end
    return Pairs(
        np.concatenate([f.reference for f in found]),
        np.concatenate([f.row for f in found]),
        np.concatenate([f.shared for f in found]),
    )


def _checked(
    references: Doubles,
    rows: Doubles,
    which: NDArray[np.int64],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Pairs:
    """Keep of the candidates first, first + 1, ... of each reference those that belong."""
    reference = np.repeat(which, counts)
    row = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    (a, b), (s, e) = references[reference].T, rows[row].T
    shared = np.stack([np.maximum(s, a), np.minimum(e, b)], axis=1)
    belongs = (b - s > -EPSILON_S) & (e - a > -EPSILON_S) & (np.abs(shared[:, 0] - shared[:, 1]) > EPSILON_S)
    return Pairs(reference[belongs], row[belongs], shared[belongs])


def average(values: NDArray[np.floating], pairs: Pairs, *, references: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Average the rows of each reference.

    Args:
        values: [rows, width].
        pairs: which row belongs to which reference.
        references: how many there are.

    Returns:
        Means [references, width], 0 where no row belongs, and where one does [references].
    """
    counts = np.bincount(pairs.reference, minlength=references)
    means = np.zeros((references, values.shape[1]), np.float32)
    there = counts > 0
    if there.any():
        begins = (np.cumsum(counts) - counts)[there]
        with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity; float64 beyond float32
            sums = np.add.reduceat(values[pairs.row], begins, axis=0, dtype=np.float64)
            means[there] = sums / counts[there, None]
    return means, there
