"""Low-rank adapters: a frozen encoder learns through two thin matrices beside each linear layer.

A layer computes W x + (alpha / r) B A x with W frozen, A [r, inputs] and B [outputs, r], B zero at first: Hu et al.,
"LoRA: low-rank adaptation of large language models", ICLR 2022, arXiv 2106.09685. The adapters are peft's.
"""

import importlib
from typing import Any

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
    # No dropout: on a CPU its random numbers take a fifth of a step, and a few epochs leave adapters little to overfit.
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules=_LINEAR_LAYERS)
    return peft.LoraModel(encoder, config, "default")


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
