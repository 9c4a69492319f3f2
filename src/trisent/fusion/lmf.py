"""Low-rank multimodal fusion: tensor fusion with weights that are never written out.

LMF: Liu, Shen, Lakshminarasimhan, Liang, Zadeh and Morency, "Efficient low-rank multimodal fusion with
modality-specific factors", ACL 2018, arXiv 1806.00064. The weights of tensor fusion are a sum of r outer products of
one factor a modality, so the product over modalities can be taken after the weights. With n utterances, hidden width h,
rank r and result width d:

    z_m = ReLU(W_m x_m)                       [n, h], 0 where m is absent
    f   = sum_i prod_m [z_m; 1] w_m^(i) + b   [n, d], w_m [r, h + 1, d]
    y   = head(f)

What differs: z_m is as in `tfn`, and f goes to the head. The authors' code also learns a weight for each of the r
products, which the factors can take over.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import UtteranceEncoder
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class LowRankFusion(HeadedFusion):
    """Judge the sum of a few products over modalities.

    Args:
        dims: width of each modality's features.
        hidden: width of each modality before the product.
        fused: width of the result.
        rank: how many products are summed.
        encoder: "mean" or "lstm", how steps become one vector.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 64,
        fused: int = 64,
        rank: int = 4,
        encoder: str = "mean",
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(fused=fused, rank=rank)
        check_shares(dropout=dropout)
        self.encoder = UtteranceEncoder(dims, hidden=hidden, encoder=encoder, modality_dropout=modality_dropout)
        self.dropout = nn.Dropout(dropout)
        self.factors = nn.ParameterDict({m: nn.Parameter(torch.empty(rank, hidden + 1, fused)) for m in self.dims})
        for factor in self.factors.values():
            nn.init.xavier_normal_(factor)
        self.bias = nn.Parameter(torch.zeros(fused))
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        vectors, _ = self.encoder(batch)
        product = torch.ones((), device=self.bias.device)
        for m in self.dims:
            z = F.pad(self.dropout(vectors[m].relu()), (0, 1), value=1.0)  # [n, hidden + 1]
            product = product * (z @ self.factors[m])  # [rank, n, fused]
        output: Output = self.head(product.sum(dim=0) + self.bias)
        return output
