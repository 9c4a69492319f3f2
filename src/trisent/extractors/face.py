"""Video features of the main face: EfficientNet-Lite0 (1280) beside the expression network (128 + 7), a row a frame."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trisent.compute import choose_device
from trisent.extractors.nets.efficientnet_lite import DIM as EFFICIENTNET_DIM
from trisent.extractors.nets.efficientnet_lite import (
    IMAGE_SIZE,
    IMAGENET_MEAN,
    IMAGENET_STD,
    load_efficientnet_lite0,
)
from trisent.extractors.nets.mini_xception import EMBEDDING_DIM, EXPRESSIONS, load_mini_xception
from trisent.extractors.nets.mini_xception import IMAGE_SIZE as EXPRESSION_SIZE
from trisent.media.faces import SIZE, FaceFinder, cut_face
from trisent.types import Features, Frames, OnProgress, Provenance, no_progress
from trisent.weights import ensure

_FACES_A_BATCH = 16


class FaceVideoExtractor:
    """Turn how it looks into one row of features a frame, of the main face; frames without a face are masked.

    The face is shown to both networks as FER-2013 shows faces, 48 x 48 grey, so that a head trained on FER-2013 sees
    the same kind of picture in a video.

    Args:
        model_name: the EfficientNet-Lite0 weights, a catalog name or a folder; fetched when absent, as are the face
            detector (`mtcnn`) and the expression network (`mini-xception`).
        device: "auto", "cpu", "cuda"; faces are found on the CPU.
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: weights cannot be had.
    """

    modality = "video"
    dim = EFFICIENTNET_DIM + EMBEDDING_DIM + len(EXPRESSIONS)

    def __init__(
        self, model_name: str = "efficientnet-lite0", *, device: str = "auto", on_progress: OnProgress = no_progress
    ) -> None:
        weights = [ensure(name, on_progress=on_progress) for name in (model_name, "mini-xception", "mtcnn")]
        self.device = choose_device(device)
        self._picture_net = load_efficientnet_lite0(weights[0].file).to(self.device)
        self._expression_net = load_mini_xception(weights[1].file).to(self.device)
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
        values = np.zeros((len(frames.images), self.dim), np.float32)
        mask = np.zeros(len(frames.images), np.bool_)
        faces = []
        self._finder.reset()  # an utterance's features must not depend on the one before
        for i, image in enumerate(frames.images):
            if (box := self._finder.main_face(image)) is not None:
                faces.append(cut_face(image, box))
                mask[i] = True
        values[mask] = self.encode(faces)
        return Features(values, frames.times, mask)

    @torch.inference_mode()
    def encode(self, faces: Sequence[NDArray[np.uint8]]) -> np.ndarray:
        """Encode faces that are already cut out, grey uint8 [48, 48]: float32 [faces, 1415]."""
        rows = [np.zeros((0, self.dim), np.float32)]
        for first in range(0, len(faces), _FACES_A_BATCH):
            some = faces[first : first + _FACES_A_BATCH]
            embedding, probabilities = self._expression_net((_resized(some, EXPRESSION_SIZE) * 2 - 1).to(self.device))
            colour = (_resized(some, IMAGE_SIZE) - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(
                IMAGENET_STD
            ).view(3, 1, 1)  # grey repeated over three channels: [faces, 3, 224, 224]
            picture = self._picture_net(colour.to(self.device))
            rows.append(torch.cat([picture, embedding, probabilities], dim=1).cpu().numpy())
        return np.concatenate(rows)


def _resized(faces: Sequence[NDArray[np.uint8]], size: int) -> Tensor:
    """Scale grey faces to [faces, 1, size, size] in [0, 1]."""
    scaled = [np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR)) for f in faces]
    return torch.from_numpy(np.stack(scaled)).unsqueeze(1).float() / 255
