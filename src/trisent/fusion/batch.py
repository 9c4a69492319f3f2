"""What goes into a fusion model and what comes out: padded features with masks, sentiment with class logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trisent.types import MODALITIES, Features, Modality


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances side by side.

    Per modality: `values` float32 [utterances, steps, dim], zero where padded, and `masks` bool [utterances, steps].
    An absent modality is an all-False row of the mask; one that no utterance of the batch has may be left out.
    `labels` float32 [utterances], sentiment in [-3, 3], or None when nobody knows it.
    `tokens` int64 [utterances, pieces] and `token_mask` bool of that shape stand for text features that an encoder,
    learning along, has yet to make.
    """

    values: dict[Modality, Tensor]
    masks: dict[Modality, Tensor]
    labels: Tensor | None = None
    tokens: Tensor | None = None
    token_mask: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.values.values()))) if self.tokens is None else len(self.tokens)

    def to(self, device: torch.device | str) -> "Batch":
        """Copy every tensor to `device`."""
        return Batch(
            {m: v.to(device) for m, v in self.values.items()},
            {m: v.to(device) for m, v in self.masks.items()},
            *(None if x is None else x.to(device) for x in (self.labels, self.tokens, self.token_mask)),
        )

    def take(self, rows: Tensor) -> "Batch":
        """Take some of the utterances, padded as they are."""
        return Batch(
            {m: v[rows] for m, v in self.values.items()},
            {m: v[rows] for m, v in self.masks.items()},
            *(None if x is None else x[rows] for x in (self.labels, self.tokens, self.token_mask)),
        )

    def only(self, modalities: Sequence[Modality]) -> "Batch":
        """Hide every modality but these, as if the others had not been recorded."""
        masks = {m: mask if m in modalities else torch.zeros_like(mask) for m, mask in self.masks.items()}
        token_mask = self.token_mask
        if token_mask is not None and "text" not in modalities:
            token_mask = torch.zeros_like(token_mask)
        return replace(self, masks=masks, token_mask=token_mask)

    def pooled(self, modality: Modality) -> tuple[Tensor, Tensor]:
        """Average the visible steps: rows [utterances, dim], zero where absent, and presence bool [utterances]."""
        values, mask = self.values[modality], self.masks[modality]
        if mask.device.type == "cpu" and mask.all():  # a GPU would have to be waited for
            return values[:, 0] if values.shape[1] == 1 else values.mean(dim=1), mask.any(dim=1)
        weights = mask.unsqueeze(-1).to(values.dtype)
        # Masked values may hold anything, NaN included, and 0 * NaN is NaN: overwrite, do not multiply.
        visible = values.masked_fill(~mask.unsqueeze(-1), 0.0)
        rows = visible.sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)  # [utterances, dim]
        return rows, mask.any(dim=1)

    def spread(self, modality: Modality) -> Tensor:
        """Standard deviation of the visible steps about their mean: [utterances, dim], zero where absent."""
        mean, _ = self.pooled(modality)
        squares = replace(self, values={modality: (self.values[modality] - mean.unsqueeze(1)) ** 2})
        return squares.pooled(modality)[0].sqrt()


@dataclass(frozen=True, slots=True)
class Output:
    """A fusion model's answer: `sentiment` [utterances] in [-3, 3] and `class_logits` [utterances, 7]."""

    sentiment: Tensor
    class_logits: Tensor


def collate(
    utterances: Sequence[Mapping[Modality, Features]],
    dims: Mapping[Modality, int],
    labels: Sequence[float] | None = None,
) -> Batch:
    """Pad features of several utterances to one batch.

    Args:
        utterances: for each utterance the features it has; a modality left out is absent.
        dims: width of every modality the model takes.
        labels: sentiment of each utterance, when known.
    """
    values: dict[Modality, Tensor] = {}
    masks: dict[Modality, Tensor] = {}
    for modality in (m for m in MODALITIES if m in dims):
        rows = [u.get(modality) for u in utterances]
        steps = max([len(row.values) for row in rows if row is not None], default=0) or 1
        padded = np.zeros((len(rows), steps, dims[modality]), np.float32)
        mask = np.zeros((len(rows), steps), np.bool_)
        for i, row in enumerate(rows):
            if row is not None:
                padded[i, : len(row.values)] = row.values
                mask[i, : len(row.values)] = row.mask
        values[modality], masks[modality] = torch.from_numpy(padded), torch.from_numpy(mask)
    return Batch(values, masks, None if labels is None else torch.tensor(labels, dtype=torch.float32))
