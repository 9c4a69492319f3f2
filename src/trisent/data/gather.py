"""Gather utterances of one modality into padded tensors, with no Python an utterance."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Sequences
from trisent.types import Modality

_VALUES_A_READ = 4_000_000  # features may be mapped and larger than the memory


class Gathering:
    """One modality of many utterances, clean and padded on demand.

    The values stay where they are, in memory or mapped. Whether cleaning has anything to do in an utterance is looked
    at when it is first taken, and remembered.

    Args:
        sequences: the utterances.
        cleaning: what they go through.
        modality: which one this is.
    """

    def __init__(self, sequences: Sequences, cleaning: Cleaning, *, modality: Modality) -> None:
        self._sequences, self._cleaning, self._modality = sequences, cleaning, modality
        self._values, self._mask = _shared(sequences.values), _shared(sequences.mask)
        self._starts, self._lengths = sequences.offsets[:-1], sequences.lengths
        columns = cleaning.columns.get(modality)
        self._keeps_values = columns is None or not columns.changes_values
        self._clean = np.zeros(len(sequences), np.bool_)
        steps = int(self._lengths.max(initial=0))
        even = steps > 0 and self._values.is_contiguous() and bool((self._lengths == steps).all())
        self._block = steps if even else 0  # steps of every utterance, if they are alike

    def padded(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Take utterances: float32 [utterances, steps, dim] and bool [utterances, steps], at least one step.

        What is masked or padding is 0.
        """
        values, mask = self._gathered(chosen)
        if not (self._keeps_values and self._clean[chosen].all()):
            n, steps = mask.shape
            before = mask.flatten().numpy()
            rows, visible = self._cleaning.rows(values.flatten(0, 1).numpy(), before, self._modality)
            self._clean[chosen] = np.array_equal(before, visible)
            values, mask = torch.from_numpy(rows).view(n, steps, -1), torch.from_numpy(visible).view(n, steps)
        if mask.is_cuda:  # to ask whether anything is masked would wait for the GPU
            return values.masked_fill_(~mask.unsqueeze(2), 0.0), mask
        if not mask.all():
            values.view(mask.numel(), -1).index_fill_(0, (~mask).flatten().nonzero().squeeze(1), 0.0)
        return values, mask

    def on(self, device: torch.device, chosen: NDArray[np.int64]) -> "Gathering":
        """Copy utterances, cleaned, to the memory of `device`: there they are 0, 1, 2 …"""
        taken = self._sequences.take(chosen)
        size = max(1, _VALUES_A_READ // max(taken.dim, 1))
        parts = [
            self._cleaning.rows(taken.values[i : i + size], taken.mask[i : i + size], self._modality)
            for i in range(0, max(len(taken.values), 1), size)
        ]
        values, mask = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if self._keeps_values:  # as narrow as they were stored
            values = taken.values
        clean = Sequences(values, taken.offsets, taken.times, mask)
        copied = Gathering(clean, Cleaning.nothing(), modality=self._modality)
        copied._clean[:] = True
        copied._values, copied._mask = copied._values.to(device), copied._mask.to(device)
        return copied

    def _gathered(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Copy the steps as they are; padding is some step of another utterance."""
        device, n = self._values.device, len(chosen)
        if self._block:  # whole blocks of memory: an index an utterance, not a step
            index = torch.from_numpy(chosen).to(device)
            blocks = self._values.view(len(self._lengths), self._block, -1).index_select(0, index)
            return blocks.float(), self._mask.view(len(self._lengths), -1).index_select(0, index)
        lengths = self._lengths[chosen]
        steps = max(int(lengths.max(initial=0)), 1)
        inside = np.arange(steps) < lengths[:, None]  # [utterances, steps]
        if not len(self._values):
            return torch.zeros(n, steps, self._values.shape[1], device=device), torch.from_numpy(inside).to(device)
        rows = np.where(inside, self._starts[chosen][:, None] + np.arange(steps), 0)
        index = torch.from_numpy(rows.ravel()).to(device)
        values = self._values.index_select(0, index).view(n, steps, -1)
        return values.float(), self._mask[index].view(n, steps) & torch.from_numpy(inside).to(device)


def _shared(array: NDArray[np.generic]) -> Tensor:
    """Make a tensor of the same memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # mapped files are only read
        return torch.from_numpy(array)
