"""Every figure against hand-computed tables, scikit-learn, scipy and rules written out literally."""

import warnings

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from trisent.errors import DataError
from trisent.evaluation.classes import cmu_classes, rounded_classes, sims_classes
from trisent.evaluation.figures import FIGURES, figures_for
from trisent.evaluation.papers import COLUMNS, PAPERS, papers_for
from trisent.evaluation.predictions import predictions_of

#   y     p
P = [-3.6, 0.2, -0.2, 0.0, 0.0, 1.6]
Y = [-3.0, -0.4, 0.0, 0.0, 1.0, 2.6]

BY_HAND = {
    "mae": (3.4 / 6, 6),
    "mae_non0": (3.2 / 4, 4),
    "acc7_round": (4 / 6, 6),  # -3 0 0 0 0 2 against -3 0 0 0 1 3
    "acc5_round": (5 / 6, 6),  # -2 0 0 0 0 2 against -2 0 0 0 1 2
    "acc7_cmu": (2 / 6, 6),  # -3 1 -1 0 0 2 against -3 -1 0 0 1 3
    "acc5_cmu": (3 / 6, 6),  # -2 1 -1 0 0 2 against -2 -1 0 0 1 2
    "acc2_has0": (4 / 6, 6),  # - + - + + + against - - + + + +
    "acc2_non0": (2 / 4, 4),  # - + - + against - - + +
    "acc2_ge_non0": (3 / 4, 4),  # - + + + against - - + +
    "acc2_gt_all": (4 / 6, 6),  # - + - - - + against - - - - + +
    # has0: negative F1 = 2*1/(2+2), positive F1 = 2*3/(4+4); labels 2 and 4
    "f1_has0": ((2 * 0.5 + 4 * 0.75) / 6, 6),
    "f1_has0_swapped": ((2 * 0.5 + 4 * 0.75) / 6, 6),  # said 2 and 4 too
    "f1_non0": (0.5, 4),  # both 2*1/(2+2)
    # ge_non0: negative 2*1/(1+2), positive 2*2/(3+2); labels 2 and 2
    "f1_ge_non0": ((2 * 2 / 3 + 2 * 4 / 5) / 4, 4),
    # gt_all: negative 2*3/(4+4), positive 2*1/(2+2); labels 4 and 2
    "f1_gt_all": ((4 * 0.75 + 2 * 0.5) / 6, 6),
}


@pytest.mark.parametrize("key", BY_HAND)
def test_a_small_table_has_the_figures_that_a_hand_computes(key: str) -> None:
    value, n = FIGURES[key].of(predictions_of(P, Y))
    assert (value, n) == (pytest.approx(BY_HAND[key][0], abs=1e-12), BY_HAND[key][1])


