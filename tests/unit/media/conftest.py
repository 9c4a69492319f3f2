"""Pictures with known contents, and weights that no network is asked for twice."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

SAMPLE = Path(__file__).parents[3] / "src" / "trisent" / "samples" / "talk.mp4"


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """Return the first picture of the sample clip, decoded by PyAV alone: one face, RGB [480, 480, 3]."""
    with av.open(str(SAMPLE)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")
