"""The words of trisent as types: utterance, clip, features, prediction. Plain data, no behaviour to speak of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "video")

SENTIMENT_MIN, SENTIMENT_MAX = -3.0, 3.0
# The seven classes of CMU-MOSEI, index = round(sentiment) + 3.
CLASS_NAMES = (
    "strongly negative",
    "negative",
    "weakly negative",
    "neutral",
    "weakly positive",
    "positive",
    "strongly positive",
)

SAMPLE_RATE_HZ = 16_000

Floats = NDArray[np.float32]

# Called while something takes long: (what, done, total), in units of the caller's choice (bytes, utterances, steps).
# Of bytes, `what` is a name or "name: detail"; the detail changes meanwhile: the file, and the host it comes from.
OnProgress = Callable[[str, int, int], None]


def no_progress(what: str, done: int, total: int) -> None:
    """Ignore progress: the default of every `on_progress`."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word; `start` and `end` in seconds from the beginning of the video."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of a video that gets one judgement; times in seconds from the beginning of the video."""

    id: str
    start: float
    end: float
    text: str = ""
    words: tuple[Word, ...] = ()
    sentiment: float | None = None


@dataclass(frozen=True, slots=True)
class Frames:
    """Pictures with the times they are shown: `images` uint8 [n, height, width, 3] RGB, `times` [n] seconds."""

    images: NDArray[np.uint8]
    times: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Clip:
    """An utterance decoded: `waveform` float32 mono 16 kHz or None, `frames` or None when the video has none."""

    utterance: Utterance
    waveform: Floats | None
    frames: Frames | None

    def raw(self, modality: Modality) -> "str | tuple[Word, ...] | Floats | Frames | None":
        """Return what an extractor of `modality` takes; None when the clip has none of it.

        Times count from the beginning of the utterance, as in a waveform: hours into a video float32 is too coarse.
        """
        if modality == "audio":
            return self.waveform
        start = self.utterance.start
        if modality == "text":
            words = tuple(Word(w.start - start, w.end - start, w.text) for w in self.utterance.words)
            return (words or self.utterance.text.strip()) or None
        return self.frames and Frames(self.frames.images, self.frames.times - start)


@dataclass(frozen=True, slots=True)
class Features:
    """One modality of one utterance: `values` [steps, dim], `times` [steps] seconds, `mask` [steps].

    A step that could not be seen (no face in the frame) keeps its place and is False in `mask`.
    """

    values: Floats
    times: Floats
    mask: NDArray[np.bool_]

    def pooled(self) -> Floats | None:
        """Average the visible steps to one row [dim]; None when nothing was visible."""
        if not self.mask.any():
            return None
        mean: Floats = self.values[self.mask].mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def as_one_step(self) -> "Features":
        """Average the visible steps to one whose time nobody knows; none when nothing was visible."""
        mean = self.pooled()
        if mean is None:
            return Features(self.values[:0], self.times[:0], self.mask[:0])
        return Features(mean[None], np.full(1, np.nan, np.float32), np.ones(1, np.bool_))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where features come from: enough to know whether two sets of them may be mixed.

    `digest` is the sha256 of the weights, `layers` the encoder layers returned, `preprocessing` a sentence. Of stored
    features, `fps` is how many frames were looked at in a second, and `rate_hz` the steps a second into which they were
    averaged; None leaves both to the extractor.
    """

    extractor: str
    weights: str
    digest: str
    layers: tuple[int, ...]
    preprocessing: str
    fps: float | None = None
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the fusion model says of one utterance.

    `sentiment` in [-3, 3]; `class_probabilities` [7]; for each modality that was there, `alone` is the sentiment
    judged from it alone, and `contributions` its share: they sum to `sentiment - baseline`.
    """

    sentiment: float
    class_probabilities: tuple[float, ...]
    alone: dict[Modality, float]
    contributions: dict[Modality, float]
    baseline: float

    @property
    def class_index(self) -> int:
        """Index 0..6 of the most probable class."""
        return int(np.argmax(self.class_probabilities))


@dataclass(frozen=True, slots=True)
class Prediction:
    """An utterance with its judgement; `missing` says why a modality could not be judged."""

    utterance: Utterance
    judgement: Judgement
    missing: dict[Modality, str] = field(default_factory=dict)
    key_frame: bytes | None = field(default=None, repr=False)  # JPEG


@dataclass(frozen=True, slots=True)
class VideoPrediction:
    """All predictions of one file; `missing` holds what the whole file lacked."""

    path: Path
    duration_s: float
    predictions: tuple[Prediction, ...]
    missing: dict[Modality, str] = field(default_factory=dict)
