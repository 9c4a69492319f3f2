"""Attention over steps that may be masked, and the transformer blocks made of it.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, "Attention is all you need", NeurIPS 2017,
arXiv 1706.03762; normalised before each part, as in the crossmodal transformer (Tsai et al. 2019).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trisent.errors import UsageError
from trisent.fusion.inputs import check_counts
from trisent.i18n import t


class Attention(nn.Module):
    """Multi-head attention from a target to a source: softmax(Q K' / sqrt(width / heads)) V, heads side by side.

    Q = target W_q, K = source W_k, V = source W_v, then W_o. Where no step of the source is visible, the result is 0.

    Args:
        width: of target, source and result.
        heads: must divide the width.
        dropout: share of attention weights dropped while training.
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        check_counts(heads=heads)
        if width % heads:
            raise UsageError(t("heads must divide the width {width}, got {heads}", width=width, heads=heads))
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, target: Tensor, source: Tensor, *, visible: Tensor) -> Tensor:
        """Look from target [n, steps, width] at source [n, others, width] where `visible` bool [n, others] is True."""
        anything = visible.any(dim=1)[:, None, None]  # [n, 1, 1]
        q, k, v = (self._split(f(x)) for f, x in ((self.query, target), (self.key, source), (self.value, source)))
        # A softmax over nothing is NaN: let such a row see all, and throw away what it saw.
        mask = (visible[:, None, :] | ~anything).unsqueeze(1)  # [n, 1, 1, others]
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0)
        result: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return result.masked_fill(~anything, 0.0)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)  # [n, heads, steps, width / heads]


class Block(nn.Module):
    """One layer: x + Attention(LN x, LN source), then x + FeedForward(LN x); the hidden layer is 4 x as wide."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads=heads, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, source: Tensor, *, visible: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm(x), self.norm(source), visible=visible))
        fed: Tensor = self.feed(x)
        return x + fed


class Transformer(nn.Module):
    """Blocks on steps that know their place, and a last normalisation.

    Without `source` each layer looks at itself; with it, every layer looks at the same, unchanged source.

    Args:
        width: of the steps.
        heads, layers, dropout: of the blocks.
        places: add sinusoidal positions; without them the steps are a set.
    """

    def __init__(self, width: int, *, heads: int, layers: int, dropout: float, places: bool = True) -> None:
        super().__init__()
        check_counts(layers=layers)
        self.places = places
        self.blocks = nn.ModuleList(Block(width, heads=heads, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, *, visible: Tensor, source: Tensor | None = None) -> Tensor:
        """Map x [n, steps, width]; `visible` bool says which steps of the source, or of x itself, may be looked at."""
        if self.places:
            x = x + positions(x)
            source = None if source is None else source + positions(source)
        for block in self.blocks:
            x = block(x, x if source is None else source, visible=visible)
        normed: Tensor = self.norm(x)
        return normed


def positions(x: Tensor) -> Tensor:
    """Give the place of each step of x [n, steps, width] as sines and cosines: [steps, width]."""
    steps, width = x.shape[1:]
    rates = torch.exp(torch.arange(0, width, 2, device=x.device) * (-math.log(10_000.0) / width))
    angles = torch.arange(steps, device=x.device).unsqueeze(1) * rates  # [steps, width / 2, rounded up]
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width].to(x.dtype)
