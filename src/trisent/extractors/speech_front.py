"""The convolutions at the front of wav2vec 2.0 and its relatives, laid out so that nothing is copied between them.

transformers runs them as one-dimensional convolutions over [channels, time]; the processor's kernels want the channels
innermost, so half of the time goes into turning arrays around. Here time and channels stay where the kernels want them.
"""

from typing import Any

import torch
from torch import Tensor, nn


class SpeechFront(nn.Module):
    """Turn waveforms [n, samples] into [n, channels, steps], as transformers' feature encoder that it is made from."""

    def __init__(self, feature_encoder: Any) -> None:
        super().__init__()
        layers = list(feature_encoder.conv_layers)
        first, *rest = [layer.conv for layer in layers]
        self._size, self._step = first.kernel_size[0], first.stride[0]
        self._first = nn.Linear(self._size, first.out_channels, bias=first.bias is not None)
        self._first.weight = nn.Parameter(first.weight.detach()[:, 0])
        self._first.bias = first.bias
        self._convolutions = nn.ModuleList(_flat(conv) for conv in rest)
        self._norms = nn.ModuleList(getattr(layer, "layer_norm", nn.Identity()) for layer in layers)
        self._activations = nn.ModuleList(layer.activation for layer in layers)

    def forward(self, waveforms: Tensor) -> Tensor:
        # One input channel: its convolution is a product of short overlapping windows.
        x = self._first(waveforms.unfold(1, self._size, self._step)).transpose(1, 2)[:, :, None]
        for i, (norm, activation) in enumerate(zip(self._norms, self._activations, strict=True)):
            if i > 0:
                x = self._convolutions[i - 1](x)  # [n, channels, 1, steps], channels innermost in memory
            x = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if isinstance(norm, nn.LayerNorm) else norm(x)
            x = activation(x)
        features: Tensor = x[:, :, 0]
        return features


def _flat(conv: Any) -> nn.Conv2d:
    """Turn a convolution over time into one over pictures one pixel high."""
    stride, bias = conv.stride[0], conv.bias is not None
    flat = nn.Conv2d(conv.in_channels, conv.out_channels, (1, conv.kernel_size[0]), (1, stride), bias=bias)
    flat.weight = nn.Parameter(conv.weight.detach()[:, :, None].contiguous(memory_format=torch.channels_last))
    flat.bias = conv.bias
    return flat


def fold_weight_norm(encoder: nn.Module) -> None:
    """Replace weights that are computed anew from a direction and a length at every call by what they come to."""
    for module in encoder.modules():
        if nn.utils.parametrize.is_parametrized(module, "weight"):
            nn.utils.parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
