"""Who says what when in a file: its sound, heard in stretches of some minutes, becomes utterances."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trisent.i18n import t
from trisent.media.alignment import place
from trisent.media.probe import probe
from trisent.media.sound import stream_waveform
from trisent.media.speech import (
    Recogniser,
    has_speech,
    longest_pause,
    utterances_from_words,
    utterances_without_words,
)
from trisent.media.transcripts import Sentence
from trisent.types import SAMPLE_RATE_HZ, Floats, Modality, Utterance, Word

# Sound is heard from pause to pause, at most this much at once; the pause is looked for in the last minute of it.
STRETCH_S, _PAUSE_WITHIN_S = 600.0, 60.0


@dataclass(frozen=True, slots=True)
class Speech:
    """What was heard in a file: utterances in order of time, and what is missing, with the reason."""

    path: Path
    duration_s: float
    utterances: tuple[Utterance, ...]
    missing: dict[Modality, str]


def listen(path: Path, recogniser: Callable[[], Recogniser], *, given: Sequence[Sentence] | None = None) -> Speech:
    """Decode the sound of a file, with constant memory, and divide it into utterances.

    Args:
        path: anything FFmpeg reads.
        recogniser: called only when speech has to be recognised, so that its weights load only then.
        given: text that replaces the recognised words.

    Raises:
        MediaError: the file cannot be read, or is cut off.
        UsageError: the given subtitles all lie outside the file.
    """
    info = probe(path)
    needs_words = not (given and all(s.start is not None for s in given))
    sound_s, spoken, heard = 0.0, False, list[Word]()
    for waveform in _stretches(path):
        if (needs_words or not spoken) and has_speech(waveform):
            spoken = True
            if needs_words:
                heard += [_later(word, sound_s) for word in recogniser().words(waveform)]
        sound_s += len(waveform) / SAMPLE_RATE_HZ
    duration_s = sound_s if info.video is None else max(info.duration_s, sound_s)
    missing: dict[Modality, str] = {}
    if info.video is None:
        missing["video"] = t("no video stream")
    if info.audio is None:
        missing["audio"] = t("no audio stream")
    elif not spoken:
        # Silence, wind or music say nothing about the speaker.
        missing["audio"] = t("no speech")
    utterances = place(given, heard, duration_s) if given else utterances_from_words(heard)
    if not any(u.text for u in utterances):
        missing["text"] = missing.get("audio") or t("no words recognised")
        utterances = utterances_without_words(duration_s)
    utterances.sort(key=lambda u: u.start)
    return Speech(path, duration_s, tuple(utterances), missing)


def _stretches(path: Path) -> Iterator[Floats]:
    """Yield the sound of a file in stretches that end in pauses, the last as long as it may be."""
    pieces, n = list[Floats](), 0
    longest = round(STRETCH_S * SAMPLE_RATE_HZ)
    for piece in stream_waveform(path):
        pieces.append(piece)
        n += len(piece)
        while n > longest:
            waveform = np.concatenate(pieces)
            tail = longest - round(_PAUSE_WITHIN_S * SAMPLE_RATE_HZ)
            cut = tail + longest_pause(waveform[tail:longest])
            yield waveform[:cut]
            pieces, n = [waveform[cut:]], n - cut
    if pieces:
        yield np.concatenate(pieces)


def _later(word: Word, by_s: float) -> Word:
    return replace(word, start=word.start + by_s, end=word.end + by_s)
