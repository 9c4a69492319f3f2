"""Checks of labels: scale, steps, what is missing, and how the classes are spread."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from trisent.data.audit.findings import Finding, some_ids
from trisent.data.dataset import EMOTIONS, SENTIMENT, SPLITS, Dataset
from trisent.data.resplit import CLASSES, classes_of
from trisent.i18n import t

_ROUNDING = 5e-3  # labels are often written with two digits
_EMOTION_SCALE = (0.0, 3.0)
# What means of a few annotators' whole numbers are multiples of. Two annotators who agree half-way make sixths of
# thirds: 45 labels of the published MOSEI are.
_STEPS = ((1.0, "1"), (1 / 2, "1/2"), (1 / 3, "1/3 (or 1/6)"), (1 / 4, "1/4"), (1 / 5, "1/5"))
_MOST = 0.9  # of the labels, for a step to be theirs
_FEW = 30  # labels, below which shares say nothing


def check_labels(dataset: Dataset) -> Iterator[Finding]:
    """Look at every label."""
    for name in dataset.labels:
        yield from _outside(dataset, name)
        yield from _constant(dataset, name)
    yield from _missing(dataset)
    yield from _off_steps(dataset)
    yield from _averaged_away(dataset)
    yield from _balance(dataset)


def _outside(dataset: Dataset, name: str) -> Iterator[Finding]:
    low, high = _EMOTION_SCALE if name in EMOTIONS else dataset.scale
    values = dataset.labels[name]
    rows = np.flatnonzero((values < low - 1e-4) | (values > high + 1e-4) | np.isinf(values))
    if len(rows):
        yield Finding(
            "error",
            "label.scale",
            t("{n} labels {label} are outside [{low:g}, {high:g}], the farthest is {worst:g}", n=len(rows), label=name,
              low=low, high=high, worst=float(values[rows][np.argmax(np.abs(values[rows]))])),
            len(rows),
            t("a single label of 100 among 5,000 moves the mean error by 0.02, as much as many published improvements"),
            t("look at these labels: another scale (SIMS has [-1, 1]), classes 0..6 instead of sentiment, "
              "or a column taken for another"),
            some_ids(dataset, rows),
        )  # fmt: skip


def _constant(dataset: Dataset, name: str) -> Iterator[Finding]:
    for split in (*SPLITS, ""):
        index = dataset.index(split)
        known = dataset.labels[name][index]
        known = known[np.isfinite(known)]
        if len(known) > 1 and known.min() == known.max():
            yield Finding(
                "error" if name == SENTIMENT else "warning",
                "label.constant",
                t("the label {label} is {value:g} for all {n} utterances of {split}", label=name,
                  value=float(known[0]), n=len(known), split=split or t("no split")),
                len(known),
                t("nothing can be learned from it, and correlations are not defined"),
                t("look where the labels were lost; the usual reason is a failed join that was filled with 0"),
                some_ids(dataset, index),
            )  # fmt: skip


def _missing(dataset: Dataset) -> Iterator[Finding]:
    for name, values in dataset.labels.items():
        absent = np.isnan(values)
        if not absent.any():
            continue
        rows = np.flatnonzero(absent)
        learnt = [index for split in ("train", "valid") if len(index := dataset.index(split))]
        untrainable = name == SENTIMENT and any(bool(absent[index].all()) for index in learnt)
        yield Finding(
            "error" if untrainable else "warning" if name == SENTIMENT else "note",
            "label.missing",
            t("{n} of {all} utterances have no label {label}", n=len(rows), all=len(dataset), label=name),
            len(rows),
            t("they are neither trained nor scored on; counting them as 0 would call them neutral"),
            t("nothing, if they are unlabelled on purpose; else join the labels again by id"),
            some_ids(dataset, rows),
        )


def _off_steps(dataset: Dataset) -> Iterator[Finding]:
    rows = np.flatnonzero(np.isfinite(dataset.sentiment))
    known = dataset.sentiment[rows].astype(np.float64)
    if len(known) < _FEW:
        return
    for step, name in _STEPS:
        finest = step / 2 if name.startswith("1/3") else step
        on = np.abs(known - np.rint(known / finest) * finest) < _ROUNDING
        if on.mean() < _MOST:
            continue
        if not on.all():
            values = ", ".join(f"{v:.4g}" for v in np.unique(known[~on])[:8])
            yield Finding(
                "warning",
                "label.steps",
                t("{n} of {all} sentiments are no multiples of {step}, as the others are: {values}",
                  n=int((~on).sum()), all=len(known), step=name, values=values),
                int((~on).sum()),
                t("labels of one data set are means over the same few annotators; these come from elsewhere"),
                t("compare these labels with the source"),
                some_ids(dataset, rows[~on]),
            )  # fmt: skip
        return
    yield Finding(
        "note",
        "label.continuous",
        t("sentiments are no multiples of a common step: {n} different values", n=len(np.unique(known))),
        len(known),
        t("labels as published are multiples of 1/3 (MOSEI) or 1/5 (MOSI, SIMS); these were averaged or predicted"),
        t("do not compare scores with those on the published labels"),
    )


def _averaged_away(dataset: Dataset) -> Iterator[Finding]:
    for split in (*SPLITS, ""):
        index = dataset.index(split)
        classes = classes_of(dataset.sentiment[index], dataset.scale)
        known = classes[classes >= 0]
        if len(known) < _FEW:
            continue
        counts = np.bincount(known, minlength=CLASSES)
        share, commonest = counts.max() / len(known), int(counts.argmax())
        values = dataset.sentiment[index]
        if share > 0.8 and np.nanmin(values) < np.nanmax(values):
            yield Finding(
                "error" if share > 0.95 else "warning",
                "label.averaged",
                t("{share:.2f} % of the labels of {split} round to class {label:+d}", share=100 * share,
                  split=split or t("no split"), label=commonest - 3),
                int(counts.max()),
                t("a model that always says so has this accuracy: a published 97.87 % on MOSEI was that, on labels "
                  "averaged over all segments of a video and over all seven annotations"),
                t("take the sentiment alone, of each utterance; do not average over label dimensions"),
                some_ids(dataset, index),
            )  # fmt: skip


def _balance(dataset: Dataset) -> Iterator[Finding]:
    counts = {s: _class_counts(dataset, dataset.index(s)) for s in SPLITS}
    counts = {s: c for s, c in counts.items() if c.sum()}
    if not counts and (everyone := _class_counts(dataset, np.arange(len(dataset)))).sum():
        counts = {t("no split"): everyone}
    if counts:
        listed = "; ".join(f"{s} {' '.join(map(str, c))}" for s, c in counts.items())
        yield Finding(
            "note",
            "balance.classes",
            t("utterances of the seven classes, -3 to 3 (np.round): {counts}", counts=listed),
            int(sum(c.sum() for c in counts.values())),
            t("rare classes have few utterances to learn from, and accuracies on them are uncertain"),
            t("look at the errors of each class, not at accuracy alone"),
        )
    if "train" not in counts:
        return
    train = counts.pop("train")
    for split, there in counts.items():
        unseen = [f"{k - 3:+d}" for k in range(CLASSES) if there[k] and not train[k]]
        if unseen:
            yield Finding(
                "warning",
                "balance.unseen",
                t("{split} has sentiments of class {classes}, which train has not", split=split,
                  classes=", ".join(unseen)),
                int(there[train == 0].sum()),
                t("a model never sees such labels in training"),
                t("draw a stratified split: trisent data split SRC OUT"),
            )  # fmt: skip
        yield from _shift(split, train=train, there=there)


def _class_counts(dataset: Dataset, index: NDArray[np.int64]) -> NDArray[np.int64]:
    classes = classes_of(dataset.sentiment[index], dataset.scale)
    return np.bincount(classes[classes >= 0], minlength=CLASSES)


def _shift(split: str, *, train: NDArray[np.int64], there: NDArray[np.int64]) -> Iterator[Finding]:
    both = np.stack([train, there]).astype(np.float64)
    both = both[:, both.sum(axis=0) > 0]
    expected = both.sum(axis=1, keepdims=True) * both.sum(axis=0) / both.sum()
    p = float(chdtrc(both.shape[1] - 1, ((both - expected) ** 2 / expected).sum()))  # chi-square of homogeneity
    distance = float(np.abs(train / train.sum() - there / there.sum()).sum() / 2)
    # Clips of a video are alike, so the test sees fewer clips than there are: a low p and a large distance are asked.
    if distance > 0.15 and p < 1e-6:
        yield Finding(
            "warning",
            "balance.shift",
            t("{share:.0f} % of {split} would have to change class for it to be spread as train", share=100 * distance,
              split=split),
            int(there.sum()),
            t("scores then also measure how well a model guesses another distribution of labels"),
            t("draw a stratified split: trisent data split SRC OUT"),
        )  # fmt: skip
