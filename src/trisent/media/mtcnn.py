"""MTCNN (Zhang et al. 2016), the three-stage face detector, on the weights that facenet-pytorch publishes.

Takes one RGB picture, returns boxes. Which face matters, and what becomes of it, is decided in `faces.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from trisent.types import Floats

# thresholds and pyramid factor of the original implementation
_THRESHOLDS = (0.6, 0.7, 0.7)
_PYRAMID_FACTOR = 0.709
_THREADS = Lock()  # the number of threads belongs to the process
_CELL, _STRIDE = 12, 2  # the first net sees 12 x 12 pixels every 2 pixels
# Where a face that was in a box may have moved to: by parts of its side, and how much larger it may be.
_MOVES = [(x, y, 1.0) for x in (-0.3, 0.0, 0.3) for y in (-0.3, 0.0, 0.3)] + [(0.0, 0.0, 0.75), (0.0, 0.0, 1.35)]
_NO_BOXES = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)


class _Proposal(nn.Module):
    """Slides over a picture of any size: box offsets [n, 4, h, w], face probability [n, h, w]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_2(x), self.conv4_1(x).softmax(dim=1)[:, 1]


class _Refinement(nn.Module):
    """Judges crops [n, 3, 24, 24]: box offsets [n, 4], face probability [n]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x)).permute(0, 3, 2, 1).flatten(1)  # the weights expect [width, height, channel]
        x = self.prelu4(self.dense4(x))
        return self.dense5_2(x), self.dense5_1(x).softmax(dim=1)[:, 1]


class _Output(nn.Module):
    """Judges crops [n, 3, 48, 48]: box offsets [n, 4], face probability [n]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)  # five landmarks; kept so that the file loads strictly

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu5(self.dense5(x))
        return self.dense6_2(x), self.dense6_1(x).softmax(dim=1)[:, 1]


def _suppress(boxes: Floats, scores: Floats, *, overlap: float, by_smaller: bool = False) -> NDArray[np.int64]:
    """Keep the best of overlapping boxes [n, 4]; the overlap is over the union, or over the smaller box."""
    order, keep = scores.argsort()[::-1], []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        whole = np.minimum(areas[best], areas[rest]) if by_smaller else areas[best] + areas[rest] - shared
        order = rest[shared / np.maximum(whole, 1e-9) <= overlap]
    return np.array(keep, dtype=np.int64)


def _shift(boxes: Floats, offsets: Floats) -> Floats:
    """Move the corners of boxes [n, 4] by offsets [n, 4], given in widths and heights."""
    size = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + offsets * np.concatenate([size, size], axis=1)
    return moved


def _square(boxes: Floats) -> Floats:
    """Grow boxes [n, 4] to squares about the same centre."""
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)


