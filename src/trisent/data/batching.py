"""Batches for training: utterances of a data set, of any length, padded with masks, with no Python an utterance."""

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.data.cleaning import Cleaning
from trisent.data.dataset import Dataset, Sequences
from trisent.data.gather import Gathering
from trisent.errors import DataError
from trisent.fusion.batch import Batch
from trisent.i18n import t
from trisent.types import MODALITIES, Floats, Modality

_WINDOW = 32  # batches whose utterances are sorted by length together
_STEPS_A_PASS = 32_768  # padded steps of the longest modality that are looked at together when nothing is learnt
_UTTERANCES_A_PASS = 256  # that are averaged together
_PIECES_A_PASS = 8_192  # the same of pieces, of which an encoder keeps every layer


@dataclass(frozen=True, slots=True)
class Tokens:
    """Word pieces of many utterances, laid end to end: utterance i owns ids[offsets[i]] to ids[offsets[i + 1]].

    `ids` int32 [pieces], `offsets` int64 [utterances + 1]; `padding` is the piece that fills up a batch.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    padding: int

    def padded(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Take utterances: ids int64 [utterances, pieces], and their mask bool, at least one piece wide."""
        starts, lengths = self.offsets[chosen], np.diff(self.offsets)[chosen]
        inside = np.arange(max(int(lengths.max(initial=0)), 1)) < lengths[:, None]
        ids = np.full(inside.shape, self.padding, np.int64)
        ids[inside] = self.ids[(starts[:, None] + np.arange(inside.shape[1]))[inside]]
        return torch.from_numpy(ids), torch.from_numpy(inside)


