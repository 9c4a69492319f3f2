"""Low-rank adapters: a frozen encoder learns through two thin matrices beside each linear layer.

A layer computes W x + (alpha / r) B A x with W frozen, A [r, inputs] and B [outputs, r], B zero at first: Hu et al.,
"LoRA: low-rank adaptation of large language models", ICLR 2022, arXiv 2106.09685. The adapters are peft's; the sum is
taken before the product, (W + (alpha / r) B A) x, which is the same and spares every layer two products with thin
matrices, and their elementwise steps, over all pieces of a batch. It leaves no place for dropout between x and A.
"""

import importlib
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from trisent.errors import TrisentError
from trisent.extractors.backend import transformers
from trisent.extractors.loading import Encoder
from trisent.i18n import t

_LINEAR_LAYERS = ["query", "key", "value", "dense"]  # their names in every family built like BERT


def add_adapters(encoder: Encoder, *, rank: int) -> Encoder:
    """Freeze an encoder and put adapters of `rank` beside its linear layers; alpha is twice the rank.

    Raises:
        TrisentError: peft is not installed.
    """
    peft = _peft()
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules=_LINEAR_LAYERS)
    config._register_custom_module({nn.Linear: _summed_first(peft)})
    return peft.LoraModel(encoder, config, "default")


def _summed_first(peft: Any) -> type[nn.Module]:
    """Make peft's adapted layer compute with the sum of its weights."""

    class SummedFirst(peft.tuners.lora.Linear):  # type: ignore[misc]  # peft is imported when it is needed
        def forward(self, x: Tensor) -> Tensor:
            weight = self.base_layer.weight + self.get_delta_weight("default")
            return F.linear(x, weight, self.base_layer.bias)

    return SummedFirst


def merged(encoder: Encoder) -> Encoder:
    """Add the adapters into the weights: an ordinary encoder that computes the same."""
    return encoder.merge_and_unload()


def _peft() -> Any:
    transformers()  # hides a torchvision that would break peft's import of it
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        message = "LoRA needs the package peft, which is not here ({reason}). Run: pip install 'trisent[finetune]'"
        raise TrisentError(t(message, reason=error)) from error
