"""The baseline that fusion has to beat: ridge regression on the averaged text features alone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.batching import Examples
from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Dataset
from trisent.evaluation.bootstrap import Difference, Interval, Resampling, differences, intervals
from trisent.evaluation.figures import Figure, figures_for
from trisent.evaluation.predictions import Numbers, Predictions
from trisent.evaluation.ridge import fit_ridge
from trisent.runs.modalities import figures_json


@dataclass(frozen=True, slots=True, eq=False)
class TextRidge:
    """How well ridge regression on text does, and how much better the model is.

    Attributes:
        alpha: the penalty, chosen by leave-one-out on train.
        trained_on: utterances of train that have text.
        values, intervals: of every figure but those of probabilities, by key.
        differences: model minus ridge, by key, on the same drawn videos; empty without resampling.
    """

    predictions: Predictions
    alpha: float
    trained_on: int
    values: dict[str, float]
    intervals: dict[str, Interval]
    differences: dict[str, Difference]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {
            "alpha": self.alpha,
            "trained_on": self.trained_on,
            "figures": figures_json(self.values),
            "intervals": {key: interval.to_json() for key, interval in self.intervals.items()},
            "model_minus_ridge": {
                key: {**figures_json({"value": d.value, "p": d.p}), "interval": d.interval.to_json()}
                for key, d in self.differences.items()
            },
        }


def text_ridge(
    dataset: Dataset,
    index: NDArray[np.int64],
    predictions: Predictions,
    *,
    cleaning: Cleaning | None,
    resampling: Resampling | None,
) -> TextRidge | None:
    """Fit on the labelled train split, judge the utterances `index`, and compare with the model's predictions.

    An utterance without text gets the mean label of train. None: there are no text features, or there is no train
    split to learn from.
    """
    train = dataset.index("train")
    train = train[np.isfinite(dataset.sentiment[train])]
    if "text" not in dataset.features or not len(train):
        return None
    text_only = replace(dataset, features={"text": dataset.features["text"]}, provenance={})
    rows, there = _pooled(Examples(text_only, train, cleaning=cleaning))
    if there.sum() < 2:
        return None
    labels = dataset.sentiment[train].astype(np.float64)
    ridge = fit_ridge(rows[there], labels[there])
    rows, seen = _pooled(Examples(text_only, index, cleaning=cleaning))
    said = np.where(seen, ridge.predict(rows), labels.mean())
    judged = replace(predictions, predicted=said, probabilities=None)
    figures: tuple[Figure, ...] = figures_for(judged)
    return TextRidge(
        judged,
        ridge.alpha,
        int(there.sum()),
        {figure.key: figure.of(judged)[0] for figure in figures},
        intervals(judged, figures, resampling=resampling) if resampling else {},
        differences([judged], [predictions], figures=figures, resampling=resampling) if resampling else {},
    )


def _pooled(examples: Examples) -> tuple[Numbers, NDArray[np.bool_]]:
    """Average the visible steps: rows [utterances, dim], 0 where there are none, and which have any."""
    parts = [examples.batch(index).pooled("text") for index in examples.passes(1024)]
    return (
        np.concatenate([rows.double().numpy() for rows, _ in parts]),
        np.concatenate([there.numpy() for _, there in parts]),
    )
