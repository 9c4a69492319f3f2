"""Ridge regression with its strength chosen by leave-one-out: the plain baseline that stands beside every result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trisent.evaluation.predictions import Numbers

ALPHAS = tuple(float(10.0**k) for k in range(-2, 7))


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """y = weights . (x - mean) / std + intercept; `alpha` is the penalty on the weights that was chosen."""

    mean: Numbers
    std: Numbers
    weights: Numbers
    intercept: float
    alpha: float

    def predict(self, rows: Numbers) -> Numbers:
        """Judge rows [n, dim]; returns [n]."""
        judged: Numbers = (rows - self.mean) / self.std @ self.weights + self.intercept
        return judged


def fit_ridge(rows: Numbers, truth: Numbers, *, alphas: Sequence[float] = ALPHAS) -> Ridge:
    """Fit on standardised columns; the alpha with the least squared leave-one-out error wins.

    The same as scikit-learn's `RidgeCV(alphas)` after its `StandardScaler`: with hat matrix H the error of leaving i
    out is (y_i - p_i) / (1 - H_ii), so no fit is repeated.

    Args:
        rows: [n, dim], finite.
        truth: [n], finite.
        alphas: penalties to choose from.
    """
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    std = np.where(std > 1e-9, std, 1.0)
    x, intercept = (rows - mean) / std, float(truth.mean())
    y = truth - intercept
    # The smaller of the two Gram matrices has all that is needed: x = u diag(root) v.T, with scores u diag(root).
    if x.shape[1] <= x.shape[0]:
        squares, v = np.linalg.eigh(x.T @ x)
        scores = x @ v
    else:
        squares, u = np.linalg.eigh(x @ x.T)
        keep = squares > 1e-10 * squares.max()
        squares, u = squares[keep], u[:, keep]
        scores = u * np.sqrt(squares)
        v = x.T @ u / np.sqrt(squares)
    squares = np.maximum(squares, 0.0)
    along = scores.T @ y
    best: tuple[float, float, Numbers] | None = None
    for alpha in alphas:
        shrunk = along / (squares + alpha)
        leverage = 1 / len(y) + (scores**2 / (squares + alpha)).sum(axis=1)
        error = float((((y - scores @ shrunk) / np.maximum(1 - leverage, 1e-12)) ** 2).mean())
        if best is None or error < best[0]:
            best = error, alpha, v @ shrunk
    assert best is not None  # alphas is not empty
    return Ridge(mean, std, best[2], intercept, best[1])
