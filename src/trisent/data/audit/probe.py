"""What a linear model on mean features scores: across the folds of train, and on valid and test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.columns import Columns
from trisent.data.dataset import Dataset
from trisent.data.resplit import videos_of
from trisent.types import Floats, Modality

_FOLDS = 5
_WIDTH = 1024  # wider features are projected on so many random directions
_SHRINKAGE = (0.01, 0.1, 1.0, 10.0)  # times the number of utterances; features have a variance of 1
FEW = 50  # utterances, below which nothing is tested


@dataclass(frozen=True, slots=True)
class Probe:
    """Correlations with the sentiment of a ridge on mean features, NaN where there was too little to test.

    Attributes:
        cross: within train, on the folds left out.
        held_out: of the ridge of train, by split.
        independent: by the name "cross" or a split: how many independent utterances its utterances are worth.
    """

    modality: Modality
    cross: float
    held_out: dict[str, float]
    independent: dict[str, int]

    @property
    def best(self) -> tuple[float, int]:
        """The highest correlation, and how many independent utterances it is from."""
        scored = {"cross": self.cross, **self.held_out}
        name = max(scored, key=lambda k: np.nan_to_num(scored[k], nan=-1.0))
        return scored[name], self.independent[name]


def probe(dataset: Dataset, modality: Modality, columns: Columns) -> Probe | None:
    """Fit ridges on the mean features of one modality; None when there are fewer than 50 labelled utterances."""
    usable = np.isfinite(dataset.sentiment) & columns.seen
    splits = np.array(dataset.splits, dtype=object)
    train = np.flatnonzero(usable & (splits == "train"))
    if len(train) < FEW:
        train = np.flatnonzero(usable & (splits == ""))
    if len(train) < FEW or np.ptp(dataset.sentiment[train]) == 0:
        return None
    values = _standardised(columns.pooled, train)
    label = dataset.sentiment.astype(np.float64)
    owners = np.array([v or f"\0{i}" for i, v in enumerate(videos_of(dataset))], dtype=object)
    _, video = np.unique(owners[train].astype(str), return_inverse=True)
    fold = np.random.default_rng(0).permutation(int(video.max()) + 1)[video] % _FOLDS
    weights, cross = _ridge(values[train], label[train], fold)
    held_out, independent = {}, {"cross": effective_size(label[train], video)}
    for split in ("valid", "test"):
        rows = np.flatnonzero(usable & (splits == split))
        if len(rows) >= FEW:
            held_out[split] = _r(values[rows] @ weights, label[rows])
            _, video = np.unique(owners[rows].astype(str), return_inverse=True)
            independent[split] = effective_size(label[rows], video)
    return Probe(modality, cross, held_out, independent)


def _standardised(pooled: Floats, train: NDArray[np.int64]) -> NDArray[np.float32]:
    known = np.where(np.isfinite(pooled), pooled, np.nan)
    some = np.isfinite(known[train]).any(axis=0)
    known = known[:, some].astype(np.float64)
    mean, std = np.nanmean(known[train], axis=0), np.nanstd(known[train], axis=0)
    scaled = np.nan_to_num((known - mean) / np.where(std > 0, std, 1))
    # A few exploding steps must not hide what the others know.
    values: Floats = np.clip(scaled, -5, 5).astype(np.float32)
    if values.shape[1] > _WIDTH:
        directions = np.random.default_rng(0).standard_normal((values.shape[1], _WIDTH)) / np.sqrt(_WIDTH)
        values = np.asarray(values @ directions.astype(np.float32), np.float32)
    return values


def _ridge(
    values: NDArray[np.float32], label: NDArray[np.float64], fold: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Fit with the shrinkage that is best on the folds left out; return the weights and that best correlation."""
    centred = (label - label.mean()).astype(np.float32)
    grams, moments = zip(
        *((v.T @ v, v.T @ centred[fold == k]) for k in range(_FOLDS) for v in [values[fold == k]]), strict=True
    )
    gram, moment = np.sum(grams, axis=0, dtype=np.float64), np.sum(moments, axis=0, dtype=np.float64)
    unit = np.eye(values.shape[1])
    best, chosen = -2.0, _SHRINKAGE[-1]
    for shrinkage in _SHRINKAGE:
        predicted = np.zeros(len(label))
        for k in range(_FOLDS):
            n = int((fold != k).sum())
            weights = np.linalg.solve(gram - grams[k] + shrinkage * n * unit, moment - moments[k])
            predicted[fold == k] = values[fold == k] @ weights
        if (r := _r(predicted, label)) > best:
            best, chosen = r, shrinkage
    fitted = np.linalg.solve(gram + chosen * len(label) * unit, moment)
    return np.asarray(fitted, np.float64), best if best > -2 else float("nan")


def _r(p: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.ptp(p) < 1e-12 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(p, y)[0, 1])


def effective_size(label: NDArray[np.float64], video: NDArray[np.int64]) -> int:
    """Return how many independent utterances these are worth: those of a video are alike (Kish's design effect).

    Args:
        label: [utterances].
        video: number of the video of each.

    >>> effective_size(np.array([1.0, 1, 1, 2, 2, 2, 3, 3, 3]), np.repeat([0, 1, 2], 3))
    3
    """
    sizes = np.bincount(video).astype(np.float64)
    n, groups = len(label), len(sizes)
    if groups in (1, n):
        return groups
    means = np.bincount(video, label) / sizes
    within = ((label - means[video]) ** 2).sum() / (n - groups)
    between = (sizes * (means - label.mean()) ** 2).sum() / (groups - 1)
    typical = (n - (sizes**2).sum() / n) / (groups - 1)
    spread = between + (typical - 1) * within
    alike = max((between - within) / spread, 0.0) if spread > 0 else 1.0
    return max(groups, int(n / (1 + (typical - 1) * alike) + 0.5))