def _crop(picture: Tensor, boxes: Floats, size: int) -> Tensor:
    """Cut boxes [n, 4] out of picture [1, 3, h, w], cut off at its border: [n, 3, size, size]."""
    height, width = picture.shape[-2:]
    crops = []
    for x1, y1, x2, y2 in boxes.round().astype(int):
        x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
        part = picture[:, :, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
        crops.append(F.interpolate(part, (size, size), mode="area"))
    return torch.cat(crops)


class Mtcnn:
    """Find faces.

    Args:
        folder: holds pnet.pt, rnet.pt and onet.pt.
        smallest_face: side of the smallest face looked for, as a part of the picture's shorter side.
    """

    def __init__(self, folder: Path, *, smallest_face: float = 0.1) -> None:
        self._smallest_face = smallest_face
        self._proposal, self._refinement, self._output = _Proposal(), _Refinement(), _Output()
        for net, name in ((self._proposal, "pnet"), (self._refinement, "rnet"), (self._output, "onet")):
            net.load_state_dict(torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True), strict=True)
            net.eval()

    def detect(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Find the faces in an RGB picture uint8 [h, w, 3].

        Returns:
            Boxes [n, 4] as x1, y1, x2, y2 in pixels, and their probabilities [n], best first.
        """
        with _one_thread(), torch.inference_mode():
            return self._detect(image)

    def follow(self, image: NDArray[np.uint8], box: Floats) -> tuple[Floats, Floats]:
        """Find the face that was in `box` a moment ago: look only there and nearby, for a fraction of the work.

        Returns:
            As `detect`; no box when there is no face any more.
        """
        centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
        near = [(centre + np.array([x, y]) * side, side * size / 2) for x, y, size in _MOVES]
        boxes = np.array([[*(middle - half), *(middle + half)] for middle, half in near], np.float32)
        # The rest of the picture need not be converted; twice as far, because boxes move.
        corner = np.clip(centre - 2 * side, 0, None).astype(int)
        part = image[corner[1] : int(centre[1] + 2 * side) + 1, corner[0] : int(centre[0] + 2 * side) + 1]
        if part.size == 0:
            return _NO_BOXES
        shift = np.tile(corner, 2).astype(np.float32)
        with _one_thread(), torch.inference_mode():
            found, scores = self._judge(_to_tensor(part), boxes - shift)
        return found + shift, scores

    def _detect(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        picture = _to_tensor(image)
        return self._judge(picture, self._propose(picture))

    def _judge(self, picture: Tensor, boxes: Floats) -> tuple[Floats, Floats]:
        """Let the second and the third net look at candidate boxes [n, 4]: boxes and probabilities, best first."""
        for net, size, threshold in ((self._refinement, 24, _THRESHOLDS[1]), (self._output, 48, _THRESHOLDS[2])):
            if len(boxes) == 0:
                break
            square = _square(boxes)
            offsets, scores = (x.numpy() for x in net(_crop(picture, square, size)))
            sure = scores > threshold
            boxes, scores = _shift(square[sure], offsets[sure]), scores[sure]
            kept = _suppress(boxes, scores, overlap=0.7, by_smaller=net is self._output)
            boxes, scores = boxes[kept], scores[kept]
        else:
            return boxes, scores
        return _NO_BOXES

    def _propose(self, picture: Tensor) -> Floats:
        """Slide the first net over a pyramid of the picture: candidate boxes [n, 4]."""
        shorter = min(picture.shape[-2:])
        found: list[tuple[Floats, Floats]] = []
        for scale in _pyramid(shorter, max(_CELL, self._smallest_face * shorter)):
            size = [max(_CELL, int(side * scale + 1)) for side in picture.shape[-2:]]
            offsets, scores = self._proposal(F.interpolate(picture, size, mode="area"))  # [1, 4, h, w], [1, h, w]
            y, x = (scores[0] > _THRESHOLDS[0]).nonzero(as_tuple=True)
            corner = torch.stack([x, y], dim=1).numpy() * float(_STRIDE)
            boxes = (np.concatenate([corner, corner + _CELL], axis=1) / scale).astype(np.float32)
            likely = scores[0, y, x].numpy()
            kept = _suppress(boxes, likely, overlap=0.5)
            found.append((_shift(boxes[kept], offsets[0, :, y, x].numpy().T[kept]), likely[kept]))
        if not found:
            return np.zeros((0, 4), np.float32)
        boxes, scores_all = np.concatenate([b for b, _ in found]), np.concatenate([s for _, s in found])
        return boxes[_suppress(boxes, scores_all, overlap=0.7)]


def _to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Bring an RGB picture to [1, 3, h, w] in [-1, 1]."""
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() - 127.5) / 128


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one core: waiting for a second one at every little layer costs 40 times the work on a busy machine."""
    with _THREADS:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _pyramid(shorter: int, smallest: float) -> Sequence[float]:
    """List the scales at which a face of `smallest` pixels and every larger one becomes 12 pixels."""
    scales, scale = [], _CELL / smallest
    while shorter * scale >= _CELL:
        scales.append(scale)
        scale *= _PYRAMID_FACTOR
    return scales
