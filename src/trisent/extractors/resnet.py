"""Video features from ResNet-50 (He et al. 2016), trained on ImageNet: 2048 a frame.

torchvision's checkpoint runs in transformers' ResNetModel, the same trunk, so torchvision need not be installed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trisent.errors import WeightsError, one_line
from trisent.extractors import examples
from trisent.extractors.backend import transformers
from trisent.extractors.declared import read_json
from trisent.extractors.loading import read_state
from trisent.extractors.nets.efficientnet_lite import IMAGENET_MEAN, IMAGENET_STD
from trisent.extractors.nets.folding import fold_batch_norms
from trisent.extractors.nets.fusing import can_fuse, fuse_resnet
from trisent.extractors.runners import choose_compute, make_runner
from trisent.extractors.vision import Look, Picture, encode, features, normalised
from trisent.i18n import t
from trisent.types import Features, Floats, Frames, OnProgress, Provenance, no_progress
from trisent.weights import Weights, digest_with, ensure

_STRIDES = ("downsample_in_first_stage", "downsample_in_bottleneck")
RESIZE, CROP = 256, 224  # torchvision's evaluation recipe for IMAGENET1K_V1


class ResNetVideoExtractor:
    """Turn how it looks into one row of 2048 features a frame.

    Args:
        model_name: a catalog name, a hub id (timm's copy, or transformers' own), or a folder such as `models/resnet50`;
            fetched when absent.
        frames: "full" for the whole picture, "face" for the main face; frames without one are then masked.
        device: "auto", "cpu", "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Attributes:
        pictures: how large the frames are best decoded.

    Raises:
        WeightsError: the weights cannot be had, or are no ResNet-50.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "video"

    def __init__(
        self,
        model_name: str = "resnet50",
        *,
        frames: str = "full",
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        weights = ensure(model_name, on_progress=on_progress)
        state = transformers_names(read_state(weights.file))
        said = _said(weights)
        try:
            widths, depths = _shape(state)
            # torchvision puts the stride on the 3x3 convolution (ResNet "v1.5"): transformers' default.
            config = transformers().ResNetConfig(
                embedding_size=len(state["embedder.embedder.convolution.weight"]),
                hidden_sizes=widths,
                depths=depths,
                **{name: said[name] for name in _STRIDES if name in said},
            )
            model = transformers().ResNetModel(config)
            model.load_state_dict(state, strict=True)
        except (KeyError, RuntimeError, ValueError) as error:
            message = "{file}: is no ResNet-50 checkpoint ({reason}); get the right one: trisent weights pull resnet50"
            raise WeightsError(t(message, file=weights.file, reason=one_line(error))) from error
        self._look = Look(frames, shorter_side=RESIZE, on_progress=on_progress)
        self.pictures = self._look.pictures
        network = _Network(model.eval(), fused=compute.backend == "torch" and can_fuse(compute.device))
        self._run = make_runner(
            network, compute, examples=lambda: [_inputs(examples.pictures())], dynamic=({0: "pictures"},)
        )
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self.dim = widths[-1]
        self.provenance = Provenance(
            "resnet",
            weights.name,
            digest_with(weights, "config.json") if said else weights.digest,
            (-1,),
            f"{self._look.words}, shorter side {RESIZE}, centre {CROP}, ImageNet mean and std, average pooled",
        )

    def extract(self, batch: Sequence[Frames]) -> list[Features]:
        """Look at frames; for each utterance features [frames, 2048] at the frames' times."""
        return [self._one(frames) for frames in batch]

    def _one(self, frames: Frames) -> Features:
        seen, mask = self._look(frames)
        return features(encode(self._run, seen, _inputs, dim=self.dim), frames, mask)


class _Network(nn.Module):
    """Turn pictures [n, 3, 224, 224] into features [n, dim]; what is `fused` cannot be exported as a graph."""

    def __init__(self, model: Any, *, fused: bool) -> None:
        super().__init__()
        fold_batch_norms(model)
        if fused:
            fuse_resnet(model)
        self._model = model.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        pooled: Tensor = self._model(pictures).pooler_output
        return pooled.flatten(1)


def _inputs(images: Iterable[Picture]) -> tuple[Tensor]:
    return (normalised([_cut(image) for image in images], IMAGENET_MEAN, IMAGENET_STD),)


def prepare(image: Picture) -> Floats:
    """Scale the shorter side to 256, cut out the central 224, normalise: float32 [3, 224, 224]."""
    prepared: Floats = _inputs(image[None])[0][0].numpy()
    return prepared


def _cut(image: Picture) -> Picture:
    """Scale the shorter side to 256 and cut out the central 224."""
    height, width = image.shape[:2]
    size = (RESIZE * width // min(height, width), RESIZE * height // min(height, width))
    if size != (width, height):
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    left, top = round((size[0] - CROP) / 2), round((size[1] - CROP) / 2)
    return image[top : top + CROP, left : left + CROP]


def _said(weights: Weights) -> dict[str, Any]:
    """Return what transformers' config.json says; {} for torchvision's and timm's files, which need none.

    Raises:
        WeightsError: it is a network of other activations.
    """
    said = read_json(weights, "config.json")
    if said.get("model_type") != "resnet":
        return {}
    if (activation := said.get("hidden_act", "relu")) != "relu":
        message = "{folder}: its activation is {activation}, a ResNet's is relu; name another checkpoint"
        raise WeightsError(t(message, folder=weights.folder, activation=activation))
    return said


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename torchvision's (and timm's) ResNet tensors to those of transformers.ResNetModel, without the classifier.

    Those of transformers.ResNetForImageClassification, as in microsoft/resnet-50, only have to lose their prefix.
    """
    renamed = {}
    for name, tensor in state.items():
        if name.startswith(("fc.", "classifier.")):
            continue
        name = name.removeprefix("resnet.")
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