def cases(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make cases of every kind that breaks metrics: short, constant, all neutral, full of halves, out of range."""
    random, made = np.random.default_rng(7), []
    for i in range(count):
        n = int(random.integers(1, 80))
        y = np.round(random.uniform(-3, 3, n) * 3) / 3
        p = y + random.normal(0, random.uniform(0.1, 2), n)
        if i % 5 == 1:
            p = np.full(n, random.choice([0.0, 0.1, -0.1, 1 / 3, 2.5]))
        if i % 7 == 2:
            y = np.zeros(n)
        if i % 7 == 3:
            y = np.full(n, random.choice([1 / 3, -2.0, 0.1]))
        if i % 3 == 1:
            p = np.round(p * 2) / 2
        if i % 11 == 4:
            y, p = y / 3, p / 3
        made.append((p, y))
    return made


CASES = cases(500)


def expected(p: np.ndarray, y: np.ndarray) -> dict[str, float]:
    def f1(truth: np.ndarray, said: np.ndarray) -> float:
        return float(f1_score(truth, said, average="weighted", labels=[False, True], zero_division=0))

    def corr(a: np.ndarray, b: np.ndarray) -> float:
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            return float("nan")
        return float(pearsonr(a, b).statistic)

    k = y != 0
    found = {
        "mae": mean_absolute_error(y, p),
        "corr": corr(p, y),
        "mae_non0": mean_absolute_error(y[k], p[k]) if k.any() else np.nan,
        "corr_non0": corr(p[k], y[k]),
    }
    for limit, name in ((3, "7"), (2, "5")):
        sides = (np.round(np.clip(side, -limit, limit)) for side in (y, p))
        found[f"acc{name}_round"] = accuracy_score(*sides)
        found[f"acc{name}_cmu"] = accuracy_score(*([cmu_literally(v, limit) for v in side] for side in (y, p)))
    everything = np.ones(len(y), bool)
    for key, keep, sign in (
        ("has0", everything, lambda v: v >= 0),
        ("non0", k, lambda v: v > 0),
        ("ge_non0", k, lambda v: v >= 0),
        ("gt_all", everything, lambda v: v > 0),
    ):
        truth, said = sign(y[keep]), sign(p[keep])
        found[f"acc2_{key}"] = accuracy_score(truth, said) if keep.any() else np.nan
        found[f"f1_{key}"] = f1(truth, said) if keep.any() else np.nan
        if key in ("has0", "non0"):
            found[f"f1_{key}_swapped"] = f1(said, truth) if keep.any() else np.nan
    variance = np.var(p) + np.var(y) + (p.mean() - y.mean()) ** 2
    found["ccc"] = 2 * np.mean((p - p.mean()) * (y - y.mean())) / variance if variance > 1e-20 else np.nan
    if (np.abs(y) <= 1).all():
        a, b = np.clip(p, -1, 1), np.clip(y, -1, 1)
        found |= {"sims_mae": mean_absolute_error(b, a), "sims_corr": corr(a, b), "sims_f1": f1(b > 0, a > 0)}
        for count in (2, 3, 5):
            found[f"sims_acc{count}"] = accuracy_score(*([sims_literally(v, count) for v in side] for side in (b, a)))
    return found


def cmu_literally(a: float, limit: int) -> int:
    """Write the rule of CMU_MOSEI/README.md down line by line; five classes merge the outer two."""
    if a < -2:
        res = -3
    if -2 <= a < -1:
        res = -2
    if -1 <= a < 0:
        res = -1
    if a == 0:
        res = 0
    if 0 < a <= 1:
        res = 1
    if 1 < a <= 2:
        res = 2
    if a > 2:
        res = 3
    return max(-limit, min(limit, res))


def sims_literally(a: float, count: int) -> int:
    """Write the bins of metricsTop down: (low, high] of these edges, in float32."""
    edges = {
        2: [-1.01, 0.0, 1.01],
        3: [-1.01, -0.1, 0.1, 1.01],
        5: [-1.01, -0.7, -0.1, 0.1, 0.7, 1.01],
    }[count]
    for i in range(count):
        if np.float32(edges[i]) < np.float32(a) <= np.float32(edges[i + 1]):
            return i
    raise AssertionError(a)


@pytest.mark.slow
def test_500_random_cases_agree_with_sklearn_and_scipy_to_a_millionth() -> None:
    for i, (p, y) in enumerate(CASES):
        with warnings.catch_warnings():
            # scipy warns of inputs that are nearly constant; such cases are meant to be here
            warnings.simplefilter("ignore")
            want = expected(p, y)
        predictions = predictions_of(p, y)
        got = {figure.key: figure.of(predictions)[0] for figure in figures_for(predictions)}
        assert got.keys() == want.keys()
        for key, value in want.items():
            assert got[key] == pytest.approx(value, abs=1e-6, nan_ok=True), (i, key)


def test_the_cases_hold_every_kind_that_is_hard() -> None:
    constant = sum(np.ptp(p) == 0 for p, _ in CASES)
    neutral = sum((y == 0).all() for _, y in CASES)
    halves = sum((np.abs(p % 1) == 0.5).any() for p, _ in CASES)
    sims = sum((np.abs(y) <= 1).all() for _, y in CASES)
    assert min(constant, neutral, halves, sims, sum(len(p) == 1 for p, _ in CASES)) >= 4


@pytest.mark.parametrize("value", [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
def test_mmsa_rounds_a_half_to_the_even_class(value: float) -> None:
    assert rounded_classes(np.array([value]), 3)[0] == {0.5: 0, 1.5: 2, 2.5: 2}[abs(value)] * np.sign(value)
    assert rounded_classes(np.array([value]), 2)[0] == {0.5: 0, 1.5: 2, 2.5: 2}[abs(value)] * np.sign(value)


def test_mmsa_clips_before_it_rounds() -> None:
    assert FIGURES["acc7_round"].of(predictions_of([3.6, -9.0], [3.0, -3.0]))[0] == 1
    assert FIGURES["acc5_round"].of(predictions_of([1.6, -9.0], [3.0, -2.0]))[0] == 1


def test_the_rule_of_cmu_is_the_one_of_its_readme() -> None:
    values = np.concatenate([np.linspace(-4, 4, 2001), np.arange(-12, 13) / 3, np.nextafter(np.arange(-3.0, 4.0), 9)])
    for limit in (3, 2):
        assert cmu_classes(values, limit).tolist() == [cmu_literally(v, limit) for v in values]


def test_the_bins_of_sims_hold_their_upper_edge_even_when_it_was_saved_as_float32() -> None:
    values = np.array([-1, -0.7, -0.69, -0.1, 0.0, 1e-9, 0.1, 0.100001, 0.7, 0.71, 1])
    both = np.concatenate([values, values.astype(np.float32).astype(np.float64)])
    for count in (2, 3, 5):
        assert sims_classes(both, count).tolist() == [sims_literally(v, count) for v in both]


def labels_of(counts: dict[float, int]) -> np.ndarray:
    return np.repeat(list(counts), list(counts.values()))


def test_predicting_zero_gets_what_the_label_counts_of_moseis_test_split_say() -> None:
    """Counts of the 4659 labels of the standard test split by either rule; the shares are those of its counts."""
    rounded = labels_of({-3.0: 70, -2.0: 399, -1.0: 554, 0.0: 1927, 1.0: 1228, 2.0: 440, 3.0: 41})
    zero = predictions_of(np.zeros(4659), rounded)
    assert FIGURES["acc7_round"].of(zero)[0] == pytest.approx(0.4136, abs=5e-5)
    cmu = labels_of({-2.5: 156, -1.5: 489, -0.5: 705, 0.0: 1025, 0.5: 1510, 1.5: 664, 2.5: 110})
    zero, one = (predictions_of(np.full(4659, c), cmu) for c in (0.0, 1.0))
    assert FIGURES["acc2_has0"].of(zero) == (pytest.approx(0.7102, abs=5e-5), 4659)
    assert FIGURES["acc2_non0"].of(one) == (pytest.approx(0.6285, abs=5e-5), 3634)
    assert FIGURES["acc2_gt_all"].of(zero)[0] == pytest.approx(0.510, abs=5e-4)
    assert FIGURES["acc7_cmu"].of(one)[0] == pytest.approx(0.324, abs=5e-4)


def test_swapping_the_arguments_flatters_a_constant() -> None:
    constant = predictions_of(np.ones(10), [1.0] * 7 + [-1.0] * 3)
    assert FIGURES["f1_has0"].of(constant)[0] == pytest.approx(0.7 * 14 / 17)
    assert FIGURES["f1_has0_swapped"].of(constant)[0] == pytest.approx(14 / 17)


def test_calibration_is_the_gap_between_confidence_and_accuracy_bin_by_bin() -> None:
    random = np.random.default_rng(3)
    probabilities, y = random.dirichlet(np.full(7, 0.5), 300), random.uniform(-3, 3, 300)
    truth = np.round(y).astype(int) + 3
    gaps = 0.0
    for low in np.arange(15) / 15:
        inside = [(row.max(), row.argmax() == c) for row, c in zip(probabilities, truth, strict=True)]
        inside = [(conf, right) for conf, right in inside if low < conf <= low + 1 / 15]
        if inside:
            gaps += len(inside) / 300 * abs(np.mean([c for c, _ in inside]) - np.mean([r for _, r in inside]))
    predictions = predictions_of(y, y, probabilities=probabilities)
    assert FIGURES["ece"].of(predictions) == (pytest.approx(gaps, abs=1e-6), 300)
    assert FIGURES["acc7_argmax"].of(predictions)[0] == np.mean(probabilities.argmax(axis=1) == truth)


def test_the_most_probable_class_of_a_stretched_label_is_that_of_three_times_the_label() -> None:
    y, probabilities = [-1.0, -0.4, 0.2, 0.4], np.eye(7)[[0, 2, 4, 5]]
    predictions = predictions_of(y, y, probabilities=probabilities, stretch=3.0)
    assert FIGURES["acc7_argmax"].of(predictions)[0] == 3 / 4  # of -3, -1.2, 0.6 and 1.2 the last is +1, not +2


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [(np.zeros((2, 3)), "shape"), (np.full((2, 7), 1.0), "softmax"), (np.full((2, 7), np.nan), "finite")],
)
def test_what_are_no_probabilities_are_refused(probabilities: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        predictions_of([0.0, 1.0], [0.0, 1.0], probabilities=probabilities)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_label_or_prediction_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match=r"predictions.*index 1"):
        predictions_of([0.0, bad], [0.0, 0.0])
    with pytest.raises(DataError, match=r"labels.*index 0"):
        predictions_of([0.0, 0.0], [bad, 0.0])


def test_an_id_that_comes_twice_is_named() -> None:
    with pytest.raises(DataError, match="more than once: b"):
        predictions_of([0, 0, 0], [0, 0, 0], ids=["b", "a", "b"])


def test_the_figures_of_sims_need_labels_of_its_scale() -> None:
    papers = [{p.key for p in papers_for(predictions_of([0.5], [y]))} for y in (0.6, 1.2)]
    assert papers[0] - papers[1] == {"sims"}


def test_every_paper_fills_known_columns_with_known_figures() -> None:
    assert len({p.key for p in PAPERS}) == len(PAPERS)
    for paper in PAPERS:
        assert set(paper.columns) <= set(COLUMNS)
        assert set(paper.columns.values()) <= FIGURES.keys()
    used = {key for paper in PAPERS for key in paper.columns.values()}
    assert {"acc7_round", "acc7_cmu", "mae_non0", "acc2_ge_non0", "acc2_gt_all", "f1_non0_swapped"} <= used
