"""The guide's fusion model v2: every modality projected to one width, put side by side, judged by a small network.

Any subset of modalities works, because training hides modalities at random (ModDrop: Neverova, Wolf, Taylor and Nebout,
"ModDrop: adaptive multi-modal gesture recognition", IEEE TPAMI 38(8), 2016, arXiv 1501.00102) and a learned vector
stands in for what is hidden or was never recorded.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch, Output
from trisent.i18n import t
from trisent.types import CLASS_NAMES, MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Modality


class ConcatFusion(nn.Module):
    """Judge sentiment from the average features of each modality.

    One head gives both answers: seven class logits, and the sentiment as the expected class value
    sum(p_k * (k - 3)), which therefore never leaves [-3, 3] and never contradicts the classes.

    Args:
        dims: width of each modality's features; the model knows these modalities and no other.
        hidden: width of each projection and of the layer that mixes them.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training, drawn for each utterance; never all of them.
    """

    class_values: Tensor

    def __init__(
        self, dims: Mapping[Modality, int], *, hidden: int = 128, dropout: float = 0.3, modality_dropout: float = 0.2
    ) -> None:
        super().__init__()
        _check(dims, hidden=hidden, dropout=dropout, modality_dropout=modality_dropout)
        self.dims: dict[Modality, int] = {m: int(dims[m]) for m in MODALITIES if m in dims}
        self.config: dict[str, Any] = {
            "dims": dict(self.dims),
            "hidden": hidden,
            "dropout": dropout,
            "modality_dropout": modality_dropout,
        }
        self.modality_dropout = modality_dropout
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden)) for m, dim in self.dims.items()}
        )
        self.absent = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(hidden)) for m in self.dims})
        self.judge = nn.Sequential(
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden * len(self.dims), hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(CLASS_NAMES)),
        )
        for m, dim in self.dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"std_{m}", torch.ones(dim))
        values = torch.linspace(SENTIMENT_MIN, SENTIMENT_MAX, len(CLASS_NAMES))
        self.register_buffer("class_values", values, persistent=False)

    def fit_scaler(self, batch: Batch) -> None:
        """Learn mean and standard deviation of every input dimension from the training split, seen whole.

        They are buffers: a saved model carries them. A dimension that never varies keeps the scale 1.
        """
        for m in self.dims:
            if m not in batch.values:
                continue
            rows, present = batch.pooled(m)
            seen = rows[present].double()
            if len(seen) < 2:
                continue
            std = seen.std(dim=0, correction=0)
            self.get_buffer(f"mean_{m}").copy_(seen.mean(dim=0))
            self.get_buffer(f"std_{m}").copy_(torch.where(std > 1e-6, std, 1.0))

    def forward(self, batch: Batch) -> Output:
        """Judge each utterance from the modalities it has; with none at all, from the learned stand-ins alone."""
        rows, present = self._rows(batch)
        if self.training:
            present = self._hide(present)
        parts = [
            torch.where(present[:, i, None], self.project[m](rows[m]), self.absent[m]) for i, m in enumerate(self.dims)
        ]  # each [utterances, hidden]
        logits = self.judge(torch.cat(parts, dim=1))  # [utterances, 7]
        return Output(logits.softmax(dim=1) @ self.class_values, logits)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of the class plus smooth L1 of the sentiment, both averaged over utterances.

        The class of a label is the nearest whole number in [-3, 3], halves to the even neighbour (0.5 -> 0, 1.5 -> 2,
        2.5 -> 2): `np.round`, the rule of MMSA and of Acc-7 in `trisent.evaluation.metrics`.
        """
        if batch.labels is None:
            raise DataError(t("the loss needs labels, this batch has none; train on a labelled split"))
        classes = (batch.labels.clamp(SENTIMENT_MIN, SENTIMENT_MAX).round() - SENTIMENT_MIN).long()
        return F.cross_entropy(output.class_logits, classes) + F.smooth_l1_loss(output.sentiment, batch.labels)

    def _rows(self, batch: Batch) -> tuple[dict[Modality, Tensor], Tensor]:
        """Standardised rows [utterances, dim] a modality, and presence [utterances, modalities]."""
        rows: dict[Modality, Tensor] = {}
        present: list[Tensor] = []
        for m, dim in self.dims.items():
            mean, std = self.get_buffer(f"mean_{m}"), self.get_buffer(f"std_{m}")
            if m not in batch.values:
                rows[m] = mean.new_zeros(len(batch), dim)
                present.append(torch.zeros(len(batch), dtype=torch.bool, device=mean.device))
                continue
            if (got := batch.values[m].shape[-1]) != dim:
                message = t(
                    "{modality} features are {got} wide, this fusion model takes {dim}. "
                    "Extract them with the preset the model was trained on, or train on these features.",
                    modality=m,
                    got=got,
                    dim=dim,
                )
                raise DataError(message)
            pooled, there = batch.pooled(m)
            rows[m] = (pooled - mean) / std
            present.append(there)
        return rows, torch.stack(present, dim=1)

    def _hide(self, present: Tensor) -> Tensor:
        """Hide each modality with probability `modality_dropout`; an utterance keeps at least one it had."""
        draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)  # [utterances, modalities]
        # The largest draw always stays; where nothing was present the arg max is harmless, since `present` has the say.
        keep = (draw >= self.modality_dropout).scatter(1, draw.argmax(dim=1, keepdim=True), True)
        return present & keep


def _check(dims: Mapping[Modality, int], *, hidden: int, dropout: float, modality_dropout: float) -> None:
    if not dims or any(m not in MODALITIES for m in dims) or any(dim < 1 for dim in dims.values()):
        message = t(
            "dims must give a width of at least 1 for some of {names}, got {dims}",
            names=", ".join(MODALITIES),
            dims=dict(dims),
        )
        raise UsageError(message)
    if hidden < 1:
        raise UsageError(t("{name} must be at least 1, got {value}", name="hidden", value=hidden))
    for name, value in (("dropout", dropout), ("modality_dropout", modality_dropout)):
        if not 0 <= value < 1:
            raise UsageError(t("{name} must be in [0, 1), got {value}", name=name, value=value))
