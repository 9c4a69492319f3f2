"""Video features from ResNet-50 (He et al. 2016), trained on ImageNet: 2048 a frame.

torchvision's checkpoint runs in transformers' ResNetModel, the same trunk, so torchvision need not be installed.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trisent.compute import choose_device
from trisent.errors import WeightsError
from trisent.extractors.backend import transformers
from trisent.extractors.loading import one_line, read_state
from trisent.extractors.nets.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from trisent.i18n import t
from trisent.types import Features, Floats, Frames, OnProgress, Provenance, no_progress
from trisent.weights import ensure

RESIZE, CROP = 256, 224  # torchvision's evaluation recipe for IMAGENET1K_V1
_FRAMES_A_BATCH = 16


class ResNetVideoExtractor:
    """Turn how it looks into one row of 2048 features a frame, of the whole picture.

    Args:
        model_name: a catalog name, a hub id (timm's copy), or a folder such as `models/resnet50`; fetched when absent.
        device: "auto", "cpu", "cuda".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are no ResNet-50.
    """

    modality = "video"

    def __init__(
        self, model_name: str = "resnet50", *, device: str = "auto", on_progress: OnProgress = no_progress
    ) -> None:
        weights = ensure(model_name, on_progress=on_progress)
        state = transformers_names(read_state(weights.file))
        try:
            widths, depths = _shape(state)
            # torchvision puts the stride on the 3x3 convolution (ResNet "v1.5"): transformers' default.
            config = transformers().ResNetConfig(
                embedding_size=len(state["embedder.embedder.convolution.weight"]), hidden_sizes=widths, depths=depths
            )
            self._model = transformers().ResNetModel(config)
            self._model.load_state_dict(state, strict=True)
        except (KeyError, RuntimeError, ValueError) as error:
            message = "{file}: is no ResNet-50 checkpoint ({reason}); get the right one: trisent weights pull resnet50"
            raise WeightsError(t(message, file=weights.file, reason=one_line(error))) from error
        self.device = choose_device(device)
        self._model.eval().to(self.device)
        self.dim = widths[-1]
        self.provenance = Provenance(
            "resnet",
            weights.name,
            weights.digest,
            (-1,),
            f"whole frame, shorter side {RESIZE}, centre {CROP}, ImageNet mean and std, average pooled",
        )

    def extract(self, batch: Sequence[Frames]) -> list[Features]:
        """Look at frames; for each utterance features [frames, 2048] at the frames' times."""
        return [Features(self._encode(f), f.times, np.ones(len(f.images), np.bool_)) for f in batch]

    @torch.inference_mode()
    def _encode(self, frames: Frames) -> np.ndarray:
        rows = [np.zeros((0, self.dim), np.float32)]
        for first in range(0, len(frames.images), _FRAMES_A_BATCH):
            pictures = np.stack([prepare(image) for image in frames.images[first : first + _FRAMES_A_BATCH]])
            rows.append(self._model(torch.from_numpy(pictures).to(self.device)).pooler_output.flatten(1).cpu().numpy())
        return np.concatenate(rows)


def prepare(image: NDArray[np.uint8]) -> Floats:
    """Scale the shorter side to 256, cut out the central 224, normalise: float32 [3, 224, 224]."""
    height, width = image.shape[:2]
    size = (RESIZE * width // min(height, width), RESIZE * height // min(height, width))
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - CROP) / 2), round((size[1] - CROP) / 2)
    cut = np.asarray(picture.crop((left, top, left + CROP, top + CROP)), np.float32) / 255
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    return ((cut - mean) / std).astype(np.float32).transpose(2, 0, 1)


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename torchvision's (and timm's) ResNet tensors to those of transformers.ResNetModel, without the classifier."""
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("fc."):
            continue
        *path, leaf = name.split(".")
        renamed[f"{_module('.'.join(path))}.{leaf}"] = tensor
    for name in [n for n in renamed if n.endswith("running_var")]:  # very old files lack this counter
        renamed.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return renamed


def _module(name: str) -> str:
    kinds = {"conv": "convolution", "bn": "normalization"}
    if stem := re.fullmatch(r"(conv|bn)1", name):
        return f"embedder.embedder.{kinds[stem[1]]}"
    if inner := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)", name):
        stage, block, kind, number = inner.groups()
        return f"encoder.stages.{int(stage) - 1}.layers.{block}.layer.{int(number) - 1}.{kinds[kind]}"
    if side := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])", name):
        stage, block, part = side.groups()
        return f"encoder.stages.{int(stage) - 1}.layers.{block}.shortcut.{('convolution', 'normalization')[int(part)]}"
    return name


def _shape(state: Mapping[str, Tensor]) -> tuple[list[int], list[int]]:
    """Read the width and the depth of the four stages off the tensors."""
    widths, depths = [], []
    for stage in range(4):
        last = f"encoder.stages.{stage}.layers.0.layer.2.convolution.weight"
        widths.append(len(state[last]))
        blocks = {m[1] for n in state if (m := re.match(rf"encoder\.stages\.{stage}\.layers\.(\d+)\.", n))}
        depths.append(len(blocks))
    return widths, depths
