"""What a model scores that has learned nothing: on this very split, under every convention in use."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import Dataset
from trisent.data.resplit import classes_of
from trisent.evaluation.metrics import scores
from trisent.types import SENTIMENT_MAX, Floats

RULES: tuple[str, ...] = ("0", "mean of train", "median of train", "majority class of train")


@dataclass(frozen=True, slots=True)
class Baseline:
    """One constant prediction on one split; nan where a figure is not defined.

    Attributes:
        split: which utterances are judged, those with a label.
        rule: what is predicted for all of them.
        value: the prediction.
        n, n_non0: utterances judged, and those of them whose label is not 0.
        mae: mean absolute error.
        acc7_round: Acc-7, both sides clipped to [-3, 3] and rounded half to even.
        acc7_cmu: Acc-7, both sides rounded away from 0, class 0 only exactly 0.
        acc2_has0: (p >= 0) == (y >= 0) on all.
        acc2_non0: (p > 0) == (y > 0) where y != 0.
        acc2_has0_positive: (p > 0) == (y > 0) on all.
        acc2_non0_negative: (p >= 0) == (y >= 0) where y != 0.
    """

    split: str
    rule: str
    value: float
    n: int
    n_non0: int
    mae: float
    acc7_round: float
    acc7_cmu: float
    acc2_has0: float
    acc2_non0: float
    acc2_has0_positive: float
    acc2_non0_negative: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()}


def baselines(dataset: Dataset) -> tuple[Baseline, ...]:
    """Score constants, chosen on train (on everything where there is no train), on every split."""
    known = np.isfinite(dataset.sentiment)
    train = np.array(dataset.splits, dtype=object) == "train"
    source = dataset.sentiment[known & train] if (known & train).any() else dataset.sentiment[known]
    if not len(source):
        return ()
    # order of RULES
    values = (0.0, float(source.mean(dtype=np.float64)), float(np.median(source)), _majority(source, dataset.scale))
    splits = [s for s in ("train", "valid", "test") if len(dataset.index(s))] or [""]
    found = []
    for split in splits:
        truth = dataset.sentiment[dataset.index(split)].astype(np.float64)
        truth = truth[np.isfinite(truth)]
        if len(truth):
            seven = max(map(abs, dataset.scale)) == SENTIMENT_MAX
            found += [_score(split, rule, value, truth, seven) for rule, value in zip(RULES, values, strict=True)]
    return tuple(found)


def _majority(sentiment: Floats, scale: tuple[float, float]) -> float:
    commonest = int(np.bincount(classes_of(sentiment, scale)).argmax())
    return (commonest - 3) * max(map(abs, scale)) / 3


def _score(split: str, rule: str, value: float, truth: NDArray[np.float64], seven: bool) -> Baseline:
    constant = np.full(len(truth), value)
    usual = scores(constant, truth)
    non0 = truth != 0

    def share(judge: Callable[[NDArray[np.float64]], NDArray[np.bool_]], among: NDArray[np.bool_]) -> float:
        return float((judge(constant) == judge(truth))[among].mean()) if among.any() else float("nan")

    everyone = np.ones(len(truth), np.bool_)
    return Baseline(
        split=split,
        rule=rule,
        value=value,
        n=usual.n,
        n_non0=usual.n_non0,
        mae=usual.mae,
        acc7_round=usual.acc7_round if seven else float("nan"),
        acc7_cmu=float((away_from_zero(constant) == away_from_zero(truth)).mean()) if seven else float("nan"),
        acc2_has0=usual.acc2_has0,
        acc2_non0=usual.acc2_non0,
        acc2_has0_positive=share(lambda x: x > 0, everyone),
        acc2_non0_negative=share(lambda x: x >= 0, non0),
    )


def away_from_zero(sentiment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as the CMU SDK does: away from 0, so that class 0 is exactly 0; clipped to [-3, 3].

    >>> away_from_zero(np.array([-2.1, -0.3, 0.0, 0.3, 1.0])).tolist()
    [-3.0, -1.0, 0.0, 1.0, 1.0]
    """
    rounded: NDArray[np.float64] = np.sign(sentiment) * np.minimum(np.ceil(np.abs(sentiment)), SENTIMENT_MAX)
    return rounded
