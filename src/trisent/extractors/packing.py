"""Texts of different lengths in one pass of a BERT-like encoder, without padding.

The pieces of all windows lie one behind the other in one row, [1, tokens]. The linear layers, nearly all of the work,
never notice; attention is told which pieces belong together by their positions: a window begins where the first
position comes again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trisent.extractors.backend import transformers

_ATTENTION = "trisent_packed"  # its name in transformers' table

Groups = list[tuple[int, int]]
"""(windows, length) of each run of windows of equal length."""


class PackedEncoder(nn.Module):
    """Turn ids and positions [1, tokens] into the chosen layers side by side, [tokens, dim].

    Args:
        encoder: a BERT-like model of transformers; its attention is replaced.
        layers: numbers of the hidden states.
        first_position: what the first piece of every window has; RoBERTa's family begins behind its padding id.
        grouped: attend to windows of equal length at once, in Python; else by a mask over all pairs of pieces, which
            computes more but can be exported as a graph.
    """

    def __init__(self, encoder: Any, layers: Sequence[int], *, first_position: int, grouped: bool) -> None:
        super().__init__()
        transformers().AttentionInterface.register(_ATTENTION, packed_attention)
        encoder.config._attn_implementation = _ATTENTION
        self._encoder, self._layers = encoder, tuple(layers)
        self._first, self._grouped = first_position, grouped

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        hidden = self._encoder(
            input_ids=ids, position_ids=positions, output_hidden_states=True, windows=self._windows(positions)
        ).hidden_states
        return torch.cat([hidden[layer][0] for layer in self._layers], dim=-1)

    def _windows(self, positions: Tensor) -> Tensor | Groups:
        begins = positions[0] == self._first
        if self._grouped:
            starts = begins.nonzero()[:, 0]
            lengths = torch.diff(starts, append=starts.new_tensor([len(begins)]))
            length, count = torch.unique_consecutive(lengths, return_counts=True)
            return list(zip(count.tolist(), length.tolist(), strict=True))
        window = begins.to(torch.int64).cumsum(0)
        return (window[:, None] == window[None, :])[None, None]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    windows: Tensor | Groups,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend within windows: query, key and value are [1, heads, tokens, dim], the result [1, tokens, heads, dim].

    The signature is transformers'; it hands over further settings, none of which matter here.
    """
    del module, attention_mask
    if isinstance(windows, Tensor):
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=windows, scale=scaling)
        return mixed.transpose(1, 2), None
    rows, first = [], 0
    for count, length in windows:
        last = first + count * length
        # [heads, count * length, dim] -> [count, heads, length, dim]
        q, k, v = (
            x[0, :, first:last].reshape(x.shape[1], count, length, -1).transpose(0, 1) for x in (query, key, value)
        )
        rows.append(F.scaled_dot_product_attention(q, k, v, scale=scaling).transpose(1, 2).flatten(0, 1))
        first = last
    return torch.cat(rows)[None], None


def packs(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Share windows out to passes of about `tokens` pieces; yields their indices, the shortest first."""
    pack: list[int] = []
    filled = 0
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if pack and filled + lengths[i] > tokens:
            yield pack
            pack, filled = [], 0
        pack.append(i)
        filled += lengths[i]
    if pack:
        yield pack
