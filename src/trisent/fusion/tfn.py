"""Tensor fusion: every product of one number from each modality is an input of its own.

TFN: Zadeh, Chen, Poria, Cambria and Morency, "Tensor fusion network for multimodal sentiment analysis", EMNLP 2017,
arXiv 1707.07250. With n utterances and hidden width h a modality:

    z_m = ReLU(W_m x_m)                          [n, h], 0 where m is absent
    Z   = [z_1; 1] (x) [z_2; 1] (x) [z_3; 1]     [n, (h + 1)^3], the outer product
    y   = head(MLP(vec Z))

The 1s keep the products of two, and the vectors themselves, beside those of three. An absent modality is [0; 1]: all
products it is in are 0, the others stay.

What differs: the paper reads text with an LSTM and has networks of three layers before the product; here it is one
layer on the average, or an LSTM for every modality. The head takes the place of a sigmoid stretched to [-3, 3].
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


class TensorFusion(HeadedFusion):
    """Judge the outer product of all modalities.

    Args:
        dims: width of each modality's features.
        hidden: width of each modality before the product, which grows with its cube.
        fused: width of the two layers after the product.
        encoder: "mean" or "lstm", how steps become one vector.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 32,
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
        self.fuse = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear((hidden + 1) ** len(self.dims), fused),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(fused, fused),
            nn.ReLU(),
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        vectors, _ = self.encoder(batch)
        product = torch.ones(len(batch), 1, device=next(iter(vectors.values())).device)
        for m in self.dims:
            z = F.pad(vectors[m].relu(), (0, 1), value=1.0)  # [n, hidden + 1]
            product = (product.unsqueeze(2) * z.unsqueeze(1)).flatten(1)
        output: Output = self.head(self.fuse(product))
        return output
