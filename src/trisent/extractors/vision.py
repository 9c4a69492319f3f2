"""What the extractors that look at pictures share: which part of a frame is looked at, and batches of pictures."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.errors import UsageError
from trisent.extractors.runners import Runner
from trisent.i18n import t
from trisent.media.clips import Pictures
from trisent.media.faces import FaceFinder, cut_face_in_colour
from trisent.types import Features, Floats, Frames, OnProgress
from trisent.weights import ensure

Picture = NDArray[np.uint8]

_FACE_MARGIN = 1.3  # in longer sides of the detector's box: shows the hair and the chin
_PICTURES_A_BATCH, _PICTURES_ON_GPU = 16, 128


class Look:
    """Choose what is looked at in the frames of an utterance: "full" for all of each, "face" for the main face.

    Raises:
        UsageError: it is neither.
        WeightsError: the face detector cannot be had.
    """

    def __init__(self, frames: str, *, shorter_side: int, on_progress: OnProgress) -> None:
        if frames not in ("full", "face"):
            raise UsageError(
                t("{name} must be one of {allowed}, got {value!r}", name="frames", allowed="full, face", value=frames)
            )
        self._finder = FaceFinder(ensure("mtcnn", on_progress=on_progress).folder) if frames == "face" else None
        # Whole frames are wanted no larger than they are scaled to; faces as large as they can be had.
        self.pictures = Pictures() if self._finder else Pictures(longest_side=None, shorter_side=shorter_side)
        self._size = shorter_side
        self.words = f"main face, square of {_FACE_MARGIN} of its box" if self._finder else "whole frame"

    def __call__(self, frames: Frames) -> tuple[list[Picture], NDArray[np.bool_]]:
        """Return the pictures to encode, and for each frame whether there is one."""
        if self._finder is None:
            return list(frames.images), np.ones(len(frames.images), np.bool_)
        self._finder.reset()  # an utterance's features must not depend on the one before
        boxes = [self._finder.main_face(image) for image in frames.images]
        faces = [
            cut_face_in_colour(image, box, size=self._size, margin=_FACE_MARGIN)
            for image, box in zip(frames.images, boxes, strict=True)
            if box is not None
        ]
        return faces, np.array([box is not None for box in boxes], np.bool_)


def encode(
    run: Runner, pictures: Sequence[Picture], prepare: Callable[[Sequence[Picture]], tuple[Tensor, ...]], *, dim: int
) -> Floats:
    """Run pictures through a network in batches: float32 [pictures, dim].

    Args:
        run: the network.
        pictures: RGB or grey, uint8.
        prepare: turns some pictures into the network's inputs.
        dim: of its output.
    """
    size = _PICTURES_ON_GPU if run.device.type == "cuda" else _PICTURES_A_BATCH
    outputs = [run(*prepare(pictures[first : first + size])) for first in range(0, len(pictures), size)]
    return np.concatenate([np.zeros((0, dim), np.float32), *(output.cpu().numpy() for output in outputs)])


def features(values: Floats, frames: Frames, mask: NDArray[np.bool_]) -> Features:
    """Give each frame its row; rows of frames in which nothing was seen are zero and masked."""
    rows = np.zeros((len(mask), values.shape[1]), np.float32)
    rows[mask] = values
    return Features(rows, frames.times.astype(np.float32), mask)


def normalised(pictures: Sequence[Picture], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Stack uint8 pictures of one size and normalise them: float32 [n, 3, height, width], channels innermost."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return (stacked - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
