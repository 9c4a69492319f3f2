"""From steps to what fusion models combine: a vector an utterance, or steps that modalities have in common."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trisent.compute import native_bf16
from trisent.errors import UsageError
from trisent.fusion.batch import Batch
from trisent.fusion.inputs import Inputs, Steps, check_counts
from trisent.i18n import t
from trisent.types import Modality

ENCODERS = ("mean", "lstm")


class UtteranceEncoder(nn.Module):
    """One vector a modality from a batch: {modality: [utterances, hidden]}, zero where the modality is absent.

    "mean" averages the visible steps and applies a linear map; "lstm" runs an LSTM over the visible steps and keeps its
    last state. On pooled features, which have one step, "mean" is all there is to do.

    Args:
        dims: width of each modality's features.
        hidden: width of every vector.
        encoder: "mean" or "lstm".
        modality_dropout: chance that a modality is hidden while training.
    """

    def __init__(
        self, dims: Mapping[Modality, int], *, hidden: int, encoder: str = "mean", modality_dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_counts(hidden=hidden)
        if encoder not in ENCODERS:
            message = t(
                "{name} must be one of {names}, got {value!r}", name="encoder", names=", ".join(ENCODERS), value=encoder
            )
            raise UsageError(message)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout, pooled=encoder == "mean")
        self.encoders = nn.ModuleDict(
            {
                m: nn.Linear(dim, hidden) if encoder == "mean" else nn.LSTM(dim, hidden, batch_first=True)
                for m, dim in self.inputs.dims.items()
            }
        )

    def forward(self, batch: Batch) -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
        steps: Steps = self.inputs(batch)
        vectors: dict[Modality, Tensor] = {}
        present: dict[Modality, Tensor] = {}
        for m in self.inputs.dims:
            encoder, values, mask = self.encoders[m], steps.values[m], steps.masks[m]
            if isinstance(encoder, nn.LSTM):
                packed, visible = move_forward(values, mask)
                vector = last(states(encoder, packed), visible)
            else:
                vector = encoder(values[:, 0])
            present[m] = steps.present(m)
            vectors[m] = vector.masked_fill(~present[m].unsqueeze(1), 0.0)
        return vectors, present


def states(lstm: nn.LSTM, values: Tensor) -> Tensor:
    """Give the state after each step [utterances, steps, hidden], in bf16 only where the processor multiplies that.

    On other CPUs torch has no LSTM in bf16, and mixed precision would end in an error.
    """
    on_cpu = values.device.type == "cpu"
    exact = on_cpu and torch.is_autocast_enabled("cpu") and not native_bf16(values.device)
    with torch.autocast("cpu", enabled=False) if exact else nullcontext():
        read: Tensor = lstm(values)[0]
    return read


def move_forward(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move the visible steps to the front, in their order, so that an LSTM meets nothing else before its last one.

    Args:
        values: [utterances, steps, dim].
        mask: bool [utterances, steps].
    """
    order = torch.argsort(mask.to(torch.uint8), dim=1, descending=True, stable=True)
    return values.gather(1, order.unsqueeze(-1).expand_as(values)), mask.gather(1, order)


def lengths(mask: Tensor) -> Tensor:
    """Count the steps up to the last visible one: int [utterances]; what follows cannot be told from padding."""
    numbers = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (mask * numbers).amax(dim=1)


def last(values: Tensor, mask: Tensor) -> Tensor:
    """Take the last visible step: [utterances, dim], zero where there is none."""
    length = lengths(mask)
    index = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, values.shape[-1])
    return values.gather(1, index).squeeze(1).masked_fill((length == 0).unsqueeze(1), 0.0)


def average(values: Tensor, mask: Tensor) -> Tensor:
    """Average the visible steps: [utterances, dim], zero where there is none."""
    weights = mask.unsqueeze(2).to(values.dtype)
    mean: Tensor = (values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
    return mean


@dataclass(frozen=True, slots=True)
class Aligned:
    """Modalities on common steps: `values` [utterances, steps, dim], zero where `masks` [utterances, steps] is False.

    `steps` bool [utterances, steps] is True up to the utterance's own number of steps, whatever is visible there.
    """

    values: dict[Modality, Tensor]
    masks: dict[Modality, Tensor]
    steps: Tensor


def align(steps: Steps, most: int) -> Aligned:
    """Resample all modalities to common steps by averaging what is visible in each stretch of time.

    Modalities of one utterance span the same time, so step j of S covers the share [j/S, (j+1)/S) of each, with the
    bounds of adaptive average pooling. S is the utterance's longest modality, `most` at the most: one step stays one,
    and neither the padding nor the other utterances of the batch matter.
    """
    longest = torch.stack([lengths(mask) for mask in steps.masks.values()]).amax(dim=0)  # [utterances]
    count = min(most, max(mask.shape[1] for mask in steps.masks.values()))
    own = longest.clamp(max=count)[:, None, None]  # [utterances, 1, 1]
    j = torch.arange(count, device=longest.device)[:, None]  # [count, 1]
    values: dict[Modality, Tensor] = {}
    masks: dict[Modality, Tensor] = {}
    for m, mask in steps.masks.items():
        length, parts = lengths(mask)[:, None, None], own.clamp(min=1)
        time = torch.arange(mask.shape[1], device=mask.device)
        inside = (time >= j * length // parts) & (time < ((j + 1) * length + parts - 1) // parts) & (j < own)
        weights = (inside & mask.unsqueeze(1)).to(steps.values[m].dtype)  # [utterances, count, steps]
        total = weights.sum(dim=2, keepdim=True)
        values[m] = weights @ steps.values[m] / total.clamp(min=1)
        masks[m] = total.squeeze(2) > 0
    return Aligned(values, masks, (j < own).squeeze(2))
