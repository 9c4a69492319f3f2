"""The guide's fusion model v2: every modality projected to one width, put side by side, judged by a small network.

Any subset of modalities works, because training hides modalities at random (ModDrop: Neverova, Wolf, Taylor and Nebout,
"ModDrop: adaptive multi-modal gesture recognition", IEEE TPAMI 38(8), 2016, arXiv 1501.00102) and a learned vector
stands in for what is hidden or was never recorded.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.inputs import (
    add_scaler,
    check_counts,
    check_dims,
    check_shares,
    check_width,
    fit_scaler,
    hide,
    in_order,
    standardise,
)
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class ConcatFusion(nn.Module):
    """Judge sentiment from the average features of each modality.

    One head gives both answers, see `trisent.fusion.outputs.ClassHead`: seven class logits, and the sentiment as the
    expected class value sum(p_k * (k - 3)), which therefore never leaves [-3, 3] and, until the classes are calibrated,
    never contradicts them.

    Args:
        dims: width of each modality's features; the model knows these modalities and no other.
        hidden: width of each projection and of the layer that mixes them.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training, drawn for each utterance; never all of them.
    """

    averages = True  # all it sees of a modality

    def __init__(
        self, dims: Mapping[Modality, int], *, hidden: int = 128, dropout: float = 0.3, modality_dropout: float = 0.2
    ) -> None:
        super().__init__()
        check_dims(dims)
        check_counts(hidden=hidden)
        check_shares(dropout=dropout, modality_dropout=modality_dropout)
        self.dims = in_order(dims)
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
        )
        self.head = make_head("classes", hidden)
        add_scaler(self, self.dims)

    def fit_scaler(self, batches: Iterable[Batch]) -> None:
        """Learn mean and standard deviation of every input dimension from the training split, batch by batch.

        They are buffers: a saved model carries them. A dimension that never varies keeps the scale 1.
        """
        fit_scaler(self, batches, dims=self.dims, pooled=True)

    def forward(self, batch: Batch) -> Output:
        """Judge each utterance from the modalities it has; with none at all, from the learned stand-ins alone."""
        rows, present = self._rows(batch)
        if self.training:
            present = self._hide(present)
        parts = [
            torch.where(present[:, i, None], self.project[m](rows[m]), self.absent[m]) for i, m in enumerate(self.dims)
        ]  # each [utterances, hidden]
        output: Output = self.head(self.judge(torch.cat(parts, dim=1)))
        return output

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return the loss of the head: cross-entropy of the class plus smooth L1 of the sentiment."""
        loss: Tensor = self.head.loss(output, batch)
        return loss

    def _rows(self, batch: Batch) -> tuple[dict[Modality, Tensor], Tensor]:
        """Standardised rows [utterances, dim] a modality, and presence [utterances, modalities]."""
        rows: dict[Modality, Tensor] = {}
        present: list[Tensor] = []
        for m, dim in self.dims.items():
            if m not in batch.values:
                rows[m] = self.absent[m].new_zeros(len(batch), dim)
                present.append(torch.zeros(len(batch), dtype=torch.bool, device=rows[m].device))
                continue
            check_width(m, got=batch.values[m].shape[-1], expected=dim)
            pooled, there = batch.pooled(m)
            rows[m] = standardise(self, m, values=pooled)
            present.append(there)
        return rows, torch.stack(present, dim=1)

    def _hide(self, present: Tensor) -> Tensor:
        """Hide each modality with probability `modality_dropout`; an utterance keeps at least one it had."""
        return hide(present, self.modality_dropout)
