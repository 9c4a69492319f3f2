"""Crossmodal transformers: each modality looks at each other one, without any alignment of their steps.

MulT: Tsai, Bai, Liang, Kolter, Morency and Salakhutdinov, "Multimodal transformer for unaligned multimodal language
sequences", ACL 2019, arXiv 1906.00295. With T_m steps of modality m and width h:

    X_m     = Conv1D(x_m) + positions                [n, T_m, h]
    CM(a,b) = softmax(X_a W_q (X_b W_k)' / sqrt(h / heads)) X_b W_v     [n, T_a, h], a looks at b
    Z_ba    = layers of: Z + CM(LN Z, LN X_b), then Z + FeedForward(LN Z), from Z = X_a on
    Z_a     = Transformer([Z_ba; Z_ca])              [n, T_a, 2 h]
    y       = head(MLP([last Z_1; last Z_2; last Z_3]))

As in the authors' code, the residual is Z itself; the paper's equation 4 normalises it. The last step is the last
visible one. A modality that is absent is 0 in the end, and 0 as a source. What differs from that code: it multiplies
X_m by sqrt(h) before adding positions, lets a step look at none that come later, has at least three layers in the last
transformers, and adds the concatenation to what the MLP makes of it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trisent.fusion.attention import Transformer
from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import last
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import Inputs, Steps, check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class CrossmodalTransformers(HeadedFusion):
    """Let each modality look at each other one.

    Args:
        dims: width of each modality's features.
        hidden: width of the steps; even, and a multiple of `heads`.
        heads: of each attention.
        layers: of each transformer.
        kernel: steps that the first convolution sees.
        fused: width of the layer after the transformers.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 32,
        heads: int = 4,
        layers: int = 2,
        kernel: int = 1,
        fused: int = 128,
        dropout: float = 0.2,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(hidden=hidden, kernel=kernel, fused=fused)
        check_shares(dropout=dropout)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout)
        self.project = nn.ModuleDict(
            {m: nn.Conv1d(dim, hidden, kernel, padding="same", bias=False) for m, dim in self.dims.items()}
        )

        def transformer(width: int) -> Transformer:
            return Transformer(width, heads=heads, layers=layers, dropout=dropout)

        self.cross = nn.ModuleDict({f"{b}_to_{a}": transformer(hidden) for a in self.dims for b in self.dims if a != b})
        self._add_pairs(hidden, heads=heads, dropout=dropout)
        width = hidden * max(1, len(self.dims) - 1)
        self.join = nn.ModuleDict({m: transformer(width) for m in self.dims})
        self.fuse = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(len(self.dims) * width, fused), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        steps: Steps = self.inputs(batch)
        x = {m: self.project[m](steps.values[m].transpose(1, 2)).transpose(1, 2) for m in self.dims}
        ends: list[Tensor] = []
        for a in self.dims:
            mask = steps.masks[a]
            seen = [
                self.cross[f"{b}_to_{a}"](x[a], source=self._source(b, a, x, steps), visible=steps.masks[b])
                for b in self.dims
                if b != a
            ]  # each [n, steps of a, hidden]
            joined = self.join[a](torch.cat(seen or [x[a]], dim=2), visible=mask)
            ends.append(last(joined, mask))
        output: Output = self.head(self.fuse(torch.cat(ends, dim=1)))
        return output

    def _add_pairs(self, hidden: int, *, heads: int, dropout: float) -> None:
        """Add what else a pair of modalities has; here nothing."""

    def _source(self, b: Modality, a: Modality, x: Mapping[Modality, Tensor], steps: Steps) -> Tensor:  # noqa: ARG002
        """Give what `a` looks at in `b`: [n, steps of b, hidden]; here its projected steps."""
        return x[b]
