"""Late fusion of small networks, the baseline of the field.

LF-DNN: each modality goes through a network of its own, and what comes out is put side by side and judged.
Cambria, Hazarika, Poria, Young and Subramanyam, "Benchmarking multimodal sentiment analysis", CICLing 2017, arXiv
1707.09538; the form is that of Yu et al., "CH-SIMS", ACL 2020. With n utterances, M modalities and hidden width h:

    z_m = ReLU(W2 ReLU(W1 x_m))     [n, h], 0 where m is absent
    y   = head(MLP([z_1; ...; z_M]))        [n, M h] -> [n, fused]
"""

from collections.abc import Mapping

import torch
from torch import nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import UtteranceEncoder
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class LateFusionDNN(HeadedFusion):
    """Judge each modality by a small network and the whole by another.

    Args:
        dims: width of each modality's features.
        hidden: width of each modality's network.
        fused: width of the network after fusion.
        encoder: "mean" or "lstm", how steps become one vector.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 128,
        fused: int = 128,
        encoder: str = "mean",
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(fused=fused)
        check_shares(dropout=dropout)
        self.encoder = UtteranceEncoder(dims, hidden=hidden, encoder=encoder, modality_dropout=modality_dropout)
        self.networks = nn.ModuleDict(
            {m: nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()) for m in self.dims}
        )
        self.fuse = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(len(self.dims) * hidden, fused), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        vectors, present = self.encoder(batch)
        parts = [self.networks[m](vectors[m]).masked_fill(~present[m].unsqueeze(1), 0.0) for m in self.dims]
        output: Output = self.head(self.fuse(torch.cat(parts, dim=1)))
        return output
