"""Speech to utterances: voice detection and recognition (faster-whisper), then words to sentences.

The recogniser is Whisper tiny.en: English only. Text that the user gives replaces its words (`transcripts.py`).
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trisent.types import SAMPLE_RATE_HZ, Floats, Utterance, Word

_SENTENCE_END = re.compile(r"[.!?。！？…][\"')\]”’」』]*$")
_ABBREVIATION = re.compile(r"^(?:mr|mrs|ms|dr|st|vs|etc|e\.g|i\.e|[a-z])\.$", re.IGNORECASE)
PAUSE_S = 1.0  # a silence this long ends an utterance even without a full stop
LONGEST_S = 20.0  # MOSEI's utterances are 7 s on average, 99 % are under 30 s
# Whisper's own threshold of its mean log-probability, and how well its text may compress: 2.4 in the original, but
# somebody who says a thing three times in half a minute reaches 2.3, and a loop goes far beyond 3.
_UNSURE, _REPEATS = -1.0, 3.0
# Speech is recognised from silence to silence, at most 30 s at once: cut inside a word, Whisper tiny loses the thread
# for the next half minute. The padding keeps soft beginnings; with 0.4 s "In short," went missing.
_SILENCE_MS, _PADDING_MS, _PIECE_S, _PIECES_A_BATCH = 1000, 800, 30, 4
_BREATH_MS = 200  # between sentences nobody is silent for shorter
WINDOW_S = 10.0  # without speech, a video is judged in stretches of about this length


def has_speech(waveform: Floats) -> bool:
    """Say whether anybody speaks in float32 mono 16 kHz; needs no weights but those inside faster-whisper."""
    return bool(_voiced(waveform))


def longest_pause(waveform: Floats) -> int:
    """Return the sample in the middle of the longest time in which nobody speaks; the last if there is none."""
    edges = [edge for span in _voiced(waveform, least_silence_ms=_BREATH_MS) for edge in span]
    pauses = list(zip(edges[1:-1:2], edges[2:-1:2], strict=True))
    # At the edges the detector is unsure.
    around = [0, *edges[:1], *edges[-1:], len(waveform)]
    pauses = pauses or list(zip(around[::2], around[1::2], strict=True))
    start, end = max(pauses, key=lambda pause: pause[1] - pause[0])
    return (start + end) // 2 if end > start else len(waveform)


def _voiced(waveform: Floats, *, least_silence_ms: int = 2000) -> list[tuple[int, int]]:
    """Return the stretches in which somebody speaks: first sample, end."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if len(waveform) == 0:
        return []
    options = VadOptions(speech_pad_ms=0, min_silence_duration_ms=least_silence_ms)
    return [(int(span["start"]), int(span["end"])) for span in get_speech_timestamps(waveform, options)]


class Recogniser:
    """Hear English words with their times; the weights stay loaded between calls."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        model = WhisperModel(str(folder), device="cpu", compute_type="float32")
        self._pipeline: Any = BatchedInferencePipeline(model)  # faster-whisper has no types

    def words(self, waveform: Floats) -> list[Word]:
        """Recognise the words of float32 mono 16 kHz, times in seconds; silence and noise give none.

        Returns:
            Words in order of time, none ending before it begins or after the sound.
        """
        segments, _ = self._pipeline.transcribe(
            waveform,
            language="en",
            batch_size=_PIECES_A_BATCH,
            vad_filter=True,
            vad_parameters={
                "min_silence_duration_ms": _SILENCE_MS,
                "speech_pad_ms": _PADDING_MS,
                "max_speech_duration_s": _PIECE_S,
            },
            word_timestamps=True,
            temperature=0.0,  # only one: the fallback to sampling would give other words at every run
        )
        words: list[Word] = []
        at, end_s, begins = (
            0.0,
            len(waveform) / SAMPLE_RATE_HZ,
            [start / SAMPLE_RATE_HZ for start, _ in _voiced(waveform)],
        )
        for segment in segments:
            # Whisper puts words into music and noise that pass for speech: it is unsure of them, or repeats itself.
            if segment.avg_logprob < _UNSURE or segment.compression_ratio > _REPEATS:
                continue
            for word in segment.words or ():
                # Whisper lets the first word begin with the padding before it.
                late = [b for b in begins if word.start < b < word.end]
                start = min(max(at, float(word.start), *late[:1]), end_s)
                at = min(max(start, float(word.end)), end_s)
                words.append(Word(start, at, word.word.strip()))
        return words


def utterances_from_words(words: Sequence[Word]) -> list[Utterance]:
    """Group words into sentences: at a full stop, at a pause of a second, at the latest after 20 s.

    >>> utterances_from_words([Word(0, 1, "Good."), Word(1, 2, "Bad!")])[1].text
    'Bad!'
    """
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1] if groups else None
        starts_new = (
            last is None
            or ends_sentence(last[-1].text)
            or word.start - last[-1].end >= PAUSE_S
            or word.end - last[0].start > LONGEST_S
        )
        if starts_new:
            groups.append([word])
        elif last is not None:
            last.append(word)
    return [
        Utterance(str(i), group[0].start, group[-1].end, " ".join(w.text for w in group), tuple(group))
        for i, group in enumerate(groups)
    ]


def ends_sentence(word: str) -> bool:
    """Say whether a sentence may end with `word`: "good." does, "Dr." does not."""
    return bool(_SENTENCE_END.search(word)) and not _ABBREVIATION.match(word)


def utterances_without_words(duration_s: float) -> list[Utterance]:
    """Divide a video in which nobody speaks into equal stretches of at most 10 s."""
    n = max(1, int(np.ceil(duration_s / WINDOW_S - 1e-6)))
    edges = np.linspace(0.0, duration_s, n + 1)
    return [Utterance(str(i), a, b) for i, (a, b) in enumerate(pairwise(edges.tolist()))]
