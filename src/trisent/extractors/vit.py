"""Video features from vision transformers: the class token of CLIP or DINOv2, one row a frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trisent.errors import WeightsError
from trisent.extractors import examples
from trisent.extractors.backend import transformers
from trisent.extractors.declared import read_json
from trisent.extractors.loading import Layers, chosen_layers, drop_above, load_encoder
from trisent.extractors.runners import choose_compute, make_runner
from trisent.extractors.vision import Look, Picture, encode, features, normalised
from trisent.i18n import t
from trisent.types import Features, Frames, OnProgress, Provenance, no_progress
from trisent.weights import Weights, digest_with, ensure

# model_type -> transformers' class; a CLIP checkpoint holds a text encoder too, which is left out
_CLASSES = {"clip": "CLIPVisionModel", "clip_vision_model": "CLIPVisionModel", "dinov2": "Dinov2Model"}


class ViTVideoExtractor:
    """Turn how it looks into one row of features a frame: the class token.

    Of the last layer it is taken behind the final norm, as the model itself gives it out.

    Args:
        model_name: a catalog name, a hub id, or a folder; fetched when absent.
        layers: encoder layers to return side by side, or "last" or "all"; 0 is the embedding, -1 the last layer.
        frames: "full" for the whole picture, "face" for the main face; frames without one are then masked.
        device: "auto", "cpu", "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Attributes:
        pictures: how large the frames are best decoded.

    Raises:
        WeightsError: the weights cannot be had, or are of another family.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "video"

    def __init__(
        self,
        model_name: str = "clip-vit-base-patch32",
        *,
        layers: Layers = (-1,),
        frames: str = "full",
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        weights = ensure(model_name, on_progress=on_progress)
        self._prepare = Preparation.read(weights)
        found = str(read_json(weights, "config.json").get("model_type"))
        model_class = getattr(transformers(), _CLASSES.get(found, "CLIPVisionModel"))
        model = load_encoder(model_class, weights, model_types=tuple(_CLASSES))
        chosen = chosen_layers(layers, model.config.num_hidden_layers)
        self._look = Look(frames, shorter_side=self._prepare.shorter_side, on_progress=on_progress)
        self.pictures = self._look.pictures
        self._run = make_runner(
            _Network(model, chosen).eval(),
            compute,
            examples=lambda: [self._prepare(examples.pictures())],
            dynamic=({0: "pictures"},),
        )
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self.dim = int(model.config.hidden_size) * len(chosen)
        preprocessing = f"{self._look.words}, {self._prepare}, class token"
        digest = digest_with(weights, "config.json")
        self.provenance = Provenance("vit", weights.name, digest, chosen, preprocessing)

    def extract(self, batch: Sequence[Frames]) -> list[Features]:
        """Look at frames; for each utterance features [frames, dim] at the frames' times."""
        return [self._one(frames) for frames in batch]

    def _one(self, frames: Frames) -> Features:
        seen, mask = self._look(frames)
        return features(encode(self._run, seen, self._prepare, dim=self.dim), frames, mask)


class _Network(nn.Module):
    """Turn pictures [n, 3, height, width] into the class token of the chosen layers side by side, [n, dim]."""

    def __init__(self, model: Any, layers: Sequence[int]) -> None:
        super().__init__()
        self._model, self._layers = model, tuple(layers)
        self._count = model.config.num_hidden_layers
        layers_there = model.encoder.layer if model.config.model_type == "dinov2" else model.encoder.layers
        drop_above(layers_there, max(layers))

    def forward(self, pictures: Tensor) -> Tensor:
        output = self._model(pictures, output_hidden_states=True)
        tokens = [
            output.pooler_output if layer == self._count else output.hidden_states[layer][:, 0]
            for layer in self._layers
        ]
        return torch.cat(tokens, dim=-1)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What preprocessor_config.json says; printed, it is part of the provenance."""

    shorter_side: int
    crop: tuple[int, int]  # height, width
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, weights: Weights) -> "Preparation":
        """Read the settings from the folder of `weights`.

        Raises:
            WeightsError: the file is missing, or says nothing that is understood here.
        """
        document = read_json(weights, "preprocessor_config.json")
        try:
            size, crop = document["size"], document["crop_size"]
            height, width = (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
            return cls(
                int(size if isinstance(size, int) else size["shortest_edge"]),
                (int(height), int(width)),
                int(document.get("resample", Image.Resampling.BICUBIC)),
                tuple(map(float, document["image_mean"])),
                tuple(map(float, document["image_std"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            message = "{folder}: preprocessor_config.json does not say size, crop_size, image_mean and image_std"
            raise WeightsError(t(message, folder=weights.folder)) from error

    def __call__(self, pictures: Iterable[Picture]) -> tuple[Tensor]:
        return (normalised([self._cut(picture) for picture in pictures], self.mean, self.std),)

    def _cut(self, picture: Picture) -> Picture:
        """Scale the shorter side and cut out the centre, as transformers' image processors do."""
        height, width = picture.shape[:2]
        short = min(height, width)
        scaled = (int(self.shorter_side * width / short), int(self.shorter_side * height / short))
        if scaled != (width, height):
            picture = np.asarray(Image.fromarray(picture).resize(scaled, Image.Resampling(self.resample)))
        top, left = (scaled[1] - self.crop[0]) // 2, (scaled[0] - self.crop[1]) // 2
        return picture[top : top + self.crop[0], left : left + self.crop[1]]
