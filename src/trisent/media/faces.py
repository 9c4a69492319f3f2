"""The face that matters in a picture, cut out the way the expression network was trained to see faces."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trisent.media.mtcnn import Mtcnn
from trisent.types import Floats

SIZE = 48  # FER-2013 shows faces as 48 x 48 grey pixels
# Side of the square cut out, in longer sides of the detector's box: on FER-2013's own pictures the box is 1.04 of the
# picture (median of 262 faces of PublicTest), so this frames a face as FER-2013 does.
MARGIN = 1.0

_ELSEWHERE = 1.0  # in sides of the face: farther than a head moves from frame to frame
_PATIENCE = 2  # frames; at two a second, whoever is there for longer is the one to look at


@dataclass(slots=True)
class _Person:
    """Somebody in these pictures: where they were last, and in how many pictures."""

    box: Floats
    pictures: int = 0


class FaceFinder:
    """Find the main face: the largest at first, then the one that is where it was, however others lean forward.

    Whoever takes the place of a main face that is gone makes room again for one that was there longer and comes back.
    Keeps the boxes, so one finder is for pictures that follow each other; call `reset` before others.

    Args:
        folder: holds the detector's weights.
        every: search the whole picture every so many pictures; in between, look only where the face was, and search
            when it is not there.
    """

    def __init__(self, folder: Path, *, every: int = 4) -> None:
        self._detector, self._every = Mtcnn(folder), every
        self.reset()

    def reset(self) -> None:
        """Forget whose faces were where."""
        self._people = list[_Person]()
        self._main: _Person | None = None
        self._missed = self._followed = 0

    def main_face(self, image: NDArray[np.uint8]) -> Floats | None:
        """Return the box [x1, y1, x2, y2] in pixels of the main face of an RGB picture; None without it."""
        if self._main is not None and not self._missed and self._followed < self._every - 1:
            boxes, _ = self._detector.follow(image, self._main.box)
            if (box := _there(boxes, self._main.box)) is not None:
                self._followed += 1
                return self._seen(self._main, box)
        boxes, _ = self._detector.detect(image)
        self._followed = 0
        for person in sorted(self._people, key=lambda p: (p.pictures, p is self._main), reverse=True):
            if (box := _there(boxes, person.box)) is not None:
                return self._seen(person, box)
            if person is self._main and self._missed < _PATIENCE:
                break
        if len(boxes) == 0 or (self._main is not None and self._missed < _PATIENCE):
            # Somebody else, while the main face is turned away; or a cut, which lasts.
            self._missed += 1
            return None
        self._people.append(_Person(boxes[(boxes[:, 2:] - boxes[:, :2]).max(axis=1).argmax()]))
        return self._seen(self._people[-1], self._people[-1].box)

    def _seen(self, person: _Person, box: Floats) -> Floats:
        person.box, person.pictures = box, person.pictures + 1
        self._main, self._missed = person, 0
        return box


def _there(boxes: Floats, last: Floats) -> Floats | None:
    """Choose among boxes the one of a face that was in `last`; None when they are all elsewhere."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    moved = (boxes[:, :2] + boxes[:, 2:]) / 2 - (last[:2] + last[2:]) / 2
    away = np.linalg.norm(moved, axis=1) / np.maximum(sides, 1e-9)  # in its own sides
    # A second person of about the same size must not take over for single frames.
    fit = np.where(away <= _ELSEWHERE, sides / (1 + away), 0)
    return boxes[fit.argmax()] if fit.any() else None


def cut_face(image: NDArray[np.uint8], box: Floats) -> NDArray[np.uint8]:
    """Cut a square around `box` out of an RGB picture: grey uint8 [48, 48]. Black where it leaves the picture."""
    return _scaled(_square(image, box, MARGIN).convert("L"), SIZE)


def cut_face_in_colour(
    image: NDArray[np.uint8], box: Floats, *, size: int = 256, margin: float = 1.3
) -> NDArray[np.uint8]:
    """Cut a square around `box` out of an RGB picture for networks that were trained on photographs.

    Args:
        size: side of the result in pixels.
        margin: side of the square in longer sides of the box; 1.3 shows the hair and the chin.

    Returns:
        RGB uint8 [size, size, 3], black where the square leaves the picture.
    """
    return _scaled(_square(image, box, margin), size)


def _square(image: NDArray[np.uint8], box: Floats, margin: float) -> Image.Image:
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() / 2 * margin
    x1, y1 = (centre - half).round().astype(int)
    x2, y2 = (centre + half).round().astype(int)
    return Image.fromarray(image).crop((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)))


def _scaled(square: Image.Image, size: int) -> NDArray[np.uint8]:
    method = Image.Resampling.BOX if square.width > size else Image.Resampling.BILINEAR
    return np.asarray(square.resize((size, size), method))
