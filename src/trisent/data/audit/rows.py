"""Checks whether the same features, or nearly the same, stand in more than one split."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.columns import Columns
from trisent.data.audit.findings import Finding, Repeat, some_ids
from trisent.data.dataset import Dataset
from trisent.i18n import t
from trisent.types import Floats, Modality

_NEAR = 1e-3  # of a standard deviation, on average over the columns
_DIRECTIONS = 8  # on which rows must agree before they are compared whole
_FARTHEST = 512  # neighbours along the first direction that are looked at
_PLACEHOLDER = 20  # utterances with one and the same row: it stands for "nothing found"


def check_rows(dataset: Dataset, modality: Modality, columns: Columns) -> tuple[list[Finding], list[Repeat]]:
    """Compare the mean features of all utterances; a row that stands for nothing is told, not paired."""
    rows = np.flatnonzero(np.isfinite(columns.pooled).any(axis=1) & ~columns.blank)
    if len(rows) < 2:
        return [], []
    values = _scaled(columns, rows)
    _, group, size = np.unique(_bytes_of(values), return_inverse=True, return_counts=True)
    common = size[group] >= _PLACEHOLDER
    findings = list(_placeholders(dataset, modality, rows[common]))
    rows, values = rows[~common], values[~common]
    pairs = _across(dataset, rows, _near_pairs(values))
    repeats = [
        Repeat(modality, dataset.ids[a], dataset.splits[a], dataset.ids[b], dataset.splits[b], 1.0, dataset.texts[b])
        for a, b in pairs
    ]
    if pairs:
        findings.append(_finding(dataset, modality, pairs))
    return findings, repeats


def _scaled(columns: Columns, rows: NDArray[np.int64]) -> Floats:
    values = columns.pooled[rows].astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    some = np.isfinite(values).any(axis=0)
    values = values[:, some]
    spread = np.nanstd(values, axis=0)
    values = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1)
    scaled: Floats = np.nan_to_num(values).astype(np.float32)
    return scaled


def _bytes_of(values: Floats) -> NDArray[np.void]:
    whole = np.ascontiguousarray(values + np.float32(0))  # -0 becomes 0
    return whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()


def _placeholders(dataset: Dataset, modality: Modality, rows: NDArray[np.int64]) -> Iterator[Finding]:
    if len(rows):
        yield Finding(
            "warning",
            "feature.placeholder",
            t("{n} utterances share their {modality} features with at least {others} others", n=len(rows),
              modality=t(modality), others=_PLACEHOLDER - 1),
            len(rows),
            t("features that so many share were not measured (or stem from one and the same text)"),
            t("treat the modality as absent there"),
            some_ids(dataset, rows),
        )  # fmt: skip


def _near_pairs(values: Floats) -> Iterator[NDArray[np.int64]]:
    """Yield pairs [pairs, 2] of rows whose root mean square difference is at most `_NEAR`.

    A projection on a direction of length 1 never lies farther apart than the rows do. So neighbours are looked for
    along one direction, and compared on a few others first.
    """
    n, dim = values.shape
    if n < 2 or not dim:
        return
    reach = _NEAR * np.sqrt(dim)
    directions = np.random.default_rng(0).standard_normal((dim, _DIRECTIONS)).astype(np.float32)
    projected = values @ (directions / np.linalg.norm(directions, axis=0))
    order = np.argsort(projected[:, 0], kind="stable")
    projected = projected[order]
    tolerance = reach + 1e-5 * np.abs(projected).max()
    for step in range(1, min(_FARTHEST, n - 1) + 1):
        near = projected[step:, 0] - projected[:-step, 0] <= tolerance
        if not near.any():
            return
        k = np.flatnonzero(near)
        k = k[(np.abs(projected[k + step] - projected[k]) <= tolerance).all(axis=1)]
        for some in (k[i : i + 4096] for i in range(0, len(k), 4096)):
            a, b = order[some], order[some + step]
            same = np.linalg.norm(values[a] - values[b], axis=1) <= reach
            yield np.stack([a[same], b[same]], axis=1)


def _across(dataset: Dataset, rows: NDArray[np.int64], found: Iterator[NDArray[np.int64]]) -> list[tuple[int, int]]:
    """Keep pairs of different splits, the one of the earlier split first."""
    place = {"train": 0, "valid": 1, "test": 2}
    pairs = set()
    for block in found:
        for a, b in rows[block].tolist():
            if dataset.splits[a] != dataset.splits[b] and dataset.splits[a] in place and dataset.splits[b] in place:
                early_first = place[dataset.splits[a]] < place[dataset.splits[b]]
                pairs.add((a, b) if early_first else (b, a))
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _finding(dataset: Dataset, modality: Modality, pairs: list[tuple[int, int]]) -> Finding:
    rows = sorted({b for _, b in pairs})
    # Equal short texts have equal text features; equal sound or pictures are the same recording.
    explained = modality == "text" and all(
        dataset.texts[a] and dataset.texts[a].casefold() == dataset.texts[b].casefold() for a, b in pairs
    )
    return Finding(
        "note" if explained else "warning" if modality == "text" else "error",
        "feature.repeated",
        t("{n} utterances have the {modality} features of an utterance of another split", n=len(rows),
          modality=t(modality)),
        len(rows),
        t("equal texts have equal features; see text.repeated")
        if explained
        else t("two recordings are never equal: it is the same clip in training and in the test"),
        t("take the copies out of valid and test; the pairs are in the report"),
        some_ids(dataset, rows),
    )  # fmt: skip
