"""Pictures with known contents, and weights that no network is asked for twice."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media_files import Picture
from trisent.media.clips import read_clips
from trisent.types import Utterance

SAMPLE = Path(__file__).parents[3] / "src" / "trisent" / "samples" / "talk.mp4"


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """Return the first picture of the sample clip, decoded by PyAV alone: one face, RGB [480, 480, 3]."""
    with av.open(str(SAMPLE)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def read_frames(path: Path, times: Sequence[float]) -> Iterator[tuple[float, Picture]]:
    """Read single pictures: of an utterance at each time, as long as a moment; ascending, where there is one."""
    moments = [Utterance(str(k), time, time) for k, time in enumerate(times)]
    for clip in read_clips(path, moments, sound=False):
        if clip.frames is not None:
            yield clip.utterance.start, clip.frames.images[0]
