"""What tables say of videos: the field's label.csv beside Raw/, and a list of stretches of long videos."""

import logging
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from trisent.features.folders import by_nature, fault_of, is_media, media_rank
from trisent.features.tables import Line, Table, read_table
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")

LABELS, RAW = "label.csv", "raw"
_COMMON = {
    "text": ("text", "transcript"),
    "label": ("label", "sentiment"),
    "split": ("split", "mode"),
}
_LABEL_WORDS = {"video": ("video_id",), "clip": ("clip_id",), **_COMMON}
_STRETCH_WORDS = {
    "path": ("path", "file", "video", "video_path", "file_path", "filename"),
    "start": ("start", "begin", "start_time"),
    "end": ("end", "stop", "end_time"),
    "id": ("id", "utterance_id"),
    **_COMMON,
}
SPLIT_NAMES = {  # as people write them, in lower case
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "dev": "valid",
    "validation": "valid",
    "test": "test",
}
_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance as a table has it; `fault` says why it cannot be used. "" as `id`: it gets one from its file."""

    where: str
    id: str
    start: float = 0.0
    end: float = math.inf
    text: str = ""
    label: float | None = None
    split: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A file before it has an id: `names` are candidates for it, the better first; `rows` None: to be listened to.

    Without `media` there is no file, `path` is the name of a video, and all there is are the texts of the rows.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[Row, ...] | None = None
    media: bool = True


def labelled_clips(table_path: Path, raw: Path) -> list[Draft]:
    """Read label.csv (video_id, clip_id, text, label, mode) and find the clips, Raw/{video_id}/{clip_id}.mp4.

    The suffix may be any of a video; 1 is found as 0001, since spreadsheets take the zeros away.

    Raises:
        DataError: the table is unusable as a whole.
    """
    table = read_table(table_path, _LABEL_WORDS, required=("video", "clip"))
    _warn_of_no_text(table)
    clips = {folder.name: _stems(folder) for folder in raw.iterdir() if folder.is_dir()}
    drafts, used = [], set()
    for line in table.lines:
        video, clip = line.cells["video"], line.cells["clip"]
        row = _row(table, line, f"{video}$_${clip}")
        path = (_numbered(_numbered(clips, video) or {}, clip) or [raw / video / f"{clip}.mp4"])[0]
        used.add(path)
        if not (video and clip):
            row = replace(row, fault=_fault(table, line, "clip" if video else "video", t("a name"), ""))
        elif not row.fault and (reason := fault_of(path)):
            message = "{table}, line {line}: expected the clip {path}, got {reason}"
            row = replace(row, fault=t(message, table=table.path, line=line.number, path=path, reason=reason))
        drafts.append(Draft(path, (row.id,), (row,)))
    unlabelled = [
        path for stems in clips.values() for paths in stems.values() for path in paths[:1] if path not in used
    ]
    if unlabelled:
        message = "{table}: clips in {raw} without a row are left out: {count}, such as {path}"
        _log.warning(
            "%s", t(message, table=table.path, count=len(unlabelled), raw=raw, path=min(unlabelled, key=by_nature))
        )
    return drafts


def _stems(folder: Path) -> dict[str, list[Path]]:
    """Group the media files of a folder by their name without suffix, videos before sound."""
    stems: dict[str, list[Path]] = {}
    with suppress(OSError):  # its rows will say so
        for path in sorted(filter(is_media, folder.iterdir()), key=media_rank):
            stems.setdefault(path.stem, []).append(path)
    return stems


def _numbered(names: dict[str, _Value], wanted: str) -> _Value | None:
    """Look up a name, or the only one that is the same number."""
    if wanted in names or not wanted.isdecimal():
        return names.get(wanted)
    same = [name for name in names if name.isdecimal() and int(name) == int(wanted)]
    return names[same[0]] if len(same) == 1 else None


def stretches(table_path: Path) -> list[Draft]:
    """Read a table of (path, start, end, text, label, id, split); all but path may be missing.

    Raises:
        DataError: the table is unusable as a whole.
    """
    table = read_table(table_path, _STRETCH_WORDS, required=("path",))
    _warn_of_no_text(table)
    rows: dict[Path, list[Row]] = {}
    for line in table.lines:
        path = _beside(table.path, line.cells["path"]) if line.cells["path"] else table.path
        row = _row(table, line, line.cells.get("id", ""))
        if not line.cells["path"]:
            row = replace(row, fault=_fault(table, line, "path", t("the name of a file"), ""))
        elif not row.fault and (reason := fault_of(path)):
            row = replace(row, fault=_fault(table, line, "path", t("a file"), f"{path} ({reason})"))
        rows.setdefault(path, []).append(row)
    return [Draft(path, _names(path, table.path.parent), tuple(mine)) for path, mine in rows.items()]


def _names(path: Path, folder: Path) -> tuple[str, ...]:
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return (path.stem, (inside.parent / path.stem).as_posix(), inside.as_posix(), path.as_posix())


def _beside(table: Path, name: str) -> Path:
    path = table.parent / name
    # Windows writes videos\talk.mp4.
    return table.parent / name.replace("\\", "/") if "\\" in name and fault_of(path) else path


def _warn_of_no_text(table: Table) -> None:
    if "text" not in table.headers:
        _log.warning("%s", t("{table}: has no column called text, so there will be no text features", table=table.path))


def _row(table: Table, line: Line, id: str) -> Row:
    """Read the cells that both layouts have; the first that makes no sense is the row's fault."""
    where = f"{table.path.name}:{line.number}"
    if line.fault:
        message = "{table}, line {line}: {fault}"
        return Row(where, id, fault=t(message, table=table.path, line=line.number, fault=line.fault))
    readers: tuple[tuple[str, str, Callable[[str], float | str]], ...] = (
        ("start", t("seconds or H:MM:SS"), seconds),
        ("end", t("seconds or H:MM:SS"), seconds),
        ("label", t("a number from -3 to 3"), _sentiment),
        ("split", t("train, valid or test"), lambda text: SPLIT_NAMES[text.lower()]),
    )
    found: dict[str, float | str] = {}
    for word, expected, read in readers:
        if text := line.cells.get(word, ""):
            try:
                found[word] = read(text.replace(",", ".") if table.decimal_comma else text)
            except (ValueError, KeyError):
                return Row(where, id, fault=_fault(table, line, word, expected, text))
    start, end, label = (found.get(word) for word in ("start", "end", "label"))
    row = Row(
        where,
        id,
        start=float(start or 0.0),
        end=math.inf if end is None else float(end),
        text=line.cells.get("text", ""),
        label=None if label is None else float(label),
        split=str(found.get("split", "")),
    )
    if row.end <= row.start:
        expected = t("a time after the start, {start:g} s", start=row.start)
        return replace(row, fault=_fault(table, line, "end", expected, line.cells["end"]))
    return row


def _fault(table: Table, line: Line, word: str, expected: str, got: str) -> str:
    message = "{table}, line {line}, column {column}: expected {expected}, got {got}"
    column = table.headers.get(word, word)
    return t(message, table=table.path, line=line.number, column=column, expected=expected, got=got or t("nothing"))


def seconds(text: str) -> float:
    """Read seconds or a clock.

    >>> seconds("1:02:03.5"), seconds("2:03"), seconds("7.25")
    (3723.5, 123.0, 7.25)
    """
    if clock := _CLOCK.fullmatch(text.replace(",", ".")):
        hours, minutes, rest = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(rest)
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def _sentiment(text: str) -> float:
    value = float(text)
    if not SENTIMENT_MIN <= value <= SENTIMENT_MAX:  # this way round, NaN is refused too
        raise ValueError(text)
    return value