class Examples:
    """Labelled utterances of a data set, taken by number: all that training and evaluation ask of it.

    `labels` are on the data set's own scale, those of a batch are stretched to -3 … 3, which models judge on.
    Features stay where they are, in memory or mapped; a batch copies its own rows.

    Args:
        dataset: the data set.
        index: which utterances, in which order; all of them unless said otherwise.
        cleaning: what every batch goes through.
        tokens: of the data set's texts, in place of its text features, for an encoder that learns along.

    Raises:
        DataError: some of the utterances have no sentiment, or there is none, or there are no features.
    """

    def __init__(
        self,
        dataset: Dataset,
        index: NDArray[np.int64] | None = None,
        *,
        cleaning: Cleaning | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._index = np.arange(len(dataset)) if index is None else np.asarray(index, np.int64)
        replaced = ("text",) if tokens else ()
        self._features = {m: dataset.features[m] for m in MODALITIES if m in dataset.features and m not in replaced}
        self._tokens = tokens
        self._cleaning = cleaning or Cleaning.nothing()
        self._gathering = {m: Gathering(s, self._cleaning, modality=m) for m, s in self._features.items()}
        self._rows = self._index  # which utterances of the gatherings ours are
        self.labels: Floats = dataset.sentiment[self._index].astype(np.float32)
        self.stretch = dataset.stretch
        unknown = np.flatnonzero(~np.isfinite(self.labels))
        if len(unknown):
            message = "{name}: {count} of {n} utterances have no sentiment, first {ids}. See: trisent data audit"
            ids = ", ".join(dataset.ids[self._index[i]] for i in unknown[:5])
            raise DataError(t(message, name=dataset.name, count=len(unknown), n=len(self), ids=ids))
        if not len(self) or not (self._features or tokens):
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
        """Steps of each utterance, those of its longest modality [utterances]; with tokens, of those, the costliest."""
        if self._tokens is not None:
            pieces: NDArray[np.int64] = np.diff(self._tokens.offsets)[self._index]
            return pieces
        longest: NDArray[np.int64] = np.max([s.lengths[self._index] for s in self._features.values()], axis=0)
        return longest

    def batch(self, index: Tensor) -> Batch:
        """Take the utterances `index` [utterances], padded to the longest; what is masked or padding is 0."""
        chosen = index.numpy()
        values: dict[Modality, Tensor] = {}
        masks: dict[Modality, Tensor] = {}
        for modality, gathering in self._gathering.items():
            values[modality], masks[modality] = gathering.padded(self._rows[chosen])
        pieces = (None, None) if self._tokens is None else self._tokens.padded(self._index[chosen])
        return Batch(values, masks, torch.from_numpy(self.labels)[index] * self.stretch, *pieces)

    def passes(self, batch_size: int) -> Sequence[Tensor]:
        """Divide all utterances into batches that fit into memory, of `batch_size` at most.

        They come in order; with tokens by length, since an encoder would spend most of its time on padding.
        """
        size = max(1, min(batch_size, _STEPS_A_PASS // max(int(self.lengths.max()), 1)))
        if self._tokens is not None:
            size = max(1, min(size, _PIECES_A_PASS // max(int(self.lengths.max()), 1)))
            return torch.split(torch.from_numpy(np.argsort(self.lengths, kind="stable")), size)
        return torch.split(torch.arange(len(self)), size)

    def on(self, device: torch.device) -> "Examples":
        """Keep a clean copy of the features in the memory of `device`, from which batches are then taken."""
        copied = copy(self)
        copied._gathering = {m: of.on(device, self._index) for m, of in self._gathering.items()}
        copied._rows = np.arange(len(self))
        return copied

    def averaged(self) -> "Examples":
        """Keep the average of each utterance's visible steps, for models that look at nothing else.

        Batches are then as small as they can be: one step, clean, in memory. Tokens are not averaged.
        """
        if self.lengths.max() <= 1:
            return self
        n = len(self)
        rows = {m: np.zeros((n, dim), np.float32) for m, dim in self.dims.items()}
        seen = {m: np.zeros(n, np.bool_) for m in rows}
        for index in self.passes(_UTTERANCES_A_PASS):
            batch = self.batch(index)
            for m in rows:
                mean, present = batch.pooled(m)
                rows[m][index], seen[m][index] = mean.numpy(), present.numpy()
        copied = copy(self)
        unknown = np.full(n, np.nan, np.float32)
        copied._features = {m: Sequences(rows[m], np.arange(n + 1), unknown, seen[m]) for m in rows}
        copied._cleaning = Cleaning.nothing()  # done above
        copied._gathering = {m: Gathering(s, copied._cleaning, modality=m) for m, s in copied._features.items()}
        copied._index = copied._rows = np.arange(n)
        return copied

    @property
    def megabytes(self) -> float:
        """What the features would take in a device's memory, at most."""
        return sum(4 * int(s.lengths[self._index].sum()) * s.dim for s in self._features.values()) / 1e6

    def digest(self) -> str:
        """Return the sha256 of all that batches hold, in hex."""
        digest = hashlib.sha256(json.dumps(self._cleaning.to_json(), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.labels).data)
        if self._tokens is not None:
            ids, mask = self._tokens.padded(self._index)
            digest.update(ids[mask].numpy().tobytes() + mask.sum(dim=1).numpy().tobytes())
        for index in np.array_split(self._index, -(-len(self) // 256)):
            for modality, sequences in self._features.items():
                some = sequences.take(index)
                digest.update(f"{modality} {some.values.dtype} {list(some.values.shape)}".encode())
                digest.update(some.offsets.tobytes() + some.mask.tobytes() + some.values.tobytes())
        return digest.hexdigest()


def batches(
    lengths: NDArray[np.int64], batch_size: int, *, generator: torch.Generator | None = None
) -> Sequence[Tensor]:
    """Draw an order of all utterances and divide it into batches, in which utterances are of much the same length.

    The order is drawn first; within windows of some batches it is sorted by length, and the batches are drawn once
    more, so that the short ones do not come first. Where all lengths are equal it stays as it was drawn.

    Args:
        lengths: steps of each utterance [utterances].
        batch_size: utterances a batch; the last may have fewer, but is not a single one, of which models that look at
            the whole batch could learn nothing.
        generator: torch's own unless said otherwise.
    """
    order = torch.randperm(len(lengths), generator=generator)
    if not len(lengths) or lengths.min() == lengths.max():
        return _divided(order, batch_size)
    steps = torch.from_numpy(lengths)
    sorted_windows = [w[torch.argsort(steps[w], stable=True)] for w in torch.split(order, _WINDOW * batch_size)]
    divided = [batch for window in sorted_windows for batch in _divided(window, batch_size)]
    return [divided[i] for i in torch.randperm(len(divided), generator=generator).tolist()]


def _divided(order: Tensor, batch_size: int) -> Sequence[Tensor]:
    parts = list(torch.split(order, batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1 and batch_size > 2:
        two = torch.cat(parts[-2:])
        parts[-2:] = [two[:-2], two[-2:]]
    return parts
