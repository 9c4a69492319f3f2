"""What precisions are compared on: a few seconds of the built-in sample."""

import json
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trisent.media.clips import Pictures, read_clips
from trisent.samples import TALK
from trisent.types import Clip, Floats, Utterance


def sentences() -> list[str]:
    """Return what is said in the sample."""
    document = json.loads(TALK.with_suffix(".json").read_text(encoding="utf-8"))
    return [sentence["text"] for sentence in document["sentences"]]


def speech() -> Floats:
    """Return two seconds of speech, mono 16 kHz."""
    waveform = _clip().waveform
    assert waveform is not None  # the sample has sound
    return waveform


def pictures() -> NDArray[np.uint8]:
    """Return two pictures of a face, RGB."""
    frames = _clip().frames
    assert frames is not None  # the sample has pictures
    return frames.images


@cache
def _clip() -> Clip:
    [decoded] = read_clips(TALK, [Utterance("sample", 1.0, 3.0)], pictures=Pictures(fps=1.0))
    return decoded
