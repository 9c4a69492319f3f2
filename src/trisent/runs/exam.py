"""An exam: a model, and the utterances it is judged on as they are or changed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trisent.data.batching import Examples
from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Dataset
from trisent.evaluation.figures import FIGURES
from trisent.evaluation.predictions import Numbers, predictions_of
from trisent.runs.changes import Change, ChangedExamples
from trisent.training.judging import Judged, judge
from trisent.types import Modality

KEYS = ("mae", "corr", "acc7_round", "acc2_has0", "acc2_non0")


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """A model and the utterances `index` of a data set, cleaned as in its training."""

    model: nn.Module
    dataset: Dataset
    index: NDArray[np.int64]
    cleaning: Cleaning | None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the data have."""
        return tuple(self.examples().dims)

    @property
    def truth(self) -> Numbers:
        """The labels [utterances]."""
        return self.dataset.sentiment[self.index].astype(np.float64)

    def examples(self) -> Examples:
        """The utterances as they are."""
        return Examples(self.dataset, self.index, cleaning=self.cleaning)

    def judge(self) -> Judged:
        """Judge the utterances as they are."""
        return judge(self.model, self.examples())

    def judge_changed(self, change: Change) -> Judged:
        """Judge the utterances after a change."""
        return judge(self.model, ChangedExamples(self.dataset, self.index, cleaning=self.cleaning, change=change))

    def measure(self, sentiment: Numbers) -> dict[str, float]:
        """Compute the figures `KEYS` of sentiment [utterances]."""
        predictions = predictions_of(sentiment, self.truth)
        return {key: FIGURES[key].of(predictions)[0] for key in KEYS}


def presence(examples: Examples) -> Mapping[Modality, NDArray[np.bool_]]:
    """Say which utterances have anything to see of each modality [utterances]."""
    found: dict[Modality, list[NDArray[np.bool_]]] = {m: [] for m in examples.dims}
    for index in examples.passes(1024):
        batch = examples.batch(index)
        for m, parts in found.items():
            parts.append(batch.masks[m].any(dim=1).numpy())
    return {m: np.concatenate(parts) for m, parts in found.items()}


def column_stds(examples: Examples) -> dict[Modality, torch.Tensor]:
    """Give the standard deviation of each column [dim] over all visible steps; 0 where nothing is visible."""
    sums = {m: torch.zeros(3, dim, dtype=torch.float64) for m, dim in examples.dims.items()}
    for index in examples.passes(1024):
        batch = examples.batch(index)
        for m, total in sums.items():
            rows = batch.values[m][batch.masks[m]].double()  # [visible steps, dim]
            total += torch.stack([torch.full((rows.shape[1],), float(len(rows))), rows.sum(0), (rows**2).sum(0)])
    stds = {}
    for m, (n, first, second) in ((m, total.unbind()) for m, total in sums.items()):
        mean = first / n.clamp(min=1)
        stds[m] = (second / n.clamp(min=1) - mean**2).clamp(min=0).sqrt().float()
    return stds
