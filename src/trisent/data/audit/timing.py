"""Checks of time: stretches that are none, that overlap, steps that lie outside, modalities of different length."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.findings import Finding, some_ids
from trisent.data.dataset import Dataset, Sequences
from trisent.data.resplit import videos_of
from trisent.i18n import t
from trisent.types import Modality

_ALIGNED = 0.8  # of the utterances have as many steps in both modalities: the set is aligned
_LATE_S = 1.0  # a step may begin that much after the end of its utterance
_EARLY_S = 0.5


def check_timing(dataset: Dataset) -> Iterator[Finding]:
    """Look at where utterances begin and end, and at the times and numbers of their steps."""
    yield from _spans(dataset)
    yield from _overlaps(dataset)
    for modality, s in dataset.features.items():
        yield from _step_times(dataset, modality, s)
    for one, other in combinations(dataset.features, 2):
        yield from _lengths(dataset, one, other)


def _spans(dataset: Dataset) -> Iterator[Finding]:
    start, end = dataset.spans[:, 0], dataset.spans[:, 1]
    with np.errstate(invalid="ignore"):
        reversed_, zero, negative = np.flatnonzero(end < start), np.flatnonzero(end == start), np.flatnonzero(start < 0)
    todo = t("correct the times, or leave these utterances out")
    if len(reversed_):
        yield Finding(
            "error",
            "time.reversed",
            t("{n} utterances end before they begin", n=len(reversed_)),
            len(reversed_),
            t("no sound and no picture can be cut out, and averages over the interval are taken from elsewhere"),
            todo,
            some_ids(dataset, reversed_),
        )
    if len(zero):
        yield Finding(
            "error",
            "time.zero",
            t("{n} utterances last 0 seconds", n=len(zero)),
            len(zero),
            t("no sound and no picture can be cut out"),
            todo,
            some_ids(dataset, zero),
        )
    if len(negative):
        yield Finding(
            "warning",
            "time.negative",
            t("{n} utterances begin before their video, the earliest at {earliest:.3g} s", n=len(negative),
              earliest=float(start[negative].min())),
            len(negative),
            t("the published MOSEI has such starts, where 0 is meant; some tools count them from the end"),
            t("nothing, if they are a fraction of a second: take 0 instead"),
            some_ids(dataset, negative),
        )  # fmt: skip


def _overlaps(dataset: Dataset) -> Iterator[Finding]:
    videos = np.array(videos_of(dataset), dtype=object)
    with np.errstate(invalid="ignore"):
        placed = np.isfinite(dataset.spans).all(axis=1) & (dataset.spans[:, 1] > dataset.spans[:, 0])
    rows = np.flatnonzero((videos != "") & placed)
    if len(rows) < 2:
        return
    _, video = np.unique(videos[rows].astype(str), return_inverse=True)
    spans = dataset.spans[rows].astype(np.float64)
    # Videos one after another on one axis, so that a running maximum never reaches into the next.
    spans += (video * (np.ptp(spans) + 1))[:, None]
    order = np.argsort(spans[:, 0], kind="stable")
    start, end = spans[order].T
    earlier_end = np.maximum.accumulate(end)[:-1]
    common = np.minimum(earlier_end, end[1:]) - start[1:]
    same_video = video[order][1:] == video[order][:-1]
    share = np.where(same_video, common / (end - start)[1:], 0)
    for level, code, which in (
        ("warning", "time.inside", share > 0.5),
        ("note", "time.overlap", (share > 1e-6) & (share <= 0.5)),
    ):
        found = np.sort(rows[order[1:][which]])
        if len(found):
            yield Finding(
                "warning" if level == "warning" else "note",
                code,
                t("{n} utterances lie for more than half in an earlier one of their video", n=len(found))
                if level == "warning"
                else t("{n} utterances begin before the previous one of their video has ended", n=len(found)),
                len(found),
                t("the same words are judged twice")
                if level == "warning"
                else t("a word or two belongs to both; the published MOSEI overlaps so by its margins"),
                t("look whether one of each two is meant")
                if level == "warning"
                else t("nothing, as long as both are in the same split"),
                some_ids(dataset, found),
            )


def _step_times(dataset: Dataset, modality: Modality, s: Sequences) -> Iterator[Finding]:
    owner = np.repeat(np.arange(len(s)), s.lengths)
    duration = (dataset.spans[:, 1] - dataset.spans[:, 0])[owner]
    with np.errstate(invalid="ignore"):
        backwards = (np.diff(s.times) < 0) & (np.diff(owner) == 0) & s.mask[1:] & s.mask[:-1]
        outside = ((s.times < -_EARLY_S) | (s.times > duration + _LATE_S)) & s.mask & (duration > 0)
    back = np.unique(owner[1:][backwards])
    out = np.unique(owner[outside])
    if len(back):
        yield Finding(
            "warning",
            "time.backwards",
            t("the {modality} steps of {n} utterances go back in time", modality=t(modality), n=len(back)),
            len(back),
            t("models of sequences see them in the wrong order, and alignment by time fails"),
            t("sort the steps by time; look whether steps of two clips were mixed"),
            some_ids(dataset, back),
        )
    if len(out):
        yield Finding(
            "warning",
            "time.outside",
            t("the {modality} steps of {n} utterances lie outside of them", modality=t(modality), n=len(out)),
            len(out),
            t("they are of another utterance, or counted from the beginning of the video"),
            t("count times from the beginning of the utterance"),
            some_ids(dataset, out),
        )


def _lengths(dataset: Dataset, one: Modality, other: Modality) -> Iterator[Finding]:
    first, second = dataset.features[one].lengths, dataset.features[other].lengths
    both = (first > 0) & (second > 0)
    pooled = both.any() and first[both].max() == second[both].max() == 1
    differ: NDArray[np.int64] = np.flatnonzero(both & (first != second))
    if not len(differ) or pooled or (first == second)[both].mean() < _ALIGNED:
        return
    yield Finding(
        "warning",
        "align.lengths",
        t("{n} utterances have another number of {one} steps than of {other} steps, {all} have the same", n=len(differ),
          one=t(one), other=t(other), all=int(both.sum()) - len(differ)),
        len(differ),
        t("in an aligned set step k of every modality is the same word; here they have slipped"),
        t("align these utterances again, or treat the set as unaligned"),
        some_ids(dataset, differ),
    )  # fmt: skip
