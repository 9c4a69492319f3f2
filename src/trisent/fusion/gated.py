"""Our own: weighted layers, attention over time, gated cross-attention, and a head that is both ordinal and direct.

Made of what helps frozen features most. With n utterances, L_m layers of width d_m, T_m steps and width h:

    x_m = sum_l softmax(w_m)_l f_ml          [n, T_m, d_m]   which layers speak is learned
    s_m = W_m LayerNorm(x_m)                 [n, T_m, h]
    v_m = sum_t softmax_t(q_m tanh(U_m s_mt)) s_mt           [n, h], over visible steps; q_m starts at 0: the average
    c_m = Attention(v_m looks at the steps of all other modalities)     [n, h], 0 if there is none
    z_m = v_m + sigmoid(G_m [v_m; c_m]) * c_m                [n, h]
    y   = head(MLP([z_1; ...; z_M]))

A learned vector stands for v_m where m is absent, so an absent modality still looks at the others, and training hides
modalities at random. Layers: Peters et al., "Deep contextualized word representations", NAACL 2018, arXiv 1802.05365.
Attention over time: Yang et al., "Hierarchical attention networks", NAACL 2016. The gate: after Arevalo et al., "Gated
multimodal units", 2017, arXiv 1702.01992. Modality dropout: see `trisent.fusion.inputs`. One query a modality makes it
linear in the number of steps, where crossmodal transformers are quadratic.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trisent.errors import UsageError
from trisent.fusion.attention import Attention
from trisent.fusion.batch import Batch, Output
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import Inputs, Steps, check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.i18n import t
from trisent.types import MODALITIES, Modality


class LayerMix(nn.Module):
    """Average the layers of features [..., layers x dim] by learned weights: [..., dim]; alike at first."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.logits = nn.Parameter(torch.zeros(layers))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...ld,l->...d", x.reshape(*x.shape[:-1], self.layers, -1), self.logits.softmax(dim=0))


class TimePooling(nn.Module):
    """Average steps [n, steps, width] by learned attention: [n, width], 0 where none is visible; alike at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Linear(width, width)
        self.weigh = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.weigh.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = self.weigh(self.look(x).tanh()).squeeze(2).float()  # [n, steps]
        # The least finite number, not -inf: a softmax over nothing must not be NaN.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1) * mask
        pooled: Tensor = (weights.unsqueeze(1).to(x.dtype) @ x).squeeze(1)
        return pooled


class GatedFusion(HeadedFusion):
    """Judge what each modality says once it has looked at the others.

    Args:
        dims: width of each modality's features, all layers together.
        layers: how many layers lie side by side in each modality's features; 1 where not said.
        hidden: width of all vectors; a multiple of `heads`.
        heads: of the attention between modalities.
        fused: width of the layer after fusion.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        layers: Mapping[Modality, int] | None = None,
        hidden: int = 128,
        heads: int = 4,
        fused: int = 128,
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "ordinal+regression",
    ) -> None:
        super().__init__(locals())
        check_counts(hidden=hidden, fused=fused)
        check_shares(dropout=dropout)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout)
        counts = _layer_counts(self.dims, {} if layers is None else layers)
        for m, dim in self.dims.items():
            if dim % counts[m]:
                message = t(
                    "{modality} features are {dim} wide, which is not a multiple of {layers} layers",
                    modality=m,
                    dim=dim,
                    layers=counts[m],
                )
                raise UsageError(message)
        self.config["layers"] = dict(counts)
        self.mix = nn.ModuleDict({m: LayerMix(count) for m, count in counts.items() if count > 1})
        self.project = nn.ModuleDict(
            {
                m: nn.Sequential(nn.LayerNorm(dim // counts[m]), nn.Linear(dim // counts[m], hidden))
                for m, dim in self.dims.items()
            }
        )
        self.pool = nn.ModuleDict({m: TimePooling(hidden) for m in self.dims})
        self.absent = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(hidden)) for m in self.dims})
        several = list(self.dims) if len(self.dims) > 1 else []
        self.look = nn.ModuleDict({m: Attention(hidden, heads=heads, dropout=dropout) for m in several})
        self.gate = nn.ModuleDict({m: nn.Linear(2 * hidden, hidden) for m in several})
        self.fuse = nn.Sequential(
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(len(self.dims) * hidden, fused),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        steps: Steps = self.inputs(batch)
        s = {m: self._project(m, steps.values[m]) for m in self.dims}  # each [n, steps, hidden]
        parts: list[Tensor] = []
        for m in self.dims:
            pooled = self.pool[m](s[m], steps.masks[m])
            v = torch.where(steps.present(m).unsqueeze(1), pooled, self.absent[m])
            if m in self.look:
                others = [o for o in self.dims if o != m]
                visible = torch.cat([steps.masks[o] for o in others], dim=1)
                source = torch.cat([s[o] for o in others], dim=1)
                c = self.look[m](v.unsqueeze(1), source, visible=visible).squeeze(1)
                v = v + self.gate[m](torch.cat([v, c], dim=1)).sigmoid() * c
            parts.append(v)
        output: Output = self.head(self.fuse(torch.cat(parts, dim=1)))
        return output

    def _project(self, modality: Modality, values: Tensor) -> Tensor:
        mixed = self.mix[modality](values) if modality in self.mix else values
        projected: Tensor = self.project[modality](mixed)
        return projected

    def layer_weights(self) -> dict[Modality, list[float]]:
        """Tell how much each layer counts, for the modalities that have several; each list sums to 1."""
        mixes = {m: self.mix[m] for m in self.dims if m in self.mix}
        return {m: mix.logits.softmax(dim=0).tolist() for m, mix in mixes.items() if isinstance(mix, LayerMix)}


def _layer_counts(dims: Mapping[Modality, int], layers: object) -> dict[Modality, int]:
    """Give each modality's number of layers; what was asked for comes from a file or a command line."""
    if isinstance(layers, Mapping) and set(layers) <= set(MODALITIES):
        counts = {m: layers.get(m, 1) for m in dims}
        if all(type(count) is int and count >= 1 for count in counts.values()):
            return counts
    raise UsageError(t("layers must name numbers of layers, such as {example}, got {got!r}",
                       example="{text = 7}", got=layers))  # fmt: skip
