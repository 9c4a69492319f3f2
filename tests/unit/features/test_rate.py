"""Steps averaged into bins."""

import numpy as np

from trisent.features.rate import at_rate
from trisent.types import Features


def features(values: list[float], times: list[float], mask: list[bool] | None = None) -> Features:
    seen = np.ones(len(values), np.bool_) if mask is None else np.array(mask)
    return Features(np.array(values, np.float32)[:, None] * np.ones(3, np.float32), np.array(times, np.float32), seen)


def test_bins_hold_the_mean_of_their_visible_steps() -> None:
    steps = features([1, 3, 100, 7], [0.1, 0.4, 0.45, 0.6], [True, True, False, True])
    binned = at_rate(steps, 2.0)
    assert binned.values.tolist() == [[2.0] * 3, [7.0] * 3]
    assert binned.times.tolist() == [0.25, 0.75]
    assert binned.mask.tolist() == [True, True]


def test_a_bin_without_visible_steps_keeps_its_place_and_is_masked() -> None:
    binned = at_rate(features([1, 5, 9], [0.5, 1.5, 3.5], [True, False, True]), 1.0)
    assert binned.mask.tolist() == [True, False, False, True]
    assert binned.values[:, 0].tolist() == [1.0, 0.0, 0.0, 9.0]


def test_means_agree_with_a_loop_over_the_steps() -> None:
    random = np.random.default_rng(0)
    times = np.sort(random.uniform(0, 7, 350)).astype(np.float32)
    steps = Features(random.standard_normal((350, 5)).astype(np.float32), times, random.random(350) < 0.7)
    binned = at_rate(steps, 10.0)
    for k, (value, seen) in enumerate(zip(binned.values, binned.mask, strict=True)):
        inside = [v for v, time, m in zip(steps.values, times, steps.mask, strict=True) if m and int(time * 10) == k]
        assert seen == bool(inside)
        if inside:
            np.testing.assert_allclose(value, np.mean(inside, axis=0), atol=1e-6)


def test_float32_times_fall_into_the_bin_that_begins_with_them() -> None:
    times = [k / 10 for k in range(100)]
    binned = at_rate(features([float(k) for k in range(100)], times), 10.0)
    assert binned.values[:, 0].tolist() == list(range(100))


def test_a_span_fixes_the_number_of_bins() -> None:
    steps = features([1, 2, 3], [100.2, 101.4, 102.0])  # the last frame is shown at the very end
    binned = at_rate(steps, 1.0, span=(99.0, 102.0))
    assert binned.times.tolist() == [99.5, 100.5, 101.5]
    assert binned.values[:, 0].tolist() == [0.0, 1.0, 2.5]
    assert binned.mask.tolist() == [False, True, True]


def test_a_span_that_is_no_whole_number_of_bins_ends_in_a_bin_begun() -> None:
    assert len(at_rate(features([1], [0.1]), 10.0, span=(0.0, 0.7)).times) == 7
    assert len(at_rate(features([1], [0.1]), 10.0, span=(0.0, 0.71)).times) == 8


def test_without_steps_there_are_no_bins_unless_a_span_says_so() -> None:
    nothing = Features(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_))
    assert at_rate(nothing, 5.0).values.shape == (0, 4)
    binned = at_rate(nothing, 5.0, span=(0.0, 1.0))
    assert binned.values.shape == (5, 4)
    assert not binned.mask.any()
