"""Features on a common clock: steps averaged into bins of equal length."""

import math

import numpy as np

from trisent.types import Features

_SLACK = 1e-4  # of a bin: float32 puts 0.7 s a hair before the bin that begins there


def at_rate(features: Features, rate_hz: float, *, span: tuple[float, float] | None = None) -> Features:
    """Average the visible steps of each bin of 1 / rate_hz seconds; a bin without any is masked, values zero.

    >>> times = np.array([0.1, 0.3, 1.2], np.float32)
    >>> once = at_rate(Features(np.array([[1.0], [3.0], [5.0]], np.float32), times, np.ones(3, bool)), 1.0)
    >>> once.values.ravel().tolist(), once.times.tolist()
    ([2.0, 5.0], [0.5, 1.5])

    Args:
        features: steps with ascending times in seconds (audio, video; the pieces of a text have none).
        rate_hz: bins a second.
        span: first and last second covered, on the clock of the steps; None covers from 0 to the last step.

    Returns:
        Features [bins, dim] with the times of the bins' centres. A bin belongs to its beginning, not to its end.
    """
    values, steps = features.values, features.times.astype(np.float64)
    if span is None:
        start, count = 0.0, int(steps[-1] * rate_hz + _SLACK) + 1 if len(steps) else 0
    else:
        start, count = span[0], max(0, math.ceil((span[1] - span[0]) * rate_hz - _SLACK))
    pooled = np.zeros((count, values.shape[1]), np.float32)
    mask = np.zeros(count, np.bool_)
    times = (start + (np.arange(count) + 0.5) / rate_hz).astype(np.float32)
    visible = np.flatnonzero(features.mask)
    if count and len(visible):
        # The last frame may be shown at the very end: it belongs to the last bin.
        bins = np.clip(np.floor((steps[visible] - start) * rate_hz + _SLACK).astype(int), 0, count - 1)
        filled, firsts = np.unique(bins, return_index=True)
        sums = np.add.reduceat(values[visible].astype(np.float64), firsts, axis=0)
        pooled[filled] = sums / np.diff([*firsts, len(visible)])[:, None]
        mask[filled] = True
    return Features(pooled, times, mask)
