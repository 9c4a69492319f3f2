"""Ridge regression against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trisent.evaluation.ridge import ALPHAS, fit_ridge


@pytest.mark.parametrize(("n", "dim"), [(200, 12), (40, 90)], ids=["more rows", "more columns"])
def test_ridge_is_scikit_learns_ridge_cv_on_standardised_columns(n: int, dim: int) -> None:
    random = np.random.default_rng(dim)
    rows = random.normal(3, 2, (n, dim)) * np.linspace(0.1, 40, dim)
    truth = rows @ random.normal(0, 1, dim) / 30 + random.normal(0, 2, n) + 1
    reference = make_pipeline(StandardScaler(), RidgeCV(ALPHAS)).fit(rows, truth)
    ours = fit_ridge(rows, truth)
    assert ours.alpha == reference[-1].alpha_
    new = random.normal(3, 2, (30, dim)) * np.linspace(0.1, 40, dim)
    assert ours.predict(new) == pytest.approx(reference.predict(new), rel=1e-8)


def test_a_column_that_never_varies_changes_nothing() -> None:
    random = np.random.default_rng(0)
    rows, truth = random.normal(size=(50, 3)), random.normal(size=50)
    more = np.column_stack([rows, np.full(50, 7.0)])
    assert fit_ridge(more, truth).predict(more) == pytest.approx(fit_ridge(rows, truth).predict(rows))
