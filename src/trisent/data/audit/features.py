"""Checks of features: numbers that are none, columns that say nothing or explode, utterances without any."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.columns import Columns
from trisent.data.audit.findings import Finding, some_ids
from trisent.data.dataset import SPLITS, Dataset
from trisent.i18n import t
from trisent.types import Modality

_FP16_MAX = 65_504
_EXPLODING = 1_000  # times the distance that 99 % of the steps stay within
_DEAD = 0.995  # of the steps are 0
_NAMED = 12  # columns that a title names


def check_features(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    """Look at the columns of one modality."""
    yield from _absent(dataset, modality, columns)
    if columns.steps:
        yield from _nonfinite(dataset, modality, columns)
        yield from _constant(dataset, modality, columns)
        yield from _exploding(dataset, modality, columns)
        yield from _blank(dataset, modality, columns)


def _absent(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    absent = np.flatnonzero(~columns.seen)
    if not len(absent):
        return
    empty = [s for s in SPLITS if len(index := dataset.index(s)) and not columns.seen[index].any()]
    yield Finding(
        "error" if empty else "warning",
        "feature.absent",
        t("{n} of {all} utterances have no {modality} features", n=len(absent), all=len(dataset), modality=t(modality))
        + (t(", and {splits} none at all", splits=t(" and ").join(empty)) if empty else ""),
        len(absent),
        t("a split without a modality cannot be compared with one that has it")
        if empty
        else t("a model has to judge them on the other modalities"),
        t("look whether ids of labels and features are written differently, or extraction failed for these"),
        some_ids(dataset, absent),
    )


def _nonfinite(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    parts = []
    for what, counts in (("NaN", columns.nan), ("inf", columns.above), ("-inf", columns.below)):
        if (bad := np.flatnonzero(counts)).size:
            parts.append(t("{what} in {columns} ({n} times)", what=what, columns=_names(bad), n=int(counts.sum())))
    if parts:
        rows = np.flatnonzero(columns.broken)
        dead = int(np.isnan(columns.mean).sum())
        yield Finding(
            "error" if dead == len(columns.mean) else "warning",
            "feature.nonfinite",
            t("{modality} has {parts}; columns are counted from 0", modality=t(modality), parts=", ".join(parts)),
            len(rows),
            t("one NaN or inf makes the loss NaN, and the model with it; put to 0 it would be a value that nobody "
              "measured. -inf is the logarithm of silence: COVAREP writes it"),
            t("mask them, and keep that with the model: trisent data convert SRC OUT --clean"),
            some_ids(dataset, rows),
        )  # fmt: skip


def _constant(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    constant = columns.low == columns.high
    train = columns.pooled[dataset.index("train")]
    train = train[np.isfinite(train).all(axis=1)]
    only_train = ~constant & (np.ptp(train, axis=0) == 0) if len(train) > 1 else np.zeros_like(constant)
    for which, where in ((constant, t("everywhere")), (only_train, t("in train, but not elsewhere"))):
        if which.any() and columns.steps > 1:
            yield Finding(
                "warning",
                "feature.constant",
                t("{n} of {all} columns of {modality} are the same {where}: {columns}", n=int(which.sum()),
                  all=len(which), modality=t(modality), where=where, columns=_names(np.flatnonzero(which))),
                int(which.sum()),
                t("they say nothing, and scaling divides by their spread, which is 0"),
                t("drop them: trisent data convert SRC OUT --clean; many of them mean that an extractor failed"),
            )  # fmt: skip
    dead = np.flatnonzero((columns.zeros > _DEAD) & ~constant)
    if len(dead):
        yield Finding(
            "note",
            "feature.dead",
            t("{n} columns of {modality} are 0 in more than 99.5 % of the steps: {columns}", n=len(dead),
              modality=t(modality), columns=_names(dead)),
            len(dead),
            t("scaled by their small spread, the few steps that are not 0 become very large"),
            t("nothing, if clipped after scaling: trisent data convert SRC OUT --clean"),
        )  # fmt: skip


def _exploding(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    with np.errstate(invalid="ignore"):
        farthest = np.maximum(np.abs(columns.low - columns.centre), np.abs(columns.high - columns.centre))
        largest = np.maximum(np.abs(columns.low), np.abs(columns.high))
        exploding = (largest > _FP16_MAX) | ((farthest > _EXPLODING * columns.spread) & (columns.spread > 0))
    bad = np.flatnonzero(exploding)
    if not len(bad):
        return
    far = np.abs(columns.pooled[:, bad] - columns.centre[bad]) > np.maximum(10 * columns.spread[bad], 1)
    yield Finding(
        "warning",
        "feature.exploding",
        t("{n} columns of {modality} hold values far beyond all others, up to {largest:.3g}: {columns}", n=len(bad),
          modality=t(modality), largest=float(largest[bad].max()), columns=_names(bad)),
        len(bad),
        t("a few such values decide mean and spread, so all others become alike; half precision holds up to 65,504"),
        t("clip at three standard deviations of train, or drop these columns: trisent data convert SRC OUT --clean"),
        some_ids(dataset, np.flatnonzero(far.any(axis=1))),
    )  # fmt: skip


def _blank(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    rows = np.flatnonzero(columns.blank)
    if len(rows):
        yield Finding(
            "warning",
            "feature.blank",
            t("{n} utterances have nothing but zeros in {modality}", n=len(rows), modality=t(modality)),
            len(rows),
            t("that is how failed extraction was stored; a model takes it for a measurement"),
            t("treat the modality as absent there"),
            some_ids(dataset, rows),
        )


def _names(columns: NDArray[np.int64]) -> str:
    named = ", ".join(map(str, columns[:_NAMED]))
    more = len(columns) - _NAMED
    return (t("column {name}", name=named) if len(columns) == 1 else t("columns {names}", names=named)) + (
        t(" and {n} more", n=more) if more > 0 else ""
    )
