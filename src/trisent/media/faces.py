"""The face that matters in a picture, cut out the way the expression network was trained to see faces."""

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


class FaceFinder:
    """Find the main face: the largest at first, then the one that is where it was.

    Keeps the last box, so one finder follows one person; call `reset` before other pictures.
    """

    def __init__(self, folder: Path) -> None:
        self._detector = Mtcnn(folder)
        self._last: Floats | None = None
        self._missed = 0

    def reset(self) -> None:
        """Forget where the face was."""
        self._last, self._missed = None, 0

    def main_face(self, image: NDArray[np.uint8]) -> Floats | None:
        """Return the box [x1, y1, x2, y2] in pixels of the main face of an RGB picture; None without it."""
        boxes, _ = self._detector.detect(image)
        if len(boxes) == 0:
            self._missed += 1
            return None
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        weight, away = sides, np.zeros(len(boxes))
        if self._last is not None:
            # A second person of about the same size must not take over for single frames.
            moved = (boxes[:, :2] + boxes[:, 2:]) / 2 - (self._last[:2] + self._last[2:]) / 2
            away = np.linalg.norm(moved, axis=1) / sides
            weight = sides / (1 + away)
        best = int(weight.argmax())
        if away[best] > _ELSEWHERE and self._missed < _PATIENCE:
            # Somebody else, while the main face is turned away; or a cut, which lasts.
            self._missed += 1
            return None
        self._last, self._missed = boxes[best], 0
        return self._last


def cut_face(image: NDArray[np.uint8], box: Floats) -> NDArray[np.uint8]:
    """Cut a square around `box` out of an RGB picture: grey uint8 [48, 48]. Black where it leaves the picture."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() / 2 * MARGIN
    x1, y1 = (centre - half).round().astype(int)
    x2, y2 = (centre + half).round().astype(int)
    square = Image.fromarray(image).crop((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)))
    return np.asarray(
        square.convert("L").resize((SIZE, SIZE), Image.Resampling.BOX if x2 - x1 > SIZE else Image.Resampling.BILINEAR)
    )
