"""Text that the user gives instead of speech recognition: plain text, SubRip (.srt) or WebVTT (.vtt).

Subtitles bring their own times. Plain sentences get theirs from the recogniser's words, by matching the two texts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from trisent.errors import UsageError
from trisent.i18n import t
from trisent.types import Utterance, Word

_CUE_TIMES = re.compile(r"((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_SENTENCE_BREAK = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\n+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A given sentence; `start` and `end` in seconds when the file says them."""

    text: str
    start: float | None = None
    end: float | None = None


def read_transcript(text: str) -> list[Sentence]:
    """Take `text` as the name of a file if there is one, else as the words themselves.

    Raises:
        UsageError: it looks like a file name but there is no such file, or the file is no UTF-8 text, or is empty.
    """
    path = Path(text)
    try:
        is_file = "\n" not in text and path.is_file()
    except OSError:  # too long for a file name
        is_file = False
    if is_file:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(t("{path}: cannot be read as UTF-8 text ({reason})", path=path, reason=error)) from error
    elif path.suffix.lower() in {".txt", ".srt", ".vtt"} and " " not in text.strip():
        raise UsageError(t("{path}: no such text file", path=path))
    sentences = _cues(text) if _CUE_TIMES.search(text) else [Sentence(s) for s in split_sentences(text)]
    if not sentences:
        raise UsageError(t("the given text is empty; leave out --text to have the speech recognised"))
    return sentences


def split_sentences(text: str) -> list[str]:
    """Cut plain text after its full stops and at line ends.

    >>> split_sentences("I like it. Really! No")
    ['I like it.', 'Really!', 'No']
    """
    return [s.strip() for s in _SENTENCE_BREAK.split(text) if s.strip()]


def _cues(text: str) -> list[Sentence]:
    cues = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        if times := _CUE_TIMES.search(block):
            words = " ".join(_MARKUP.sub("", block[times.end() :]).split("\n", 1)[-1].split())
            if words:
                cues.append(Sentence(words, _seconds(times[1]), _seconds(times[2])))
    return sorted(cues, key=lambda cue: cue.start or 0.0)


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total


def place(sentences: Sequence[Sentence], heard: Sequence[Word], duration_s: float) -> list[Utterance]:
    """Give every sentence its time.

    Sentences with times keep them. The others take the times of the recognised words they match; what lies between
    matches is spread by length. With nothing recognised, the whole duration is spread so.

    Args:
        sentences: what was given.
        heard: what was recognised, for its times; may be empty.
        duration_s: length of the video.
    """
    if all(s.start is not None and s.end is not None for s in sentences):
        timed = [(s.text, s.start or 0.0, min(s.end or 0.0, duration_s)) for s in sentences]
        return [
            Utterance(str(i), start, end, text, _spread(text.split(), start, end))
            for i, (text, start, end) in enumerate(s for s in timed if s[2] > s[1])
        ]
    given = [(i, word) for i, s in enumerate(sentences) for word in _tokens(s.text)]
    times = _match([word for _, word in given], heard, duration_s)
    placed = []
    for i, sentence in enumerate(sentences):
        words = tuple(Word(*span, word) for (j, word), span in zip(given, times, strict=True) if j == i)
        placed.append(Utterance(str(i), words[0].start, words[-1].end, sentence.text, words))
    return placed


def _tokens(text: str) -> list[str]:
    """Split into words; text without blanks (Chinese) into characters."""
    words = text.split()
    return words if len(words) > 1 or text.isascii() else list(text)


def _spread(words: Sequence[str], start: float, end: float) -> tuple[Word, ...]:
    """Share the time from `start` to `end` among words by their length."""
    total = sum(map(len, words)) or 1
    spread, at = [], start
    for word in words:
        until = at + (end - start) * len(word) / total
        spread.append(Word(at, until, word))
        at = until
    return tuple(spread)


def _match(words: Sequence[str], heard: Sequence[Word], duration_s: float) -> list[tuple[float, float]]:
    """Find the time of each given word: of its recognised twin, or spread between the nearest twins."""

    def plain(word: str) -> str:
        return re.sub(r"\W", "", word).lower()

    matcher = SequenceMatcher(None, [plain(w) for w in words], [plain(w.text) for w in heard], autojunk=False)
    times: list[tuple[float, float] | None] = [None] * len(words)
    for a, b, n in matcher.get_matching_blocks():
        for k in range(n):
            times[a + k] = (heard[b + k].start, heard[b + k].end)
    first, last = (heard[0].start, heard[-1].end) if heard else (0.0, duration_s)
    i = 0
    while i < len(words):
        if times[i] is None:
            j = next((k for k in range(i, len(words)) if times[k] is not None), len(words))
            before, after = times[i - 1] if i else None, times[j] if j < len(words) else None
            start, end = before[1] if before else min(first, after[0]) if after else first, after[0] if after else last
            for k, word in enumerate(_spread(words[i:j], start, max(start, end))):
                times[i + k] = (word.start, word.end)
            i = j
        i += 1
    return [span for span in times if span is not None]
