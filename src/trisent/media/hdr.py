"""Pictures of high dynamic range (PQ: HDR10, HDR10+, Dolby Vision) as screens of ordinary range show them.

Taken as they are they look grey: a face has a third of its contrast. HLG, the other kind, is made to be shown as it is.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from trisent.types import Floats

_WHITE_NITS = 203.0  # what a sheet of white paper has in HDR (ITU-R BT.2408)
_GAMMA = 2.4  # of an ordinary screen (BT.1886)
# From the colours of BT.2020 to those of BT.709 (BT.2407): rows of red, green and blue.
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # fmt: skip


def from_pq(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Bring RGB uint16 [height, width, 3], PQ and BT.2020 to uint8, BT.709; what is brighter than paper is white."""
    linear = (_nits()[image] / _WHITE_NITS) @ _TO_709.T
    return (255 * linear.clip(0, 1) ** (1 / _GAMMA)).round().astype(np.uint8)


@cache
def _nits() -> Floats:
    """Return how bright each of the 65,536 values is (SMPTE ST 2084)."""
    root = np.linspace(0, 1, 1 << 16) ** (32 / 2523)
    power = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return np.asarray(10_000 * power ** (16384 / 2610), np.float32)
