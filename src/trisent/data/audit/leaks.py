"""Checks whether features know the label.

Honest frozen features give a ridge a correlation of 0.5 to 0.75 from text, 0.1 to 0.5 from sound or pictures, and
about the same on unseen videos of train (cross-fold) as on valid and test (held-out). The labels themselves are means
over a few annotators, so nothing honest comes near 1.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.columns import Columns
from trisent.data.audit.findings import Finding, some_ids
from trisent.data.audit.probe import FEW, Probe
from trisent.data.dataset import Dataset
from trisent.data.resplit import classes_of
from trisent.i18n import t
from trisent.types import Floats, Modality

_ALMOST = 0.95  # correlation that only the label itself has
_COLUMN = 0.8  # of a single column
_WORDLESS = 0.6  # of sound or pictures
_Z = 4.0  # one in 30,000


def z_of_difference(high: float, low: float, *, n_high: int, n_low: int) -> float:
    """Return how many standard errors two correlations of independent samples lie apart (Fisher's z).

    >>> round(z_of_difference(0.9, 0.5, n_high=103, n_low=103), 2)
    6.53
    """
    high, low = (float(np.clip(r, -0.9999, 0.9999)) for r in (high, low))
    return float((np.arctanh(high) - np.arctanh(low)) / np.sqrt(1 / max(n_high - 3, 1) + 1 / max(n_low - 3, 1)))


def check_probes(probes: list[Probe]) -> Iterator[Finding]:
    """Judge the probes of all modalities."""
    text = next((p for p in probes if p.modality == "text"), None)
    for p in probes:
        r, n = p.best
        if np.isnan(r):
            continue
        said = t("{modality}: r = {r:.2f}", modality=t(p.modality), r=r)
        if r >= _ALMOST:
            yield _label_known(said)
        elif p.modality != "text" and z_of_difference(r, _WORDLESS, n_high=n, n_low=10**9) > _Z / 2:
            yield Finding(
                "warning",
                "leak.wordless",
                t("a linear model on mean features predicts the sentiment too well; {said}", said=said),
                n,
                t("sound and pictures alone gave at most about 0.6 in honest work; encoders that were fitted on these "
                  "labels, or on the test set, give more"),
                t("find out what the encoder was trained on; features of acted speech may be that good"),
            )  # fmt: skip
        yield from _held_out(p)
        if text is not None and p is not text:
            yield from _beats_text(p, text)


def _label_known(said: str) -> Finding:
    return Finding(
        "error",
        "leak.probe",
        t("a linear model on mean features predicts the sentiment almost exactly; {said}", said=said),
        0,
        t("annotators agree less with each other: the label is in the features"),
        t("look for a column, a padding or an order of rows made from the label, and extract the features again"),
    )


def _held_out(p: Probe) -> Iterator[Finding]:
    for split, r in p.held_out.items():
        if np.isnan(r) or np.isnan(p.cross):
            continue
        n, n_cross = p.independent[split], p.independent["cross"]
        if r > p.cross + 0.15 and z_of_difference(r, p.cross, n_high=n, n_low=n_cross) > _Z:
            yield Finding(
                "error",
                "leak.held_out",
                t("{modality} features predict {split} better than unseen videos of train: r = {r:.2f} to {cross:.2f}",
                  modality=t(p.modality), split=split, r=r, cross=p.cross),
                n,
                t("the encoder has seen these labels: it was fitted on {split}", split=split),
                t("extract with an encoder that never saw this data set"),
            )  # fmt: skip
        if p.cross > r + 0.15 and z_of_difference(p.cross, r, n_high=n_cross, n_low=n) > _Z:
            yield Finding(
                "warning",
                "leak.train",
                t("{modality} features predict unseen videos of train better than {split}: r = {cross:.2f} to {r:.2f}",
                  modality=t(p.modality), split=split, r=r, cross=p.cross),
                n,
                t("the encoder was fitted on the labels of train, so a model on top learns to trust it too much; "
                  "or {split} is of another kind", split=split),
                t("extract with an encoder that never saw this data set, or compare how {split} was made", split=split),
            )  # fmt: skip


def _beats_text(p: Probe, text: Probe) -> Iterator[Finding]:
    (r, n), (with_text, n_text) = p.best, text.best
    if np.isnan(with_text) or r < 0.4 or r < with_text + 0.1:
        return
    if z_of_difference(r, with_text, n_high=n, n_low=n_text) > _Z:
        yield Finding(
            "warning",
            "leak.beats_text",
            t("{modality} features predict the sentiment better than text: r = {r:.2f} to {text:.2f}",
              modality=t(p.modality), r=r, text=with_text),
            n,
            t("on transcribed opinions text is best in all honest work"),
            t("look whether the features, or those of text, belong to these utterances; "
              "find out what the encoder was trained on"),
        )  # fmt: skip


def check_columns_against_label(dataset: Dataset, modality: Modality, columns: Columns) -> Iterator[Finding]:
    """Look for a single column, or the number of steps, that gives the label away, however it is ordered."""
    rows = np.flatnonzero(np.isfinite(dataset.sentiment) & columns.seen)
    label = dataset.sentiment[rows].astype(np.float64)
    if len(rows) < FEW or np.ptp(label) == 0:
        return
    values = columns.pooled[rows].astype(np.float64)
    lengths = dataset.features[modality].lengths[rows, None]
    strength = np.maximum(
        _correlations(values, label), _class_shares(values, classes_of(dataset.sentiment[rows], dataset.scale))
    )
    bad = np.flatnonzero(strength >= _COLUMN)
    if len(bad):
        strongest = float(strength.max())
        yield Finding(
            "error" if strongest >= _ALMOST else "warning",
            "leak.column",
            t("{n} columns of {modality} tell the sentiment by themselves, column {column} with r = {r:.2f}",
              n=len(bad), modality=t(modality), column=int(strength.argmax()), r=strongest),
            len(bad),
            t("no single column of an honest encoder does: it was made from the label"),
            t("drop these columns, and find out how they came there: {columns}", columns=", ".join(map(str, bad[:20]))),
        )  # fmt: skip
    by_length = float(_correlations(lengths.astype(np.float64), label)[0])
    if by_length >= _COLUMN:
        yield Finding(
            "error" if by_length >= _ALMOST else "warning",
            "leak.lengths",
            t("the number of {modality} steps tells the sentiment: r = {r:.2f}", modality=t(modality), r=by_length),
            len(rows),
            t("how long somebody speaks hardly says what they think: the features were cut by the label"),
            t("extract the features again"),
        )


def _correlations(values: NDArray[np.float64], label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |r| of every column with the label; 0 for constant columns; what is not finite counts as the mean."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    centred = np.where(known, values - mean, 0)
    y = label - label.mean()
    norms = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    tiny = norms <= 1e-9 * np.maximum(np.abs(mean), 1e-30) * np.sqrt(count)
    return np.where(tiny, 0, np.abs(y @ centred) / np.where(tiny, 1, norms) / np.linalg.norm(y))


def _class_shares(values: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the correlation ratio of every column with the seven classes, corrected for chance.

    It finds columns that are constant within a class in whatever order, which a correlation does not.
    """
    present, group = np.unique(classes, return_inverse=True)
    if len(present) < 2 or len(classes) <= len(present):
        return np.zeros(values.shape[1])
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - mean, 0)
    sums = np.zeros((len(present), values.shape[1]))
    np.add.at(sums, group, centred)
    counts = np.bincount(group)[:, None]
    total = np.einsum("ij,ij->j", centred, centred)
    within = np.maximum(total - (sums**2 / counts).sum(axis=0), 0)
    n, k = len(classes), len(present)
    tiny = total <= 1e-18 * np.maximum(mean**2, 1e-30) * n
    share = 1 - within / (n - k) / (np.where(tiny, 1, total) / (n - 1))
    return np.where(tiny, 0, np.sqrt(np.clip(share, 0, 1)))


def check_order(dataset: Dataset) -> Iterator[Finding]:
    """Look whether the order of the utterances gives their sentiment away."""
    for split in ("train", "valid", "test", ""):
        index = dataset.index(split)
        index = index[np.isfinite(dataset.sentiment[index])]
        label = dataset.sentiment[index]
        if len(index) < FEW or np.ptp(label) == 0:
            continue
        r = float(np.corrcoef(np.arange(len(index)), _ranks(label))[0, 1])
        if abs(r) > 0.5:
            yield Finding(
                "warning",
                "leak.order",
                t("the utterances of {split} are ordered by sentiment: rank correlation {r:.2f}",
                  split=split or t("no split"), r=r),
                len(index),
                t("whatever depends on the place of an utterance in the file knows its label; and batches that are "
                  "not shuffled hold one class"),
                t("sort by id, and extract features again that were averaged or scaled over neighbours"),
                some_ids(dataset, index),
            )  # fmt: skip


def _ranks(values: Floats) -> NDArray[np.float64]:
    """Rank values; equal ones share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
