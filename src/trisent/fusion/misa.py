"""Modality-invariant and modality-specific representations, kept apart by losses.

MISA: Hazarika, Zimmermann and Poria, "MISA: Modality-invariant and -specific representations for multimodal sentiment
analysis", ACM Multimedia 2020, arXiv 2005.03545. With n utterances, M modalities and width h, all [n, h]:

    u_m = LayerNorm(ReLU(W_m x_m))       p_m = sigmoid(P_m u_m), private       c_m = sigmoid(C u_m), shared
    r_m = D(p_m + c_m)                   the attempt to get u_m back
    y   = head(MLP([Transformer(p_1, ..., p_M, c_1, ..., c_M)]))        a sequence of 2 M vectors, without places

    loss = loss of the head + alpha similarity + beta difference + gamma reconstruction
    similarity      mean over pairs of CMD_5(c_a, c_b): shared ones are distributed alike
    difference      sum of |Q' R|^2 / h^2 over (c_m, p_m) and pairs (p_a, p_b): nothing is said twice; Q and R have
                    columns of mean 0, then rows of length 1
    reconstruction  mean over m of |u_m - r_m|^2 / h: private and shared together say all

CMD_5 is the central moment discrepancy to order 5 (Zellinger et al., ICLR 2017) of numbers in [0, 1]. The difference is
averaged over the h x h products, as in the authors' code. An absent modality is left out of the losses and of what the
transformer looks at. What differs: the paper reads text with BERT and the others with two bidirectional LSTMs, where
here it is the average or one LSTM; its transformer normalises after each part, and its hidden layer is 2048 wide, not
4 h. The variant with a discriminator in place of CMD is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from trisent.fusion.attention import Transformer
from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import UtteranceEncoder
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import check_counts, check_shares, check_sizes
from trisent.fusion.outputs import make_head
from trisent.types import Modality

_MOMENTS = 5


@dataclass(frozen=True, slots=True)
class MisaOutput(Output):
    """Also what the losses need: all [n, modalities, hidden], but `present` bool [n, modalities]."""

    wanted: Tensor
    rebuilt: Tensor
    private: Tensor
    shared: Tensor
    present: Tensor


class SharedPrivateFusion(HeadedFusion):
    """Judge what each modality says in common with the others and alone.

    Args:
        dims: width of each modality's features.
        hidden: width of all representations; a multiple of `heads`.
        heads: of the transformer's attention.
        fused: width of the layer after it.
        similarity, difference, reconstruction: weights of the losses.
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
        heads: int = 2,
        fused: int = 128,
        similarity: float = 1.0,
        difference: float = 0.3,
        reconstruction: float = 1.0,
        encoder: str = "mean",
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(fused=fused)
        check_shares(dropout=dropout)
        check_sizes(similarity=similarity, difference=difference, reconstruction=reconstruction)
        self.encoder = UtteranceEncoder(dims, hidden=hidden, encoder=encoder, modality_dropout=modality_dropout)
        self.similarity, self.difference, self.reconstruction = similarity, difference, reconstruction
        self.normalise = nn.ModuleDict({m: nn.Sequential(nn.ReLU(), nn.LayerNorm(hidden)) for m in self.dims})
        self.private = nn.ModuleDict({m: nn.Linear(hidden, hidden) for m in self.dims})
        self.shared = nn.Linear(hidden, hidden)
        self.rebuild = nn.Linear(hidden, hidden)
        self.transform = Transformer(hidden, heads=heads, layers=1, dropout=dropout, places=False)
        self.fuse = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * len(self.dims) * hidden, fused), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> MisaOutput:
        vectors, there = self.encoder(batch)
        present = torch.stack([there[m] for m in self.dims], dim=1)  # [n, M]
        u = torch.stack([self.normalise[m](vectors[m]) for m in self.dims], dim=1)  # [n, M, hidden]
        private = torch.stack([self.private[m](u[:, i]) for i, m in enumerate(self.dims)], dim=1).sigmoid()
        shared = self.shared(u).sigmoid()
        visible = torch.cat([present, present], dim=1)
        # The transformer does not look at what is absent; neither may its place in the result speak.
        said = self.transform(torch.cat([private, shared], dim=1), visible=visible)
        said = said.masked_fill(~visible.unsqueeze(2), 0.0)  # [n, 2 M, hidden]
        judged: Output = self.head(self.fuse(said.flatten(1)))
        rebuilt = self.rebuild(private + shared)
        return MisaOutput(
            judged.sentiment,
            judged.class_logits,
            wanted=u.float(),
            rebuilt=rebuilt.float(),
            private=private.float(),
            shared=shared.float(),
            present=present,
        )

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return the loss of the head plus similarity, difference and reconstruction, weighted."""
        loss: Tensor = self.head.loss(output, batch)
        if not isinstance(output, MisaOutput):
            return loss
        present = output.present
        wrong = ((output.wanted - output.rebuilt) ** 2).mean(dim=2)  # [n, M]
        rebuilding = (wrong * present).sum(dim=0) / present.sum(dim=0).clamp(min=1)
        loss = loss + self.reconstruction * rebuilding.mean()
        count = len(self.dims)
        for i in range(count):
            said_twice = overlap(output.shared[:, i], output.private[:, i], rows=present[:, i])
            loss = loss + self.difference * said_twice
        for a, b in combinations(range(count), 2):
            both = present[:, a] & present[:, b]
            loss = loss + self.difference * overlap(output.private[:, a], output.private[:, b], rows=both)
            unlike = discrepancy(output.shared[:, a], output.shared[:, b], rows=(present[:, a], present[:, b]))
            loss = loss + self.similarity * unlike / (count * (count - 1) / 2)
        return loss


def discrepancy(a: Tensor, b: Tensor, *, rows: tuple[Tensor, Tensor]) -> Tensor:
    """Measure the central moment discrepancy to order 5 of two sets of vectors [n, h] in [0, 1].

    Args:
        a, b: the vectors.
        rows: bool [n] each, which vectors count; 0 where a set is empty.
    """
    moments = []
    for x, row in ((a, rows[0]), (b, rows[1])):
        weight = row.to(x.dtype).unsqueeze(1) / row.sum().clamp(min=1)
        mean = (weight * x).sum(dim=0)
        central = [(weight * (x - mean) ** k).sum(dim=0) for k in range(2, _MOMENTS + 1)]
        moments.append(torch.stack([mean, *central]))  # [5, h]
    distance = torch.linalg.vector_norm(moments[0] - moments[1], dim=1).sum()
    found: Tensor = distance * (rows[0].any() & rows[1].any())
    return found


def overlap(a: Tensor, b: Tensor, *, rows: Tensor) -> Tensor:
    """Measure how much of one set of vectors [n, h] a linear map finds in another: mean of (Q' R)^2 over h x h.

    Args:
        a, b: the vectors.
        rows: bool [n], which count.
    """
    weight = rows.to(a.dtype).unsqueeze(1)
    products = _centred(a, weight=weight).T @ _centred(b, weight=weight)  # [h, h]
    found: Tensor = products.square().mean()
    return found


def _centred(x: Tensor, *, weight: Tensor) -> Tensor:
    """Take off the mean row, then give each row length 1; the length is a constant for the gradient, as in the code."""
    centred = (x - (weight * x).sum(dim=0) / weight.sum().clamp(min=1)) * weight
    lengths = torch.linalg.vector_norm(centred, dim=1, keepdim=True).detach()
    scaled: Tensor = centred / (lengths + 1e-6)
    return scaled
