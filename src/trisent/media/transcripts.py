"""Text that the user gives instead of speech recognition: plain text, SubRip (.srt) or WebVTT (.vtt).

Subtitles bring their own times. Plain sentences get theirs from the recogniser's words: see `alignment.py`.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from trisent.errors import UsageError
from trisent.i18n import system_reason, t
from trisent.media.speech import ends_sentence

_STAMP = r"((?:\d+:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?)"
_CUE_TIMES = re.compile(rf"^[ \t]*{_STAMP}[ \t]*-->[ \t]*{_STAMP}.*$", re.MULTILINE)
_MARKUP = re.compile(r"</?[a-zA-Z][^>]*>|<\d[\d:.,]*>|\{\\[^}]*\}")
_BREAK = re.compile(r"(?<=[.!?…])[\"')\]”’]*\s+|(?<=[。！？])(?![」』”’])\s*|(?<=[。！？][」』”’])\s*")
_TEXT_FILES = {".txt", ".srt", ".vtt", ".ass", ".ssa", ".lrc", ".sbv", ".md", ".json", ".csv", ".doc", ".docx", ".pdf"}
_OTHER_SUBTITLES = {".ass", ".ssa", ".lrc", ".sbv"}  # their times and styles would pass for words
_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd\ue000-\uf8ff]")
_ROLLING_S = 0.05  # a cue that goes on within this time of the one before may repeat its last line


@dataclass(frozen=True, slots=True)
class Sentence:
    """A given sentence; `start` and `end` in seconds when the file says them."""

    text: str
    start: float | None = None
    end: float | None = None


def read_transcript(text: str) -> list[Sentence]:
    """Take `text` as the name of a file if there is one, else as the words themselves.

    Raises:
        UsageError: it looks like a file name but there is no such file, or the file is no text, or is empty.
    """
    path = Path(text.strip())
    try:
        is_file = "\n" not in text and path.is_file()
    except (OSError, ValueError):  # too long for a file name
        is_file = False
    if is_file:
        if path.suffix.lower() in _OTHER_SUBTITLES:
            raise UsageError(t("{path}: expected .txt, .srt or .vtt; save the subtitles as .srt", path=path))
        text = _read(path)
    elif _looks_like_a_path(text):
        raise UsageError(t("{path}: no such text file", path=path))
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    is_subtitles = _CUE_TIMES.search(text) or text.startswith("WEBVTT")
    sentences = _cues(text) if is_subtitles else [Sentence(s) for s in split_sentences(text)]
    if not sentences:
        raise UsageError(t("the given text is empty; leave out --text to have the speech recognised"))
    return sentences


def _looks_like_a_path(text: str) -> bool:
    text = text.strip()
    if "\n" in text:
        return False
    return Path(text).suffix.lower() in _TEXT_FILES or (bool(re.search(r"[/\\]", text)) and not re.search(r"\s", text))


def _read(path: Path) -> str:
    """Read a text file as UTF-8, as UTF-16 if it says so, or else as GB 18030 if that gives Chinese.

    Raises:
        UsageError: it is none of them, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(t("{path}: cannot be opened ({reason})", path=path, reason=system_reason(error))) from error
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        text = data.decode("gb18030", errors="replace")
        if encoding == "utf-16" or not _CJK.search(text) or _BINARY.search(text):
            message = "{path}: is no UTF-8 text ({reason}); save it as UTF-8"
            raise UsageError(t(message, path=path, reason=error)) from error
    if "\0" in text:
        raise UsageError(t("{path}: is no UTF-8 text ({reason}); save it as UTF-8", path=path, reason="NUL"))
    return text


def split_sentences(text: str) -> list[str]:
    """Cut plain text after its full stops and at line ends.

    >>> split_sentences("I like it. Really! Dr. No")
    ['I like it.', 'Really!', 'Dr. No']
    """
    sentences: list[str] = []
    for line in text.splitlines():
        begun, at = "", 0
        for found in [*_BREAK.finditer(line), None]:
            until = found.end() if found else len(line)
            begun += line[at:until]
            at = until
            if begun.strip() and (found is None or ends_sentence(begun.split()[-1])):
                sentences.append(begun.strip())
                begun = ""
    return sentences


def _cues(text: str) -> list[Sentence]:
    """Read the cues of SubRip or WebVTT in order of time; blank lines between them may be missing."""
    found = list(_CUE_TIMES.finditer(text))
    cues, last_line = list[Sentence](), ""
    for times, following in zip(found, [*found[1:], None], strict=False):
        blocks = re.split(r"\n[ \t]*\n", text[times.end() : following.start() if following else None].lstrip(" \t\n"))
        lines = [words for line in blocks[0].split("\n") if (words := _words(line))]
        if following and len(blocks) == 1 and lines and lines[-1].isdecimal():
            lines.pop()  # the number of the next cue, without a blank line before it
        start, end = _seconds(times[1]), _seconds(times[2])
        # Captions that roll up show the line before once more.
        rolls = bool(cues) and abs(start - (cues[-1].end or 0.0)) <= _ROLLING_S
        if rolls and lines and lines[0] == last_line and (len(lines) > 1 or end - start <= _ROLLING_S):
            lines = lines[1:]
        if lines:
            last_line = lines[-1]
            cues.append(Sentence(" ".join(lines), start, end))
        elif rolls:
            cues[-1] = Sentence(cues[-1].text, cues[-1].start, end)
    return sorted(cues, key=lambda cue: cue.start or 0.0)


def _words(line: str) -> str:
    return " ".join(html.unescape(_MARKUP.sub("", line)).split())


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total
