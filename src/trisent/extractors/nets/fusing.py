"""ResNet's convolutions with what follows them in one operation, on a CPU: its activations go through memory once.

In plain torch the additions and ReLUs between the convolutions take almost half of the time of a ResNet-50 in bf16
(benchmarks/extract.py). oneDNN does them while it writes a convolution's result. torch has that operation for its own
compiler (torch/_inductor/fx_passes/mkldnn_fusion.py), which needs a C++ compiler where it runs; calling it does not.
"""

from typing import Any

import torch
from torch import Tensor, nn


def can_fuse(device: torch.device) -> bool:
    """Say whether torch has the operation on this device."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's own
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def fuse_resnet(model: Any) -> None:  # Any: torch types no attributes of modules
    """Join operations of transformers' ResNetModel, in place; its batch norms are folded already."""
    stem = model.embedder.embedder
    model.embedder.embedder = _ReLUAfter(stem.convolution)
    for stage in model.encoder.stages:
        stage.layers = nn.Sequential(*(_Bottleneck(layer) for layer in stage.layers))


class _Bottleneck(nn.Module):
    """ReLU(last(ReLU(..(ReLU(first(x))))) + shortcut(x)), on pictures [n, channels, height, width]."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        *before, last = [part.convolution for part in layer.layer]
        self.before = nn.Sequential(*(_ReLUAfter(conv) for conv in before))
        self.last, self.shortcut = last, layer.shortcut

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            self.before(x), self.shortcut(x), *_settings(self.last), "add", 1.0, "relu", [], ""
        )
        return joined


class _ReLUAfter(nn.Module):
    """ReLU(conv(x))."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *_settings(self.conv), "relu", [], "")
        return joined


def _settings(conv: nn.Conv2d) -> tuple[object, ...]:
    return conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups
