"""Metrics against tables computed by hand, scikit-learn and scipy."""

import json

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, mean_absolute_error

from trisent.errors import DataError
from trisent.evaluation.metrics import Scores, scores


def test_every_figure_of_a_small_table_is_what_a_hand_computes():
    # y      p       |p-y|  class y/p   has0        non0
    # -3.0  -3.6     0.6    -3 / -3     - / - ok    - / - ok
    # -0.4   0.2     0.6     0 /  0     - / + no    - / + no
    #  0.0  -0.2     0.2     0 /  0     + / - no    left out
    #  0.0   0.0     0.0     0 /  0     + / + ok    left out
    #  1.0   0.0     1.0     1 /  0     + / + ok    + / - no (0 counts as negative)
    #  2.6   1.6     1.0     3 /  2     + / + ok    + / + ok
    result = scores([-3.6, 0.2, -0.2, 0.0, 0.0, 1.6], [-3.0, -0.4, 0.0, 0.0, 1.0, 2.6])
    assert result.mae == pytest.approx(3.4 / 6)
    assert result.acc7_round == 4 / 6
    assert (result.acc2_has0, result.n) == (4 / 6, 6)
    assert (result.acc2_non0, result.n_non0) == (2 / 4, 4)


@pytest.mark.parametrize(
    ("value", "same_class", "other_class"),
    [(0.5, 0.0, 1.0), (1.5, 2.0, 1.0), (2.5, 2.0, 3.0), (-0.5, 0.0, -1.0), (-1.5, -2.0, -1.0), (-2.5, -2.0, -3.0)],
)
def test_a_half_is_rounded_to_the_even_neighbour(value: float, same_class: float, other_class: float):
    assert scores([value], [same_class]).acc7_round == 1.0
    assert scores([value], [other_class]).acc7_round == 0.0


def test_figures_agree_with_sklearn_and_scipy_on_random_numbers():
    random = np.random.default_rng(1)
    y = np.round(random.uniform(-3, 3, 500) * 3) / 3
    p = y + random.normal(0, 1, 500)
    result, non0 = scores(p, y), y != 0
    assert result.mae == pytest.approx(mean_absolute_error(y, p))
    assert result.corr == pytest.approx(pearsonr(p, y).statistic)
    assert result.acc7_round == accuracy_score(np.round(np.clip(y, -3, 3)), np.round(np.clip(p, -3, 3)))
    assert result.acc2_has0 == accuracy_score(y >= 0, p >= 0)
    assert result.acc2_non0 == accuracy_score(y[non0] > 0, p[non0] > 0)


def test_a_constant_prediction_has_no_correlation_and_json_says_null():
    result = scores(np.full(100, 0.1), np.linspace(-3, 3, 100))
    assert np.isnan(result.corr)
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["corr"] is None
    assert np.isnan(Scores.from_json(result.to_json()).corr)


def test_neutral_labels_alone_leave_non0_accuracy_undefined():
    result = scores([0.3, -0.3], [0.0, 0.0])
    assert np.isnan(result.acc2_non0)
    assert result.n_non0 == 0


def test_scores_survive_json_to_the_bit():
    result = scores([0.1, 0.7, -1.3], [0.2, -0.7, 1.1])
    assert Scores.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_name_of_every_figure_states_its_convention_and_n():
    rows = scores([1.0, 0.0], [1.0, 0.0]).rows()
    assert [n for _, _, n in rows] == [2, 2, 2, 2, 1]
    assert any("half to even" in name for name, _, _ in rows)
    assert sum(">" in name for name, _, _ in rows) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_not_a_number_is_refused(bad: float):
    with pytest.raises(DataError, match="index 1"):
        scores([0.0, bad], [0.0, 0.0])


def test_nothing_and_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="got 0 and 0"):
        scores([], [])
    with pytest.raises(DataError, match="got 2 and 1"):
        scores([1.0, 2.0], [1.0])
    with pytest.raises(DataError, match="shape"):
        scores([[1.0]], [1.0])
