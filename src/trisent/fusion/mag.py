"""The multimodal adaptation gate: sound and picture move the words' vectors, by a bounded amount.

MAG: Rahman, Hasan, Lee, Zadeh, Mao, Morency and Hoque, "Integrating multimodal information in large pretrained
transformers", ACL 2020, arXiv 1908.05787. The paper puts the gate inside BERT; here it works on features, and a small
transformer takes the place of the layers above. With Z the text, A the sound and V the picture on S common steps:

    g_v = ReLU(W_gv [Z; V] + b_v), g_a likewise       [n, S, h]
    H   = g_v * (W_v V) + g_a * (W_a A) + b_H         [n, S, h]
    Z'  = LayerNorm(Z + min(beta |Z| / |H|, 1) H)     [n, S, h], the norms over h
    y   = head(MLP(mean over steps of Transformer(Z')))

Where sound or picture are not visible, their terms are 0. Where text is not, a learned vector stands for Z. If the
model was built without text, the first of its modalities takes its place.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trisent.fusion.attention import Transformer
from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import align, average
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import Inputs, check_counts, check_shares, check_sizes
from trisent.fusion.outputs import make_head
from trisent.types import Modality

_SMALLEST_NORM = 1e-6


class Gate(nn.Module):
    """Move vectors z [n, steps, width] by what other modalities say there.

    Args:
        width: of z.
        others: width of each other modality.
        beta: how far a vector may be moved, as a share of its length.
        dropout: share of the result's units dropped while training.
    """

    def __init__(self, width: int, *, others: Mapping[Modality, int], beta: float, dropout: float) -> None:
        super().__init__()
        self.beta = beta
        self.gates = nn.ModuleDict({m: nn.Linear(width + dim, width) for m, dim in others.items()})
        self.shifts = nn.ModuleDict({m: nn.Linear(dim, width, bias=False) for m, dim in others.items()})
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, others: Mapping[Modality, Tensor]) -> Tensor:
        shift = self.bias.expand_as(z)
        for m, gate in self.gates.items():
            x = others[m]  # type: ignore[index]  # the keys of a ModuleDict are plain strings
            shift = shift + gate(torch.cat([z, x], dim=2)).relu() * self.shifts[m](x)
        length = torch.linalg.vector_norm(shift, dim=2, keepdim=True).clamp(min=_SMALLEST_NORM)
        share = (self.beta * torch.linalg.vector_norm(z, dim=2, keepdim=True) / length).clamp(max=1.0)
        moved: Tensor = self.dropout(self.norm(z + share * shift))
        return moved


class AdaptationGate(HeadedFusion):
    """Judge text whose vectors were moved by sound and picture.

    Args:
        dims: width of each modality's features.
        hidden: width of the steps; a multiple of `heads`.
        heads, layers: of the transformer after the gate.
        fused: width of the layer after that.
        steps: how many common steps an utterance has at most.
        beta: how far a vector may be moved, as a share of its length.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 128,
        heads: int = 4,
        layers: int = 1,
        fused: int = 128,
        steps: int = 20,
        beta: float = 1.0,
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(hidden=hidden, fused=fused, steps=steps)
        check_shares(dropout=dropout)
        check_sizes(beta=beta)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout)
        self.steps = steps
        self.leader: Modality = next(iter(self.dims))
        self.project = nn.Linear(self.dims[self.leader], hidden)
        self.absent = nn.Parameter(0.02 * torch.randn(hidden))
        others = {m: dim for m, dim in self.dims.items() if m != self.leader}
        self.gate = Gate(hidden, others=others, beta=beta, dropout=dropout)
        self.transform = Transformer(hidden, heads=heads, layers=layers, dropout=dropout)
        self.fuse = nn.Sequential(nn.Linear(hidden, fused), nn.ReLU(), nn.Dropout(dropout))
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        aligned = align(self.inputs(batch), self.steps)
        seen = aligned.masks[self.leader].unsqueeze(2)
        z = torch.where(seen, self.project(aligned.values[self.leader]), self.absent)  # [n, S, hidden]
        z = self.gate(z, {m: x for m, x in aligned.values.items() if m != self.leader})
        visible = torch.stack(list(aligned.masks.values())).any(dim=0)
        z = self.transform(z, visible=visible)
        output: Output = self.head(self.fuse(average(z, visible)))
        return output
