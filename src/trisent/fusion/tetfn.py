"""Text-enhanced attention: sound and picture look at each other by way of the text.

After TETFN: Wang, Guo, Tian, Liu, He and Luo, "TETFN: A text enhanced transformer fusion network for multimodal
sentiment analysis", Pattern Recognition 136, 2023. What is kept is the text-enhanced transformer and the layout; left
out are the labels it generates for single modalities (those are in `self_mm`), its LSTMs before the convolutions, and
its causal masks. With T_m steps of modality m, width h, and L the text:

    X_m        = Conv1D(x_m) + positions                      [n, T_m, h]
    C          = Transformer(X_v, looking at X_L)             [n, T_v, h]: the picture in terms of the text
    Z_va       = Transformer(X_a, looking at C)               [n, T_a, h]: the sound looks at that; Z_av likewise
    Z_mL, Z_Lm = plain crossmodal transformers with the text, as in `mult`
    Z_m        = Transformer([Z_.m; Z_..m])                   [n, T_m, 2 h]
    y          = head(MLP([last Z_1; last Z_2; last Z_3]))

Without text C is made of the picture alone. If the model was built without text, the first of its modalities leads.
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


class TextEnhancedTransformers(HeadedFusion):
    """Let sound and picture look at each other in terms of the text.

    Args:
        dims: width of each modality's features.
        hidden: width of the steps; a multiple of `heads`.
        heads: of each attention.
        layers: of each transformer.
        kernel: steps that the first convolution sees; odd.
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
        self.leader: Modality = next(iter(self.dims))
        self.project = nn.ModuleDict(
            {m: nn.Conv1d(dim, hidden, kernel, padding="same", bias=False) for m, dim in self.dims.items()}
        )
        pairs = [(b, a) for a in self.dims for b in self.dims if a != b]

        def transformer(width: int) -> Transformer:
            return Transformer(width, heads=heads, layers=layers, dropout=dropout)

        self.cross = nn.ModuleDict({f"{b}_to_{a}": transformer(hidden) for b, a in pairs})
        self.enhance = nn.ModuleDict(
            {
                f"{b}_to_{a}": Transformer(hidden, heads=heads, layers=1, dropout=dropout)
                for b, a in pairs
                if self.leader not in (a, b)
            }
        )
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
            seen: list[Tensor] = []
            for b in (b for b in self.dims if b != a):
                pair, source = f"{b}_to_{a}", x[b]
                if pair in self.enhance:
                    source = self.enhance[pair](x[b], source=x[self.leader], visible=steps.masks[self.leader])
                seen.append(self.cross[pair](x[a], source=source, visible=steps.masks[b]))
            joined = self.join[a](torch.cat(seen or [x[a]], dim=2), visible=steps.masks[a])
            ends.append(last(joined, steps.masks[a]))
        output: Output = self.head(self.fuse(torch.cat(ends, dim=1)))
        return output
