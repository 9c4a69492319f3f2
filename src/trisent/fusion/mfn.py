"""Memory fusion: an LSTM a modality, and a memory of what their states do together.

MFN: Zadeh, Liang, Mazumder, Poria, Cambria and Morency, "Memory fusion network for multi-view sequential learning",
AAAI 2018, arXiv 1802.00927. The modalities must have common steps; here they are resampled to them. With n utterances,
M modalities, hidden width h, memory width u, and all maps D two layers deep:

    h_mt, c_mt = LSTM_m(x_mt)                     [n, h] each; where m is not visible at t, the state stays
    c_t  = [c_1,t-1; ...; c_M,t-1; c_1t; ...; c_Mt]     [n, 2 M h], the memories before and after the step
    a_t  = softmax(D_a c_t) * c_t                       delta-memory attention
    u_t  = sigmoid(D_1 a_t) * u_t-1 + sigmoid(D_2 a_t) * tanh(D_u a_t)       [n, u]
    y    = head(MLP([h_1S; ...; h_MS; u_S]))            at the utterance's own last step S

As in the paper, the two gates see a_t alone; the authors' code shows them u_t-1, too.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import align
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import Inputs, check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class MemoryFusion(HeadedFusion):
    """Read each modality with an LSTM of its own and keep a common memory.

    Args:
        dims: width of each modality's features.
        hidden: width of each LSTM.
        memory: width of the common memory.
        fused: width of the layer after it, and of the hidden layers of the maps D.
        steps: how many common steps an utterance has at most.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 64,
        memory: int = 64,
        fused: int = 128,
        steps: int = 20,
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(hidden=hidden, memory=memory, fused=fused, steps=steps)
        check_shares(dropout=dropout)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout)
        self.hidden, self.memory, self.steps = hidden, memory, steps
        self.cells = nn.ModuleDict({m: nn.LSTMCell(dim, hidden) for m, dim in self.dims.items()})
        both = 2 * len(self.dims) * hidden

        def two_layers(width: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(both, fused), nn.ReLU(), nn.Dropout(dropout), nn.Linear(fused, width))

        self.attend = two_layers(both)
        self.propose, self.retain, self.update = two_layers(memory), two_layers(memory), two_layers(memory)
        self.fuse = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(len(self.dims) * hidden + memory, fused), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        aligned = align(self.inputs(batch), self.steps)
        states, cells = zip(
            *(self._read(m, aligned.values[m], visible=aligned.masks[m]) for m in self.dims), strict=True
        )
        c = torch.cat(cells, dim=2)  # [n, S + 1, M h], from before the first step on
        both = torch.cat([c[:, :-1], c[:, 1:]], dim=2)  # [n, S, 2 M h]
        attended = self.attend(both).softmax(dim=2) * both
        proposed = self.propose(attended).tanh()
        retained, updated = self.retain(attended).sigmoid(), self.update(attended).sigmoid()
        u = proposed.new_zeros(len(batch), self.memory)
        for step in range(proposed.shape[1]):
            new = retained[:, step] * u + updated[:, step] * proposed[:, step]
            u = torch.where(aligned.steps[:, step, None], new, u)
        output: Output = self.head(self.fuse(torch.cat([*states, u], dim=1)))
        return output

    def _read(self, modality: Modality, values: Tensor, *, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last state [n, h] and the cells before and after every step [n, S + 1, h]."""
        h = c = values.new_zeros(len(values), self.hidden)
        cells = [c]
        for step in range(values.shape[1]):
            new_h, new_c = self.cells[modality](values[:, step], (h, c))
            seen = visible[:, step, None]
            h, c = torch.where(seen, new_h, h), torch.where(seen, new_c, c)
            cells.append(c)
        return h, torch.stack(cells, dim=1)
