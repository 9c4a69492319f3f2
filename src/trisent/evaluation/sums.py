"""Figures as functions of sums over utterances.

Every figure here is `value(terms.sum(axis=0))`, with a row of `terms` an utterance. So one definition serves the whole
set, any group of it, and a bootstrap: a resample of whole videos is a matrix product of counts with the videos' sums.
The first term is always 1 where the utterance counts and 0 where it is left out; its sum is the figure's n.
"""

import numpy as np
from numpy.typing import NDArray

from trisent.evaluation.predictions import Numbers

Bools = NDArray[np.bool_]

# Sums of squares that cancel to less than this share of themselves are rounding noise: the values are all the same.
_NOISE = 1e-12
ECE_BINS = 15


def mean_terms(values: Numbers | Bools, keep: Bools) -> Numbers:
    """Make terms [n, 2] for the mean of `values` where `keep`."""
    return np.stack([keep.astype(np.float64), np.where(keep, values, 0.0)], axis=1)


def mean(sums: Numbers) -> Numbers:
    """Turn sums [..., 2] into means; nan where nothing counts."""
    return _ratio(sums[..., 1], sums[..., 0])


def moment_terms(p: Numbers, y: Numbers, keep: Bools) -> Numbers:
    """Make terms [n, 7] for correlations where `keep`."""
    if not keep.any():
        return np.zeros((len(p), 7))
    # Shifts do not change a correlation. Of a constant, the median is exact, so its deviations are exactly 0.
    a, b = p - np.median(p[keep]), y - np.median(y[keep])
    terms = np.stack([np.ones(len(p)), a, b, a * a, b * b, a * b, p - y], axis=1)
    return np.where(keep[:, None], terms, 0.0)


def pearson(sums: Numbers) -> Numbers:
    """Turn sums [..., 7] into Pearson's r; nan where the predictions or the labels are all the same."""
    n, a, b, aa, bb, ab, _ = np.moveaxis(sums, -1, 0)
    spread_a, spread_b = _spread(n, a, aa), _spread(n, b, bb)
    return np.clip(_ratio(n * ab - a * b, np.sqrt(spread_a * spread_b)), -1.0, 1.0)


def concordance(sums: Numbers) -> Numbers:
    """Turn sums [..., 7] into Lin's coefficient; nan where all predictions and labels are one and the same number."""
    n, a, b, aa, bb, ab, difference = np.moveaxis(sums, -1, 0)
    spread_a, spread_b = _spread(n, a, aa), _spread(n, b, bb)
    together = np.where((spread_a > 0) & (spread_b > 0), n * ab - a * b, 0.0)
    return _ratio(2 * together, spread_a + spread_b + difference**2)


def binary_terms(p: Bools, y: Bools, keep: Bools) -> Numbers:
    """Make terms [n, 4] of a two-class table where `keep`: counted, said yes, is yes, both."""
    return np.stack([keep, p & keep, y & keep, p & y & keep], axis=1).astype(np.float64)


def weighted_f1(sums: Numbers) -> Numbers:
    """Turn sums [..., 4] into F1 averaged over both classes by how many labels each has."""
    n, said, is_, both = np.moveaxis(sums, -1, 0)
    neither = n - said - is_ + both
    yes, no = _f1(both, said + is_), _f1(neither, 2 * n - said - is_)
    return _ratio(is_ * yes + (n - is_) * no, n)


def weighted_f1_swapped(sums: Numbers) -> Numbers:
    """Turn sums [..., 4] into F1 weighted by the *predicted* counts, as f1_score(predictions, labels) gives it."""
    return weighted_f1(sums[..., [0, 2, 1, 3]])


def calibration_terms(probabilities: Numbers, classes: NDArray[np.int64]) -> Numbers:
    """Make terms [n, 1 + 2 * bins]: counted, and in the bin of its confidence the confidence and whether it is right.

    Args:
        probabilities: [n, classes].
        classes: index of the true class [n].
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == classes
    # Bins are (low, high], as in the paper.
    place = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    rows = np.arange(len(classes))
    terms = np.zeros((len(classes), 1 + 2 * ECE_BINS))
    terms[:, 0] = 1
    terms[rows, 1 + place] = confidence
    terms[rows, 1 + ECE_BINS + place] = right
    return terms


def calibration_error(sums: Numbers) -> Numbers:
    """Turn sums [..., 1 + 2 * bins] into the expected calibration error."""
    gaps = sums[..., 1 : 1 + ECE_BINS] - sums[..., 1 + ECE_BINS :]
    return _ratio(np.abs(gaps).sum(axis=-1), sums[..., 0])


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    defined = below > 0
    return np.where(defined, above / np.where(defined, below, 1.0), np.nan)


def _f1(both: Numbers, said_and_is: Numbers) -> Numbers:
    return np.where(said_and_is > 0, 2 * both / np.maximum(said_and_is, 1.0), 0.0)


def _spread(n: Numbers, a: Numbers, aa: Numbers) -> Numbers:
    spread = n * aa - a * a
    return np.where(spread > _NOISE * n * aa, spread, 0.0)
