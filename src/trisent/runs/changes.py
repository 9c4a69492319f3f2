"""Ways to spoil what a model sees: modalities taken away, dropped by chance, noisy, or of another utterance.

A change is drawn for every utterance by its number, never for a batch, so how utterances are batched does not matter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.data.batching import Examples
from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Dataset
from trisent.fusion.batch import Batch
from trisent.types import Floats, Modality

Change = Callable[[Batch, Tensor], Batch]
"""Takes a batch and which utterances it holds [utterances]; returns what the model is to see instead."""


class ChangedExamples(Examples):
    """Examples whose batches go through a change.

    Args:
        dataset, index, cleaning: as of `Examples`.
        change: what happens to every batch.
    """

    def __init__(
        self, dataset: Dataset, index: NDArray[np.int64], *, cleaning: Cleaning | None, change: Change
    ) -> None:
        super().__init__(dataset, index, cleaning=cleaning)
        self._change = change

    def batch(self, index: Tensor) -> Batch:
        """Take the utterances `index` [utterances] and change them."""
        return self._change(super().batch(index), index)


def keep_only(modalities: Sequence[Modality]) -> Change:
    """Hide every other modality, as if it had not been recorded."""
    return lambda batch, _: batch.only(modalities)


def drop(chances: Mapping[Modality, Floats], *, rate: float) -> Change:
    """Hide a modality of an utterance where its number in `chances` [all utterances] is below the rate.

    With the same numbers, what is hidden at one rate is hidden at every higher one.
    """

    def change(batch: Batch, index: Tensor) -> Batch:
        masks = dict(batch.masks)
        for m, mask in batch.masks.items():
            kept = torch.from_numpy(chances[m] >= rate)[index]
            masks[m] = mask & kept.unsqueeze(1)
        return replace(batch, masks=masks)

    return change


def add_noise(stds: Mapping[Modality, Tensor], *, level: float, seed: int) -> Change:
    """Add Gaussian noise, `level` times the standard deviation [dim] of each column, to what is visible."""

    def change(batch: Batch, index: Tensor) -> Batch:
        values = dict(batch.values)
        for place, (m, std) in enumerate(stds.items()):
            if m not in values:
                continue
            x, mask = values[m].clone(), batch.masks[m]
            for row, number in enumerate(index.tolist()):
                random = np.random.default_rng([seed, place, number])
                steps = int(mask[row].sum())
                if steps:
                    noise = random.standard_normal((steps, x.shape[2]), np.float32)
                    x[row, mask[row]] += level * std * torch.from_numpy(noise)
            values[m] = x
        return replace(batch, values=values)

    return change


def swap(modality: Modality, *, order: NDArray[np.int64], source: Examples) -> Change:
    """Give utterance i the modality of utterance order[i] of `source`."""
    places = torch.from_numpy(order)

    def change(batch: Batch, index: Tensor) -> Batch:
        other = source.batch(places[index])
        return replace(
            batch,
            values={**batch.values, modality: other.values[modality]},
            masks={**batch.masks, modality: other.masks[modality]},
        )

    return change
