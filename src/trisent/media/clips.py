"""A video file to clips: who says what when, and the sound and pictures of each utterance.

The one path from media to extractors: training and prediction both come through here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trisent.i18n import t
from trisent.media.alignment import place
from trisent.media.decode import probe, read_frames, read_waveform
from trisent.media.speech import Recogniser, cut_waveform, has_speech, utterances_from_words, utterances_without_words
from trisent.media.transcripts import Sentence
from trisent.types import SAMPLE_RATE_HZ, Clip, Floats, Frames, Modality, Utterance

FRAMES_PER_S = 2.0  # expressions last 0.5 to 4 s (Ekman 2003)
MOST_FRAMES = 64  # of one utterance; a longer one is looked at less often, so that memory stays bounded


@dataclass(frozen=True, slots=True)
class Speech:
    """What was heard in a file: utterances in order of time, the sound, and what is missing, with the reason."""

    path: Path
    duration_s: float
    utterances: tuple[Utterance, ...]
    waveform: Floats | None
    has_video: bool
    missing: dict[Modality, str]


def listen(path: Path, recogniser: Callable[[], Recogniser], *, given: Sequence[Sentence] | None = None) -> Speech:
    """Decode the sound of a file and divide it into utterances.

    Args:
        path: anything FFmpeg reads.
        recogniser: called only when speech has to be recognised, so that its weights load only then.
        given: text that replaces the recognised words.

    Raises:
        MediaError: the file cannot be read, or is cut off.
    """
    info = probe(path)
    waveform = read_waveform(path)
    sound_s = 0.0 if waveform is None else len(waveform) / SAMPLE_RATE_HZ
    duration_s = sound_s if info.video is None else max(info.duration_s, sound_s)
    missing: dict[Modality, str] = {}
    if info.video is None:
        missing["video"] = t("no video stream")
    utterances: list[Utterance] = []
    if waveform is None:
        missing["audio"] = t("no audio stream")
        utterances = place(given, [], duration_s) if given else []
    elif not has_speech(waveform):
        # Silence, wind or music say nothing about the speaker.
        missing["audio"], waveform = t("no speech"), None
        utterances = place(given, [], duration_s) if given else []
    elif given and all(s.start is not None for s in given):
        utterances = place(given, [], duration_s)
    else:
        heard = recogniser().words(waveform)
        utterances = place(given, heard, duration_s) if given else utterances_from_words(heard)
    if not any(u.text for u in utterances):
        missing["text"] = missing.get("audio") or t("no words recognised")
        utterances = utterances_without_words(duration_s)
    utterances.sort(key=lambda u: u.start)
    return Speech(path, duration_s, tuple(utterances), waveform, info.video is not None, missing)


def read_clips(speech: Speech) -> Iterator[Clip]:
    """Add the pictures: yield the clips of a file in order, holding the frames of few utterances at a time.

    Raises:
        MediaError: the pictures cannot be read, or are cut off.
    """
    wanted = sorted((time, i) for i, u in enumerate(speech.utterances) for time in _frame_times(u))
    shown: dict[int, list[tuple[float, NDArray[np.uint8]]]] = defaultdict(list)
    done = 0
    frames = read_frames(speech.path, [time for time, _ in wanted]) if speech.has_video else iter(())
    waiting = iter(wanted)
    for time, image in frames:
        # The pictures may begin later than the sound, and end earlier.
        i = next(i for due, i in waiting if due == time)
        while speech.utterances[done].end < time:
            yield _clip(speech, done, shown.pop(done, []))
            done += 1
        shown[i].append((time, image))
    for i in range(done, len(speech.utterances)):
        yield _clip(speech, i, shown.pop(i, []))


def _frame_times(utterance: Utterance) -> list[float]:
    """Spread the frames of an utterance evenly, each in the middle of its stretch: seconds, ascending."""
    length_s = utterance.end - utterance.start
    n = int(np.clip(np.ceil(length_s * FRAMES_PER_S), 1, MOST_FRAMES))
    return [float(utterance.start + (k + 0.5) * length_s / n) for k in range(n)]


def _clip(speech: Speech, index: int, shown: Sequence[tuple[float, NDArray[np.uint8]]]) -> Clip:
    utterance = speech.utterances[index]
    frames = None
    if shown:
        frames = Frames(np.stack([image for _, image in shown]), np.array([time for time, _ in shown], np.float32))
    waveform = None if speech.waveform is None else cut_waveform(speech.waveform, utterance)
    return Clip(utterance, waveform, frames)
