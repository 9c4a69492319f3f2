"""What every fusion model does with a batch first: check it, hide modalities while training, standardise it.

What happens next is the model's own affair. The scaler is made of functions on buffers `mean_text`, `std_text`, ... so
that a model may keep them at its top, as `concat` does, or inside `Inputs`, as the others do.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch
from trisent.i18n import t
from trisent.types import MODALITIES, Modality


@dataclass(frozen=True, slots=True)
class Steps:
    """Standardised sequences: `values` [utterances, steps, dim], zero where `masks` bool [utterances, steps] is False.

    Every modality of the model is there; an absent one has no True in its row.
    """

    values: dict[Modality, Tensor]
    masks: dict[Modality, Tensor]

    def present(self, modality: Modality) -> Tensor:
        """Say which utterances have the modality: bool [utterances]."""
        return self.masks[modality].any(dim=1)


class Inputs(nn.Module):
    """Turn a batch into the standardised steps a model computes with.

    Modality dropout is ModDrop (Neverova, Wolf, Taylor and Nebout 2016, arXiv 1501.00102).

    Args:
        dims: width of each modality's features; the model knows these modalities and no other.
        modality_dropout: chance that a modality is hidden while training, drawn for each utterance; never all of them.
        pooled: average the visible steps of each modality to a single one first.
    """

    def __init__(self, dims: Mapping[Modality, int], *, modality_dropout: float, pooled: bool = False) -> None:
        super().__init__()
        check_dims(dims)
        check_shares(modality_dropout=modality_dropout)
        self.dims = in_order(dims)
        self.modality_dropout = modality_dropout
        self.pooled = pooled
        add_scaler(self, self.dims)

    def fit_scaler(self, batches: Iterable[Batch]) -> None:
        """Learn mean and standard deviation of every input dimension from the training split, batch by batch."""
        fit_scaler(self, batches, dims=self.dims, pooled=self.pooled)

    def forward(self, batch: Batch) -> Steps:
        values, masks = {}, {}
        for m, dim in self.dims.items():
            if m in batch.values:
                check_width(m, got=batch.values[m].shape[-1], expected=dim)
                values[m], masks[m] = batch.values[m].float(), batch.masks[m]
            else:
                values[m] = self.get_buffer(f"mean_{m}").new_zeros(len(batch), 1, dim)
                masks[m] = torch.zeros(len(batch), 1, dtype=torch.bool, device=values[m].device)
        if self.pooled:
            seen = Batch(values, masks)
            rows = {m: seen.pooled(m) for m in self.dims}
            values = {m: row.unsqueeze(1) for m, (row, _) in rows.items()}  # [utterances, 1, dim]
            masks = {m: present.unsqueeze(1) for m, (_, present) in rows.items()}
        if self.training and self.modality_dropout > 0:
            present = torch.stack([mask.any(dim=1) for mask in masks.values()], dim=1)
            kept = hide(present, self.modality_dropout)  # [utterances, modalities]
            masks = {m: mask & kept[:, i, None] for i, (m, mask) in enumerate(masks.items())}
        # Masked values may hold anything, NaN included, and 0 * NaN is NaN: overwrite, do not multiply.
        scaled = {
            m: standardise(self, m, values=x).masked_fill_(~masks[m].unsqueeze(-1), 0.0) for m, x in values.items()
        }
        return Steps(scaled, masks)


def in_order(dims: Mapping[Modality, int]) -> dict[Modality, int]:
    """Sort widths by modality, text first, so that a config read from JSON builds the same model."""
    return {m: int(dims[m]) for m in MODALITIES if m in dims}


def add_scaler(module: nn.Module, dims: Mapping[Modality, int]) -> None:
    """Register the buffers `mean_<modality>` and `std_<modality>` [dim], which change nothing until they are fitted."""
    for m, dim in dims.items():
        module.register_buffer(f"mean_{m}", torch.zeros(dim))
        module.register_buffer(f"std_{m}", torch.ones(dim))


def standardise(module: nn.Module, modality: Modality, *, values: Tensor) -> Tensor:
    """Take the mean from values [..., dim] and divide by the standard deviation."""
    scaled: Tensor = values - module.get_buffer(f"mean_{modality}")
    return scaled.div_(module.get_buffer(f"std_{modality}"))  # in place: a batch of sequences is large


def fit_scaler(module: nn.Module, batches: Iterable[Batch], *, dims: Mapping[Modality, int], pooled: bool) -> None:
    """Set the buffers of `add_scaler` from the training split, whatever batches it comes in.

    A dimension that never varies keeps the scale 1; a modality seen fewer than twice keeps what it has.

    Args:
        module: holds the buffers.
        batches: the training split, each utterance once; only one batch is looked at at a time.
        dims: the modalities to look at.
        pooled: a sample is an utterance's average, not one of its visible steps.
    """
    moments = {m: _Moments() for m in dims}
    for batch in batches:
        for m in (m for m in dims if m in batch.values):
            moments[m].add(_samples(batch, m, pooled=pooled))
    for m, seen in moments.items():
        if seen.count > 1:
            std = (seen.squares / seen.count).sqrt()
            module.get_buffer(f"mean_{m}").copy_(seen.mean)
            module.get_buffer(f"std_{m}").copy_(torch.where(std > 1e-6, std, 1.0))


class _Moments:
    """Count, mean [dim] and sum of squared deviations [dim] of all rows so far, in double precision.

    Chan, Golub and LeVeque 1983: parts are joined without the cancellation that sums of squares suffer.
    """

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, samples: Tensor) -> None:
        """Take in rows [samples, dim]."""
        n = len(samples)
        if not n:
            return
        rows = samples.double()
        middle = rows.mean(dim=0)
        deviations = ((rows - middle) ** 2).sum(dim=0)
        if self.count:
            apart, total = middle - self.mean, self.count + n
            self.mean = self.mean + apart * n / total
            self.squares = self.squares + deviations + apart**2 * self.count * n / total
        else:
            self.mean, self.squares = middle, deviations
        self.count += n


def _samples(batch: Batch, modality: Modality, *, pooled: bool) -> Tensor:
    """Return what is visible: [samples, dim]."""
    if pooled:
        rows, present = batch.pooled(modality)
        return rows[present]
    return batch.values[modality][batch.masks[modality]]


def hide(present: Tensor, chance: float) -> Tensor:
    """Hide each modality with a chance; an utterance keeps at least one it had.

    Args:
        present: bool [utterances, modalities].
        chance: in [0, 1).
    """
    draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)  # [utterances, modalities]
    # The largest draw always stays; where nothing was present the arg max is harmless, since `present` has the say.
    keep = (draw >= chance).scatter(1, draw.argmax(dim=1, keepdim=True), True)
    return present & keep


def check_width(modality: Modality, *, got: int, expected: int) -> None:
    """Refuse features of another width than the model was built for.

    Raises:
        DataError: they are.
    """
    if got != expected:
        message = t(
            "{modality} features are {got} wide, this fusion model takes {dim}. "
            "Extract them with the preset the model was trained on, or train on these features.",
            modality=modality,
            got=got,
            dim=expected,
        )
        raise DataError(message)


def check_dims(dims: Mapping[Modality, int]) -> None:
    """Refuse widths that name no modality, an unknown one, or are below 1.

    Raises:
        UsageError: they do.
    """
    if not dims or any(m not in MODALITIES for m in dims) or any(dim < 1 for dim in dims.values()):
        message = t(
            "dims must give a width of at least 1 for some of {names}, got {dims}",
            names=", ".join(MODALITIES),
            dims=dict(dims),
        )
        raise UsageError(message)


def check_counts(**settings: int) -> None:
    """Refuse a setting below 1.

    Raises:
        UsageError: one is.
    """
    for name, value in settings.items():
        if value < 1:
            raise UsageError(t("{name} must be at least 1, got {value}", name=name, value=value))


def check_sizes(**settings: float) -> None:
    """Refuse a setting that is negative, infinite or no number.

    Raises:
        UsageError: one is.
    """
    for name, value in settings.items():
        if not 0 <= value < math.inf:
            raise UsageError(t("{name} must be at least {least}, got {value}", name=name, least=0, value=value))


def check_shares(**settings: float) -> None:
    """Refuse a setting outside [0, 1).

    Raises:
        UsageError: one is.
    """
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise UsageError(t("{name} must be in [0, 1), got {value}", name=name, value=value))
