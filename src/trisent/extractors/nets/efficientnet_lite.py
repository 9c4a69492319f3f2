"""EfficientNet-Lite0 (Tan & Le 2019; Google's Lite variant: ReLU6, no squeeze-and-excitation), 1280 features a picture.

Written here because timm needs torchvision, which has no CPU build for this torch. Names follow the published file
`efficientnet-lite0-57934424.pth`, so it loads strictly.
"""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from trisent.errors import WeightsError, one_line
from trisent.extractors.loading import read_state
from trisent.i18n import t

# (repeats, kernel, stride, expansion, in, out), table 1 of the EfficientNet paper
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
_BATCH_NORM_EPS = 1e-3

IMAGE_SIZE = 224
DIM = 1280
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": what does not divide evenly goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[-2:]), self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_BATCH_NORM_EPS)


class _Block(nn.Module):
    """Inverted bottleneck: expand 1x1, depthwise k x k, project 1x1, residual where shapes allow."""

    def __init__(self, *, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self._residual = stride == 1 and inputs == outputs
        self._expand_conv = _SameConv(inputs, wide, 1, bias=False) if expansion > 1 else None
        self._bn0 = _norm(wide) if expansion > 1 else None
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = _SameConv(wide, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self._residual else y
        return out


class EfficientNetLite0(nn.Module):
    """Turn pictures [n, 3, 224, 224], normalised with ImageNet's mean and std, into features [n, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(
            _Block(
                kernel=kernel,
                stride=stride if i == 0 else 1,
                expansion=expansion,
                inputs=inputs if i == 0 else outputs,
                outputs=outputs,
            )
            for repeats, kernel, stride, expansion, inputs, outputs in _STAGES
            for i in range(repeats)
        )
        self._conv_head = _SameConv(320, DIM, 1, bias=False)
        self._bn1 = _norm(DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features: Tensor = F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))  # [n, 1280]
        return features


def load_efficientnet_lite0(file: Path) -> EfficientNetLite0:
    """Read the published checkpoint; the ImageNet classifier in it is left out.

    Raises:
        WeightsError: the file holds other tensors, or cannot be read.
    """
    state = read_state(file)
    model = EfficientNetLite0()
    try:
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith("_fc.")}, strict=True)
    except RuntimeError as error:
        message = "{file}: is no EfficientNet-Lite0 checkpoint ({reason}); run: trisent weights pull efficientnet-lite0"
        raise WeightsError(t(message, file=file, reason=one_line(error))) from error
    return model.eval()
