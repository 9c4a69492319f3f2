"""Every figure as data: its name, what it means in a sentence, where it comes from, and how it is computed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from trisent.evaluation import sums
from trisent.evaluation.classes import Classes, cmu_classes, rounded_classes, sims_classes
from trisent.evaluation.predictions import Numbers, Predictions

Value = Callable[[Numbers], Numbers]
Bools = sums.Bools

SDK = "CMU-MultimodalSDK, CMU_MOSEI/README.md"
MMSA = "thuiar/MMSA, src/MMSA/utils/metricsTop.py"
MULT = "Tsai et al. 2019 (MulT), src/eval_metrics.py"
MISA = "Hazarika et al. 2020 (MISA), src/solver.py"
MAG = "Rahman et al. 2020 (MAG-BERT), multimodal_driver.py"
MULTIBENCH = "Liang et al. 2021 (MultiBench), eval_scripts/performance.py"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: `value` of the sums over utterances of `terms` [n, k] is what is reported.

    `n` of a figure is the sum of its first term. `share` says whether it lies in [0, 1] and is printed in per cent.
    """

    key: str
    name: str
    definition: str
    source: str
    terms: Callable[[Predictions], Numbers]
    value: Value
    share: bool = True
    lower_is_better: bool = False
    needs_probabilities: bool = False

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value that it can have."""
        if self.share or self.needs_probabilities:
            return 0.0, 1.0
        return (0.0, np.inf) if self.lower_is_better else (-1.0, 1.0)  # an error, or a correlation

    def of(self, predictions: Predictions) -> tuple[float, int]:
        """Compute the figure of a whole set: (value, n)."""
        total = self.terms(predictions).sum(axis=0)
        return float(self.value(total)), round(float(total[0]))

    def written(self, value: float | None) -> str:
        """Write a value down as papers do: shares in per cent with two decimals, the rest with four."""
        if value is None or value != value:
            return "–"
        return f"{100 * value:.2f}" if self.share else f"{value:.4f}"


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary convention: positive is `> 0`, or `>= 0` when `zero_is_positive`; labels of 0 stay or are dropped."""

    key: str
    name: str
    zero_is_positive: bool
    drops_zeros: bool
    source: str

    def sides(self, predictions: Predictions) -> tuple[Bools, Bools, Bools]:
        """Return [n] each: predicted positive, labelled positive, counted."""
        p, y = predictions.predicted, predictions.truth
        keep = y != 0 if self.drops_zeros else np.ones(len(y), bool)
        return (p >= 0, y >= 0, keep) if self.zero_is_positive else (p > 0, y > 0, keep)


BINARIES = (
    Binary("has0", ">= 0 against < 0, all", True, False, f"{SDK} (before 2019); {MMSA} (Has0)"),
    Binary("non0", "> 0 against <= 0, without y = 0", False, True, f"{SDK} (since 2019); {MULT}; {MMSA} (Non0)"),
    Binary("ge_non0", ">= 0 against < 0, without y = 0", True, True, MAG),
    Binary("gt_all", "> 0 against <= 0, all", False, False, f"{MULTIBENCH}, exclude_zero=False"),
)


def _all(x: Predictions) -> Bools:
    return np.ones(len(x), bool)


def _non0(x: Predictions) -> Bools:
    keep: Bools = x.truth != 0
    return keep


def _clipped(x: Predictions) -> tuple[Numbers, Numbers]:
    return np.clip(x.predicted, -1, 1), np.clip(x.truth, -1, 1)


def _same(rule: Callable[[Numbers, int], Classes], count: int) -> Callable[[Predictions], Numbers]:
    return lambda x: sums.mean_terms(rule(x.predicted, count) == rule(x.truth, count), _all(x))


def _binary_figures() -> Iterable[Figure]:
    for way in BINARIES:

        def hit(x: Predictions, way: Binary = way) -> Numbers:
            p, y, keep = way.sides(x)
            return sums.mean_terms(p == y, keep)

        def table(x: Predictions, way: Binary = way) -> Numbers:
            p, y, keep = way.sides(x)
            return sums.binary_terms(p, y, keep)

        name, key, source = f"{way.key} ({way.name})", way.key, way.source
        rule = "zero counts as positive" if way.zero_is_positive else "zero counts as negative"
        over = "labels of 0 are left out" if way.drops_zeros else "all utterances"
        yield Figure(f"acc2_{key}", f"Acc-2 {name}", f"Share of equal signs; {rule}; {over}.", source, hit, sums.mean)
        definition = f"F1 of both classes, weighted by their labels; {rule}; {over}."
        yield Figure(f"f1_{key}", f"F1 {name}", definition, source, table, sums.weighted_f1)
        if key in ("has0", "non0"):
            definition = f"The same with f1_score(predictions, labels): weighted by predicted counts; {rule}; {over}."
            history = "MMSA before May 2021; MulT and MISA as published"
            yield Figure(
                f"f1_{key}_swapped",
                f"F1 {key}, arguments swapped",
                definition,
                history,
                table,
                sums.weighted_f1_swapped,
            )


def _sims_figures() -> Iterable[Figure]:
    def mae(x: Predictions) -> Numbers:
        p, y = _clipped(x)
        return sums.mean_terms(np.abs(p - y), _all(x))

    def corr(x: Predictions) -> Numbers:
        return sums.moment_terms(*_clipped(x), _all(x))

    def table(x: Predictions) -> Numbers:
        p, y = (sims_classes(side, 2) == 1 for side in (x.predicted, x.truth))
        return sums.binary_terms(p, y, _all(x))

    source = f"{MMSA}, CH-SIMS"
    yield Figure(
        "sims_mae", "MAE, SIMS", "Mean |p - y|, both clipped to [-1, 1].", source, mae, sums.mean, share=False,
        lower_is_better=True,
    )  # fmt: skip
    yield Figure(
        "sims_corr", "Pearson r, SIMS", "Pearson's r, both clipped to [-1, 1].", source, corr, sums.pearson, share=False
    )
    for count, edges in ((2, "0"), (3, "-0.1 and 0.1"), (5, "-0.7, -0.1, 0.1 and 0.7")):
        definition = (
            f"Share in the same of {count} bins of [-1, 1] cut at {edges}; an edge belongs to the bin below it."
        )
        terms = _same(sims_classes, count)
        yield Figure(f"sims_acc{count}", f"Acc-{count}, SIMS", definition, source, terms, sums.mean)
    definition = "F1 of both classes, weighted by their labels; zero counts as negative; all utterances."
    yield Figure("sims_f1", "F1, SIMS", definition, source, table, sums.weighted_f1)


def true_class_index(x: Predictions) -> Classes:
    """Return the index 0..6 of the labels' classes, rounded half to even; stretched where they need it."""
    return rounded_classes(x.truth * x.stretch, 3) + 3


def _probability_terms(x: Predictions) -> Numbers:
    assert x.probabilities is not None  # `figures_for` leaves these figures out otherwise
    return sums.calibration_terms(x.probabilities, true_class_index(x))


def _argmax_terms(x: Predictions) -> Numbers:
    assert x.probabilities is not None
    return sums.mean_terms(x.probabilities.argmax(axis=1) == true_class_index(x), _all(x))


_ROUND = "both sides clipped to ±{0} and rounded half to even (0.5 -> 0, 1.5 -> 2, 2.5 -> 2)"
_CMU = "both sides rounded away from zero and cut at ±{0}; only an exact 0 is neutral"

_LIST = (
    Figure(
        "mae", "MAE", "Mean |p - y|; nothing is clipped.", MMSA,
        lambda x: sums.mean_terms(np.abs(x.predicted - x.truth), _all(x)), sums.mean, share=False, lower_is_better=True,
    ),
    Figure(
        "corr", "Pearson r", "Pearson's correlation of p and y.", MMSA,
        lambda x: sums.moment_terms(x.predicted, x.truth, _all(x)), sums.pearson, share=False,
    ),
    Figure(
        "ccc", "CCC", "2 cov / (var p + var y + (mean p - mean y)²), with population moments.", "Lin 1989",
        lambda x: sums.moment_terms(x.predicted, x.truth, _all(x)), sums.concordance, share=False,
    ),
    Figure(
        "mae_non0", "MAE without y = 0", "Mean |p - y| where the label is not 0.", MAG,
        lambda x: sums.mean_terms(np.abs(x.predicted - x.truth), _non0(x)), sums.mean, share=False,
        lower_is_better=True,
    ),
    Figure(
        "corr_non0", "Pearson r without y = 0", "Pearson's correlation where the label is not 0.", MAG,
        lambda x: sums.moment_terms(x.predicted, x.truth, _non0(x)), sums.pearson, share=False,
    ),
    Figure(
        "acc7_round", "Acc-7 (clip to ±3, np.round: half to even)", f"Share of equal classes, {_ROUND.format(3)}.",
        f"{MULT}; {MMSA}", _same(rounded_classes, 3), sums.mean,
    ),
    Figure(
        "acc5_round", "Acc-5 (clip to ±2, np.round: half to even)", f"Share of equal classes, {_ROUND.format(2)}.",
        f"{MULT}; {MMSA}", _same(rounded_classes, 2), sums.mean,
    ),
    Figure(
        "acc7_cmu", "Acc-7 (CMU: away from zero, 0 alone is neutral)", f"Share of equal classes, {_CMU.format(3)}.",
        SDK, _same(cmu_classes, 3), sums.mean,
    ),
    Figure(
        "acc5_cmu", "Acc-5 (CMU: away from zero, 0 alone is neutral)", f"Share of equal classes, {_CMU.format(2)}.",
        f"{SDK}, the outer classes merged", _same(cmu_classes, 2), sums.mean,
    ),
    *_binary_figures(),
    *_sims_figures(),
    Figure(
        "acc7_argmax", "Acc-7 of the most probable class", "Share whose most probable class is the label's, rounded "
        "half to even.", "a classifier's own accuracy", _argmax_terms, sums.mean, needs_probabilities=True,
    ),
    Figure(
        "ece", "ECE", f"Expected calibration error of the most probable class, {sums.ECE_BINS} equal bins.",
        "Guo et al. 2017", _probability_terms, sums.calibration_error, share=False, lower_is_better=True,
        needs_probabilities=True,
    ),
)  # fmt: skip

FIGURES: Mapping[str, Figure] = {figure.key: figure for figure in _LIST}

# CH-SIMS labels lie in [-1, 1]; clipping labels of another range to it would judge another question.
SIMS_KEYS = tuple(key for key in FIGURES if key.startswith("sims_"))


def is_sims_scale(predictions: Predictions) -> bool:
    """Tell whether the labels lie in [-1, 1], the range of CH-SIMS."""
    return bool((np.abs(predictions.truth) <= 1).all())


def figures_for(predictions: Predictions) -> tuple[Figure, ...]:
    """List the figures that can be computed: SIMS's own only on its scale, calibration only with probabilities."""
    sims, probable = is_sims_scale(predictions), predictions.probabilities is not None
    return tuple(f for f in _LIST if (sims or f.key not in SIMS_KEYS) and (probable or not f.needs_probabilities))
