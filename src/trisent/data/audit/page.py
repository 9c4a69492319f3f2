"""The report of an audit as one HTML page that needs nothing else: findings, plots as SVG, repeated utterances."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trisent.data.audit.columns import Columns
from trisent.data.audit.findings import LEVELS, Report
from trisent.data.dataset import SPLITS, Dataset
from trisent.evaluation.breakdown import count_words
from trisent.files import write_whole
from trisent.i18n import t
from trisent.pages import fill

_REPEATS = 100  # pairs that the page lists
_BINS = 36
_CELLS = 256  # of a heat strip; wider features show the most extreme column of each cell
# strong negative to strong positive; told apart by lightness as well
_CLASS_COLOURS = ("#8c1d18", "#c8553d", "#e6a28e", "#b9bec7", "#9ccbb2", "#4a9d78", "#175c3f")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fall into bins of equal width from `low` to `high`; `heights` are shares of the fullest."""

    title: str
    low: float
    high: float
    counts: tuple[int, ...]
    heights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of coloured cells, one a column (or one for a few neighbours): fill and what to say of it."""

    title: str
    dim: int
    cells: tuple[tuple[str, str], ...]


def to_html(report: Report, dataset: Dataset) -> str:
    """Draw the page."""
    filters = {"figure": lambda value: "–" if value is None or value != value else f"{value:.4f}"}
    values = {
        "report": report,
        "d": report.description,
        "levels": LEVELS,
        "level_names": {"error": t("errors"), "warning": t("warnings"), "note": t("notes")},
        "repeats": report.repeats[:_REPEATS],
        "labels": list(_label_histograms(dataset)),
        "lengths": list(_length_histograms(dataset)),
        "strips": {modality: _strips(c) for modality, c in report.columns.items()},
        "colours": _CLASS_COLOURS,
    }
    return fill(Path(__file__).with_name("page.html.j2"), filters, values)


def write_page(path: Path, report: Report, dataset: Dataset) -> None:
    """Write the page, whole or not at all."""
    write_whole(path.parent, {path.name: to_html(report, dataset).encode()})


def _label_histograms(dataset: Dataset) -> Iterator[Histogram]:
    low, high = dataset.scale
    for split in (*SPLITS, ""):
        values = dataset.sentiment[dataset.index(split)]
        values = values[np.isfinite(values)]
        if len(values):
            yield _histogram(split or t("no split"), values, low=low, high=high, bins=_BINS)


def _length_histograms(dataset: Dataset) -> Iterator[Histogram]:
    lengths: Mapping[str, NDArray[np.int64]] = {t(m): s.lengths[s.lengths > 0] for m, s in dataset.features.items()}
    if not lengths:
        lengths = {t("words of a text"): np.array([count_words(text) for text in dataset.texts if text])}
    for title, values in lengths.items():
        if len(values):
            high = float(np.percentile(values, 99.5))
            width = math.ceil((high + 1) / _BINS)  # whole steps, so that no bin stays empty between two lengths
            bins = math.ceil((high + 1) / width)
            yield _histogram(title, np.minimum(values, high), low=0.0, high=float(bins * width), bins=bins)


def _histogram(title: str, values: ArrayLike, *, low: float, high: float, bins: int) -> Histogram:
    # Bins are centred on multiples of their width, so that labels in steps of 1/3 or 1/2 do not sit on an edge.
    half = (high - low) / bins / 2
    counts, _ = np.histogram(np.clip(values, low, high), bins=bins + 1, range=(low - half, high + half))
    return Histogram(title, low, high, tuple(counts.tolist()), tuple((counts / max(counts.max(), 1)).tolist()))


def _strips(c: Columns) -> list[Strip]:
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.nanmedian(c.std[c.std > 0]) if (c.std > 0).any() else 1.0
        shift = np.clip(c.mean / np.maximum(c.std, 1e-12) / 6, -1, 1)  # 3 standard deviations: half the colour
        width = np.clip(np.log10(c.std / middle) / 3, -1, 1)  # a thousand times the middle one: all of it
    return [
        Strip(t("mean, in standard deviations from 0"), len(c.mean), tuple(_cells(c, c.mean, shift))),
        Strip(t("standard deviation, against the middle one"), len(c.std), tuple(_cells(c, c.std, width))),
    ]


def _cells(c: Columns, values: NDArray[np.float64], strength: NDArray[np.float64]) -> Iterator[tuple[str, str]]:
    """Choose for each cell the column that stands out most: bad numbers, then none that vary, then extremes."""
    constant = c.low == c.high
    weight = np.where(c.nonfinite > 0, 3.0, np.where(constant, 2.0, np.abs(np.nan_to_num(strength))))
    for group in np.array_split(np.arange(len(values)), min(len(values), _CELLS)):
        k = int(group[np.argmax(weight[group])])
        if c.nonfinite[k]:
            yield "#d4006a", t("column {name}: {n} numbers are NaN or infinite", name=k, n=int(c.nonfinite[k]))
        elif constant[k]:
            yield "#1d2430", t("column {name}: always {value:.4g}", name=k, value=float(c.low[k]))
        else:
            share = float(np.nan_to_num(strength[k]))
            hue, lightness = (215, 96 - 58 * share) if share >= 0 else (28, 96 + 46 * share)
            yield f"hsl({hue} 70% {lightness:.0f}%)", t("column {name}: {value:.4g}", name=k, value=float(values[k]))
