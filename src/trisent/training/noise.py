"""The chance of dropout when several processes divide a batch: that which one process would have drawn.

Noise is drawn for the whole batch, in the order in which one process draws it, and each process takes its own rows. So
two processes on a CPU learn what one learns, with dropout, too. GPUs draw in another order for every shape; there the
processes draw each for itself.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class WholeBatchNoise(TorchFunctionMode):
    """Inside, dropout and `torch.rand` give own rows of what they would give for the whole batch.

    Args:
        own: which rows of the batch this process holds.
        utterances: in the whole batch.
    """

    def __init__(self, own: Tensor, *, utterances: int) -> None:
        super().__init__()
        self._own, self._utterances = own, utterances

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:  # whatever torch's functions take and give
        given = kwargs or {}
        if func is F.dropout:
            return self._dropout(*args, **given)
        if func is F.scaled_dot_product_attention and given.keys() == {"attn_mask", "dropout_p"}:  # as our models ask
            return self._attention(*args, **given)
        if func is torch.rand and self._is_own(shape := _shape(args)):
            return torch.rand(self._utterances, *shape[1:], **given)[self._own]
        return func(*args, **given)

    def _is_own(self, shape: Sequence[int]) -> bool:
        return len(shape) > 0 and shape[0] == len(self._own)

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not (training and 0 < p < 1 and self._is_own(x.shape)):
            return F.dropout(x, p, training, inplace)
        # As torch's own on a CPU does it.
        noise = x.new_empty(self._utterances, *x.shape[1:]).bernoulli_(1 - p).div_(1 - p)
        return x * noise[self._own]

    def _attention(self, q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor, dropout_p: float) -> Tensor:
        if not dropout_p:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        # The steps of `scaled_dot_product_attention`, whose dropout cannot be reached from outside.
        scores = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).masked_fill(~attn_mask, -math.inf)
        return self._dropout(scores.softmax(dim=-1), dropout_p) @ v


def _shape(args: tuple[Any, ...]) -> Sequence[int]:
    """Read the shape of `torch.rand(2, 3)` or `torch.rand((2, 3))`."""
    return args[0] if args and isinstance(args[0], Sequence) else args
