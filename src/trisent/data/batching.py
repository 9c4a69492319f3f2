"""Batches for training: utterances of a data set, of any length, padded with masks, with no Python an utterance."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Dataset, Sequences
from trisent.errors import DataError
from trisent.fusion.batch import Batch
from trisent.i18n import t
from trisent.types import MODALITIES, Floats, Modality

_WINDOW = 32  # batches whose utterances are sorted by length together
_STEPS_A_PASS = 32_768  # padded steps of the longest modality that are looked at together when nothing is learnt


class Examples:
    """Labelled utterances of a data set, taken by number: all that training and evaluation ask of it.

    Features stay where they are, in memory or mapped; a batch copies its own rows.

    Args:
        dataset: the data set.
        index: which utterances, in which order; all of them unless said otherwise.
        cleaning: what every batch goes through.

    Raises:
        DataError: some of the utterances have no sentiment, or there is none, or there are no features.
    """

    def __init__(
        self, dataset: Dataset, index: NDArray[np.int64] | None = None, *, cleaning: Cleaning | None = None
    ) -> None:
        self._index = np.arange(len(dataset)) if index is None else np.asarray(index, np.int64)
        self._features = {m: dataset.features[m] for m in MODALITIES if m in dataset.features}
        self._cleaning = cleaning or Cleaning.nothing()
        self.labels: Floats = dataset.sentiment[self._index].astype(np.float32)
        unknown = np.flatnonzero(~np.isfinite(self.labels))
        if len(unknown):
            message = "{name}: {count} of {n} utterances have no sentiment, first {ids}. See: trisent data audit"
            ids = ", ".join(dataset.ids[self._index[i]] for i in unknown[:5])
            raise DataError(t(message, name=dataset.name, count=len(unknown), n=len(self), ids=ids))
        if not len(self) or not self._features:
            what = t("features") if len(self) else t("utterances")
            raise DataError(t("{name}: there are no {what} to learn from", name=dataset.name, what=what))

    def __len__(self) -> int:
        return len(self._index)

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of each modality in a batch."""
        return {m: self._cleaning.width(m, s.dim) for m, s in self._features.items()}

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each utterance, those of its longest modality [utterances]."""
        longest: NDArray[np.int64] = np.max([s.lengths[self._index] for s in self._features.values()], axis=0)
        return longest

    def batch(self, index: Tensor) -> Batch:
        """Take the utterances `index` [utterances], padded to the longest; what is masked or padding is 0."""
        chosen = self._index[index.numpy()]
        values: dict[Modality, Tensor] = {}
        masks: dict[Modality, Tensor] = {}
        for modality, sequences in self._features.items():
            padded, mask = _padded(sequences, chosen, self._cleaning, modality=modality)
            values[modality], masks[modality] = torch.from_numpy(padded), torch.from_numpy(mask)
        return Batch(values, masks, torch.from_numpy(self.labels)[index])

    def passes(self, batch_size: int) -> Sequence[Tensor]:
        """Divide all utterances, in order, into batches that fit into memory, of `batch_size` at most."""
        size = max(1, min(batch_size, _STEPS_A_PASS // max(int(self.lengths.max()), 1)))
        return torch.split(torch.arange(len(self)), size)

    def pooled(self) -> Batch:
        """Average the visible steps of every utterance: one step each."""
        rows: dict[Modality, list[Tensor]] = {m: [] for m in self._features}
        there: dict[Modality, list[Tensor]] = {m: [] for m in self._features}
        for index in self.passes(1024):
            batch = self.batch(index)
            for m in rows:
                mean, present = batch.pooled(m)
                rows[m].append(mean.unsqueeze(1))
                there[m].append(present.unsqueeze(1))
        return Batch(
            {m: torch.cat(parts) for m, parts in rows.items()},
            {m: torch.cat(parts) for m, parts in there.items()},
            torch.from_numpy(self.labels),
        )

    def digest(self) -> str:
        """Return the sha256 of all that batches hold, in hex."""
        digest = hashlib.sha256(json.dumps(self._cleaning.to_json(), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.labels).data)
        for index in np.array_split(self._index, -(-len(self) // 256)):
            for modality, sequences in self._features.items():
                some = sequences.take(index)
                digest.update(f"{modality} {some.values.dtype} {list(some.values.shape)}".encode())
                digest.update(some.offsets.tobytes() + some.mask.tobytes() + some.values.tobytes())
        return digest.hexdigest()


def _padded(
    sequences: Sequences, chosen: NDArray[np.int64], cleaning: Cleaning, *, modality: Modality
) -> tuple[Floats, NDArray[np.bool_]]:
    """Gather utterances into values [utterances, steps, dim] and mask [utterances, steps], at least one step."""
    starts, lengths = sequences.offsets[chosen], sequences.lengths[chosen]
    steps = max(int(lengths.max(initial=0)), 1)
    inside = np.arange(steps) < lengths[:, None]  # [utterances, steps]
    rows = (starts[:, None] + np.arange(steps))[inside]  # those of all utterances, one after the other
    values, visible = cleaning.rows(sequences.values[rows], sequences.mask[rows], modality)
    if not visible.all():
        values[~visible] = 0.0
    if len(rows) < inside.size:
        places = np.flatnonzero(inside)
        padded, mask = np.zeros((inside.size, values.shape[1]), np.float32), np.zeros(inside.size, np.bool_)
        padded[places], mask[places] = values, visible
        values, visible = padded, mask
    return values.reshape(*inside.shape, values.shape[1]), visible.reshape(inside.shape)


def batches(
    lengths: NDArray[np.int64], batch_size: int, *, generator: torch.Generator | None = None
) -> Sequence[Tensor]:
    """Draw an order of all utterances and divide it into batches, in which utterances are of much the same length.

    The order is drawn first; within windows of some batches it is sorted by length, and the batches are drawn once
    more, so that the short ones do not come first. Where all lengths are equal it stays as it was drawn.

    Args:
        lengths: steps of each utterance [utterances].
        batch_size: utterances a batch; the last may have fewer.
        generator: torch's own unless said otherwise.
    """
    order = torch.randperm(len(lengths), generator=generator)
    if not len(lengths) or lengths.min() == lengths.max():
        return torch.split(order, batch_size)
    steps = torch.from_numpy(lengths)
    sorted_windows = [w[torch.argsort(steps[w], stable=True)] for w in torch.split(order, _WINDOW * batch_size)]
    divided = [batch for window in sorted_windows for batch in torch.split(window, batch_size)]
    return [divided[i] for i in torch.randperm(len(divided), generator=generator).tolist()]
