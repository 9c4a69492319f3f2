"""Video features of the main face: EfficientNet-Lite0 (1280) beside the expression network (128 + 7), a row a frame."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trisent.extractors import examples
from trisent.extractors.nets.efficientnet_lite import DIM as EFFICIENTNET_DIM
from trisent.extractors.nets.efficientnet_lite import (
    IMAGE_SIZE,
    IMAGENET_MEAN,
    IMAGENET_STD,
    load_efficientnet_lite0,
)
from trisent.extractors.nets.folding import fold_batch_norms
from trisent.extractors.nets.mini_xception import EMBEDDING_DIM, EXPRESSIONS, load_mini_xception
from trisent.extractors.nets.mini_xception import IMAGE_SIZE as EXPRESSION_SIZE
from trisent.extractors.runners import choose_compute, make_runner
from trisent.extractors.vision import Picture, encode, features, normalised
from trisent.media.clips import Pictures
from trisent.media.faces import SIZE, FaceFinder, cut_face
from trisent.types import Features, Floats, Frames, OnProgress, Provenance, no_progress
from trisent.weights import ensure


class FaceVideoExtractor:
    """Turn how it looks into one row of features a frame, of the main face; frames without a face are masked.

    The face is shown to both networks as FER-2013 shows faces, 48 x 48 grey, so that a head trained on FER-2013 sees
    the same kind of picture in a video.

    Args:
        model_name: the EfficientNet-Lite0 weights, a catalog name or a folder; fetched when absent, as are the face
            detector (`mtcnn`) and the expression network (`mini-xception`).
        device: "auto", "cpu", "cuda"; faces are found on the CPU.
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: weights cannot be had.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "video"
    dim = EFFICIENTNET_DIM + EMBEDDING_DIM + len(EXPRESSIONS)
    also = ("mini-xception", "mtcnn")  # weights that are always the same
    pictures = Pictures()

    def __init__(
        self,
        model_name: str = "efficientnet-lite0",
        *,
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        weights = [ensure(name, on_progress=on_progress) for name in (model_name, *self.also)]
        network = _Network(load_efficientnet_lite0(weights[0].file), load_mini_xception(weights[1].file)).eval()
        dynamic = ({0: "faces"}, {0: "faces"})
        self._run = make_runner(network, compute, examples=lambda: [_inputs(_grey())], dynamic=dynamic)
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self._finder = FaceFinder(weights[2].folder)
        self.provenance = Provenance(
            "face",
            "+".join(w.name for w in weights),
            hashlib.sha256("".join(w.digest for w in weights).encode()).hexdigest(),
            (-1,),
            f"main face, square, grey {SIZE} x {SIZE}; ImageNet mean and std; [-1, 1] for the expression network",
        )

    def extract(self, batch: Sequence[Frames]) -> list[Features]:
        """Look at frames; for each utterance features [frames, 1415], masked where no face was found."""
        return [self._one(frames) for frames in batch]

    def _one(self, frames: Frames) -> Features:
        self._finder.reset()  # an utterance's features must not depend on the one before
        boxes = [self._finder.main_face(image) for image in frames.images]
        faces = [cut_face(image, box) for image, box in zip(frames.images, boxes, strict=True) if box is not None]
        return features(self.encode(faces), frames, np.array([box is not None for box in boxes], np.bool_))

    def encode(self, faces: Sequence[Picture]) -> Floats:
        """Encode faces that are already cut out, grey uint8 [48, 48]: float32 [faces, 1415]."""
        return encode(self._run, faces, _inputs, dim=self.dim)


class _Network(nn.Module):
    """Turn faces, as [n, 3, 224, 224] and as [n, 1, 64, 64], into features [n, 1415]."""

    def __init__(self, picture_net: Any, expression_net: Any) -> None:
        super().__init__()
        for net in (picture_net, expression_net):
            fold_batch_norms(net)
        self._picture_net = picture_net.to(memory_format=torch.channels_last)
        self._expression_net = expression_net.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor, small: Tensor) -> Tensor:
        embedding, probabilities = self._expression_net(small)
        return torch.cat([self._picture_net(pictures), embedding, probabilities], dim=1)


def _inputs(faces: Sequence[Picture]) -> tuple[Tensor, Tensor]:
    colour = normalised([_resized(f, IMAGE_SIZE).repeat(3, axis=2) for f in faces], IMAGENET_MEAN, IMAGENET_STD)
    small = np.stack([_resized(f, EXPRESSION_SIZE) for f in faces])
    return colour, torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255 * 2 - 1


def _resized(face: Picture, size: int) -> Picture:
    """Scale a grey face to [size, size, 1]."""
    return np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.BILINEAR))[:, :, None]


def _grey() -> list[Picture]:
    """Return the sample's pictures as if all of each were a face."""
    return [np.asarray(Image.fromarray(p).convert("L").resize((SIZE, SIZE))) for p in examples.pictures()]
