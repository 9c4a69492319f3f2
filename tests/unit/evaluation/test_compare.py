"""Comparing runs: McNemar against sums by hand, pairing by id, and what is refused."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2

from trisent.errors import DataError
from trisent.evaluation.bootstrap import Resampling
from trisent.evaluation.compare import Run, aligned, compare, exact_p, mcnemar
from trisent.evaluation.figures import BINARIES
from trisent.evaluation.predictions import Predictions, predictions_of

HAS0, NON0, GE_NON0, GT_ALL = BINARIES


def made(seed: int, *, noise: float = 1.0, n: int = 120) -> Predictions:
    y = np.round(np.random.default_rng(0).normal(0, 1, n) * 3) / 3
    p = y + np.random.default_rng(seed).normal(0, noise, n)
    return predictions_of(p, y, ids=[f"v{i // 4}[{i % 4}]" for i in range(n)])


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (3, 3), (1, 6), (10, 25), (80, 50)])
def test_the_exact_probability_is_the_sum_of_binomial_terms(b: int, c: int) -> None:
    by_hand = min(1.0, 2 * sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c))
    assert exact_p(b, c) == pytest.approx(by_hand, abs=1e-12)
    if b + c:
        assert exact_p(b, c) == pytest.approx(binomtest(b, b + c).pvalue, abs=1e-12)


def test_for_many_utterances_it_is_mcnemars_corrected_chi_square() -> None:
    assert exact_p(400, 460) == pytest.approx(chi2.sf((abs(400 - 460) - 1) ** 2 / 860, 1), rel=0.01)


def test_the_table_counts_who_alone_is_right_under_each_convention() -> None:
    y = [1.0, 1.0, -1.0, 0.0, 0.0]
    first = predictions_of([0.5, -0.5, 0.5, 0.0, 0.5], y)
    second = predictions_of([0.5, 0.5, 0.0, -0.5, -0.5], y)
    # first right, second right: has0 y y, n y, n n, y n, y n; > 0 all: y y, n y, n y, y y, n y
    found = {binary.key: mcnemar(first, second, binary=binary) for binary in BINARIES}
    counts = {key: (test.n, test.only_first, test.only_second) for key, test in found.items()}
    assert counts == {"has0": (5, 2, 1), "non0": (3, 0, 2), "ge_non0": (3, 0, 1), "gt_all": (5, 0, 3)}


def test_rows_are_paired_by_id_whatever_their_order() -> None:
    a = made(1)
    assert a.ids is not None
    order = np.random.default_rng(5).permutation(len(a))
    shuffled = predictions_of(a.predicted[order], a.truth[order], ids=[a.ids[i] for i in order])
    back = aligned(a, shuffled, name="b.csv")
    assert back.ids == a.ids
    np.testing.assert_array_equal(back.predicted, a.predicted)
    assert back.videos == a.videos


def test_a_set_that_does_not_match_is_refused_with_the_ids() -> None:
    a = predictions_of([0, 0, 0], [0, 1, 2], ids=["x", "y", "z"])
    b = predictions_of([0, 0, 0], [0, 1, 2], ids=["x", "y", "w"])
    with pytest.raises(DataError, match=r"b.csv.*1 ids are missing \(z\).*1 are in it alone \(w\)"):
        aligned(a, b, name="b.csv")


def test_labels_that_differ_are_refused_with_the_ids() -> None:
    a = predictions_of([0, 0, 0], [0, 1, 2], ids=["x", "y", "z"])
    b = predictions_of([0, 0, 0], [0, -1, 2.00001], ids=["x", "y", "z"])
    with pytest.raises(DataError, match=r"1 labels differ.*: y$"):
        aligned(a, b, name="b.csv")


def test_without_ids_the_order_must_be_the_same() -> None:
    a = predictions_of([0, 0], [0, 1])
    assert aligned(a, predictions_of([1, 1], [0, 1]), name="b").predicted.tolist() == [1, 1]
    with pytest.raises(DataError, match="labels differ"):
        aligned(a, predictions_of([1, 1], [1, 0]), name="b")
    with pytest.raises(DataError, match="3 utterances"):
        aligned(a, predictions_of([1, 1, 1], [0, 1, 0]), name="b")
    with pytest.raises(DataError, match="only one of the two"):
        aligned(a, predictions_of([1, 1], [0, 1], ids=["x", "y"]), name="b")


def test_a_clearly_better_run_is_told_apart_by_both_tests() -> None:
    good, bad = Run("good", (made(1, noise=0.3),)), Run("bad", (made(2, noise=2.5),))
    found = compare(bad, good, resampling=Resampling(400))
    assert found.differences["mae"].value < 0
    assert found.differences["mae"].interval.high < 0
    assert found.differences["mae"].p < 0.01
    assert found.p("has0") < 0.01


def test_over_seeds_every_pair_is_tested_and_p_is_twice_the_median() -> None:
    first, second = Run("a", tuple(made(s) for s in (1, 2))), Run("b", tuple(made(s) for s in (3, 4, 5)))
    found = compare(first, second, resampling=Resampling(200))
    tests = [mcnemar(a, b, binary=NON0) for a in first.seeds for b in second.seeds]
    assert found.tests["non0"] == tuple(tests)
    sides = (
        sorted(binom.cdf(t.only_first, t.only_first + t.only_second, 0.5) for t in tests),
        sorted(binom.cdf(t.only_second, t.only_first + t.only_second, 0.5) for t in tests),
    )
    assert found.p("non0") == pytest.approx(min(1, 2 * min(side[2] + side[3] for side in sides)))


def test_seeds_that_win_and_lose_by_turns_make_no_run_better() -> None:
    y = np.where(np.arange(120) % 2, 1.0, -1.0)

    def right_in(share: float) -> Predictions:
        return predictions_of(np.where(np.arange(120) < share * 120, y, -y), y)

    up_and_down = Run("a", (right_in(0.95), right_in(0.2)))
    middling = Run("b", (right_in(0.6),))
    found = compare(up_and_down, middling, resampling=Resampling(200))
    assert max(test.p for test in found.tests["has0"]) < 1e-6
    assert found.p("has0") > 0.9


def test_calibration_is_compared_only_when_every_file_has_probabilities() -> None:
    plain, even = made(1), np.full((120, 7), 1 / 7)
    probable = replace(plain, probabilities=even)
    assert "ece" not in compare(Run("a", (probable,)), Run("b", (plain,)), resampling=Resampling(100)).differences
    assert "ece" in compare(Run("a", (probable,)), Run("b", (probable,)), resampling=Resampling(100)).differences


def test_videos_that_only_one_file_names_are_drawn_for_all() -> None:
    named = made(1)
    other = made(2)
    bare = replace(other, videos=None)
    draw = Resampling(200)
    want = compare(Run("a", (named,)), Run("b", (other,)), resampling=draw).differences
    for first, second in ((named, bare), (replace(named, videos=None), other)):
        got = compare(Run("a", (first,)), Run("b", (second,)), resampling=draw).differences
        assert got == want
