"""When given sentences are said: by their own times, by the recognised words they match, or spread by length."""

import logging
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from trisent.errors import UsageError
from trisent.i18n import t
from trisent.media.transcripts import Sentence
from trisent.types import Utterance, Word

_log = logging.getLogger(__name__)

_Span = tuple[float, float]
_LEAST_S = 0.02  # a character; less time than this for words that were not recognised is taken from their neighbours


def place(sentences: Sequence[Sentence], heard: Sequence[Word], duration_s: float) -> list[Utterance]:
    """Give every sentence its time.

    Sentences with times keep them; what lies beyond the end of the video is left out, and told. The others take the
    times of the recognised words they match; what lies between matches is spread by length. With nothing recognised,
    the whole duration is spread so.

    Args:
        sentences: what was given.
        heard: what was recognised, for its times; may be empty.
        duration_s: length of the video.

    Raises:
        UsageError: all sentences have times, and none lies within the video.

    >>> [u.end for u in place([Sentence("Good."), Sentence("Bad?!")], [], 2.0)]
    [1.0, 2.0]
    """
    if all(s.start is not None and s.end is not None for s in sentences):
        timed = [(s.text, s.start or 0.0, min(s.end or 0.0, duration_s)) for s in sentences]
        inside = [s for s in timed if s[2] > s[1]]
        _tell_of_others(len(timed), len(inside), duration_s)
        return [
            Utterance(str(i), start, end, text, _spread(_tokens(text), start, end))
            for i, (text, start, end) in enumerate(inside)
        ]
    tokens = [_tokens(s.text) for s in sentences]
    times = iter(_match([word for words in tokens for word in words], heard, duration_s))
    placed = []
    for i, (sentence, given) in enumerate(zip(sentences, tokens, strict=True)):
        words = tuple(Word(*next(times), word) for word in given)
        placed.append(Utterance(str(i), words[0].start, words[-1].end, sentence.text, words))
    return placed


def _tell_of_others(given: int, inside: int, duration_s: float) -> None:
    """Say how many subtitles have no time within the video; those of another video have none at all."""
    if inside == given:
        return
    facts = {"count": given - inside, "n": given, "duration": f"{duration_s:.1f}"}
    if not inside:
        message = "none of the {n} subtitles has a time within the {duration} s of the file; do they belong to it?"
        raise UsageError(t(message, **facts))
    message = "{count} of {n} subtitles are left out: they begin after the end ({duration} s), or have no length"
    _log.warning("%s", t(message, **facts))


def _tokens(text: str) -> list[str]:
    """Split into words; text without blanks (Chinese) into characters."""
    words = text.split()
    return words if len(words) > 1 or text.isascii() else list(text)


def _spread(words: Sequence[str], start: float, end: float) -> tuple[Word, ...]:
    """Share the time from `start` to `end` among words by their length."""
    total, length_s = sum(map(len, words)) or 1, end - start
    spread, before = [], 0
    for word in words:
        after = before + len(word)
        spread.append(Word(start + length_s * before / total, start + length_s * after / total, word))
        before = after
    return tuple(spread)


def _match(words: Sequence[str], heard: Sequence[Word], duration_s: float) -> list[_Span]:
    """Find the time of each given word: of its recognised twin, or spread between the nearest twins."""
    if not heard:
        return [(word.start, word.end) for word in _spread(words, 0.0, duration_s)]
    times = _twins(words, heard)
    first, last, n = heard[0].start, max(word.end for word in heard), len(words)

    def around(i: int, j: int) -> _Span:
        return (times[i - 1] or (first, first))[1] if i else first, (times[j] or (last, last))[0] if j < n else last

    i = 0
    while i < n:
        if times[i] is not None:
            i += 1
            continue
        j = _next_timed(times, i)
        start, end = around(i, j)
        # With no pause to put them in, they share the time of the words around them.
        while end - start < _LEAST_S * sum(map(len, words[i:j])) and (i > 0 or j < n):
            i, j = max(i - 1, 0), _next_timed(times, j + 1)
            start, end = around(i, j)
        times[i:j] = [(word.start, word.end) for word in _spread(words[i:j], start, max(start, end))]
        i = j
    return _in_order(times)


def _twins(words: Sequence[str], heard: Sequence[Word]) -> list[_Span | None]:
    """Take the time of the recognised word for each given word that is the same, in the same order."""
    matcher = SequenceMatcher(None, [_plain(w) for w in words], [_plain(w.text) for w in heard], autojunk=False)
    times: list[_Span | None] = [None] * len(words)
    for a, b, n in matcher.get_matching_blocks():
        for k in range(n):
            if _plain(words[a + k]):  # a dash is no twin of a dash
                times[a + k] = (heard[b + k].start, heard[b + k].end)
    return times


def _next_timed(times: Sequence[_Span | None], i: int) -> int:
    return next((k for k in range(i, len(times)) if times[k] is not None), len(times))


def _in_order(times: Sequence[_Span | None]) -> list[_Span]:
    """Let no word begin before the one before it has ended: recognised words may overlap a little."""
    spans, at = list[_Span](), 0.0
    for span in times:
        start, end = span or (at, at)
        start = max(at, start)
        at = max(start, end)
        spans.append((start, at))
    return spans


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()
