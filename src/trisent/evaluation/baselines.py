"""What a model that knows nothing would get, and the alarm for a model that learned nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trisent.evaluation.classes import rounded_classes
from trisent.evaluation.figures import FIGURES, Figure
from trisent.evaluation.predictions import Predictions
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX

# One of these is in the majority class of every rule: whole numbers for the seven classes, ±0.4 for SIMS's bins.
_CONSTANTS = (*range(-3, 4), -0.4, 0.4)

_HARDLY_VARIES = 0.05  # of the labels' standard deviation
_NEARLY_ALL = 0.98
_MOST_LABELS = 0.9
_ROUNDING = 0.01  # of a label that was saved with few digits
_FEWEST_TO_CORRELATE = 10  # of fewer, hardly any correlation is above chance


@dataclass(frozen=True, slots=True)
class Baselines:
    """Figures of constant predictions on the very labels that are scored, by figure key.

    Attributes:
        zero: of predicting 0.
        mean: of predicting the mean of these labels.
        best: of the constant that is best for that figure: the majority class, or the median for an error.
    """

    zero: dict[str, float]
    mean: dict[str, float]
    best: dict[str, float]


def baselines(predictions: Predictions, figures: Sequence[Figure]) -> Baselines:
    """Score constants; figures of probabilities have none and are left out."""
    y = predictions.truth
    told = [figure for figure in figures if not figure.needs_probabilities]
    mean, median = float(y.mean()), float(np.median(y))
    # Without y = 0 the median is another one.
    median_non0 = float(np.median(y[y != 0])) if (y != 0).any() else 0.0
    found = {c: _constant(predictions, c, told) for c in (*_CONSTANTS, mean, median, median_non0)}
    best = {}
    for figure in told:
        values = [row[figure.key] for row in found.values() if row[figure.key] == row[figure.key]]
        best[figure.key] = (min if figure.lower_is_better else max)(values, default=float("nan"))
    return Baselines(found[0], found[mean], best)


def alarms(predictions: Predictions) -> list[str]:
    """Say what is suspicious: constant or majority predictors, no correlation, labels that one class would fit or
    that are no sentiment.
    """
    p, y, n = predictions.predicted, predictions.truth, len(predictions)
    found = []
    if (beyond := float((np.abs(y) > SENTIMENT_MAX + _ROUNDING).mean())) > 0:
        message = (
            "NO SENTIMENT: {share:.2%} of the labels lie outside [-3, 3], the farthest is {value:.4g}; accuracies clip "
            "them. Of classes 0 … 6, subtract 3 from labels and predictions"
        )
        found.append(t(message, share=beyond, value=y[np.abs(y).argmax()]))
    classes = np.bincount(rounded_classes(y, 3) + 3, minlength=7)
    if n > 1 and classes.max() >= _MOST_LABELS * n:
        message = "ONE-CLASS LABELS: {share:.2%} of the labels round to {value}; predicting it always has that Acc-7"
        found.append(t(message, share=classes.max() / n, value=int(classes.argmax()) - 3))
    if n < 2:
        return found
    if (p == p[0]).all():
        return [
            *found,
            t("CONSTANT PREDICTION: {value:.4g} for every utterance; its figures are the labels'", value=p[0]),
        ]
    if p.std() < _HARDLY_VARIES * y.std():
        message = "NEARLY CONSTANT: the predictions' standard deviation is {p:.4f}, the labels' {y:.4f}"
        found.append(t(message, p=p.std(), y=y.std()))
    said = np.bincount(rounded_classes(p, 3) + 3, minlength=7)
    if said.max() >= _NEARLY_ALL * n:
        message = "ONE CLASS: {share:.2%} of the predictions round to {value}; Acc-7 is the share of that class"
        found.append(t(message, share=said.max() / n, value=int(said.argmax()) - 3))
    positive = float((p > 0).mean())
    if max(positive, 1 - positive) >= _NEARLY_ALL:
        found.append(
            t("ONE SIGN: {share:.2%} of the predictions are on one side of 0", share=max(positive, 1 - positive))
        )
    corr = FIGURES["corr"].of(predictions)[0]
    if n >= _FEWEST_TO_CORRELATE and corr == corr and corr < 1.96 / np.sqrt(n):
        message = "NO CORRELATION: Pearson r {corr:.4f} with {n} utterances is not above chance (one in forty)"
        found.append(t(message, corr=corr, n=n))
    mae, best = FIGURES["mae"].of(predictions)[0], float(np.abs(y - np.median(y)).mean())
    if mae >= best:
        found.append(
            t("NO BETTER THAN A CONSTANT: MAE {mae:.4f}, the labels' median alone has {best:.4f}", mae=mae, best=best)
        )
    return found


def _constant(predictions: Predictions, value: float, figures: Sequence[Figure]) -> dict[str, float]:
    same = replace(predictions, predicted=np.full(len(predictions), float(value)))
    return {figure.key: figure.of(same)[0] for figure in figures}
