"""Is a file whole? Asked of the sizes that its container states, without decoding.

MP4 and QuickTime, Matroska and WebM, WAV and AVI say how long their parts are; a broken download is shorter. What the
clock of the streams says is judged in `container.py`, for formats that state no sizes.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from trisent.errors import MediaError
from trisent.i18n import t

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_BOXES = _FIRST_BOXES | {b"moof", b"meta", b"mfra", b"sidx", b"styp", b"uuid", b"udta", b"emsg", b"prft"}
_RIFF_UNKNOWN = 0x7FFFF000  # what programs write that do not know the size yet; real files of 2 GB are RF64
_RIFF_SLACK = 64  # bytes; headers that are wrong by themselves, or a padding byte, are no sign of a broken download


def check_whole(path: Path) -> bool:
    """Say whether the container proves that nothing is missing; False when it states no sizes.

    Raises:
        MediaError: the file is shorter than its container says.
    """
    actual = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _FIRST_BOXES:
            expected = _boxes_end(file, actual, path)
        elif head.startswith(_EBML):
            expected = _segment_end(file)
        elif head.startswith((b"RIFF", b"RF64")):
            expected = _riff_end(file, actual)
        else:
            expected = None
    if expected is not None and expected > actual:
        message = (
            "{path}: is cut off: it should have at least {expected} bytes and has {actual}; copy or download it again"
        )
        raise MediaError(t(message, path=path, expected=f"{expected:,}", actual=f"{actual:,}"))
    return expected is not None


def _boxes_end(file: BinaryIO, actual: int, path: Path) -> int | None:
    """Walk the outermost boxes of an MP4 to the end of the last."""
    at, size, seen = 0, 8, set[bytes]()
    while at + 8 <= actual:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _BOXES:  # cameras append what they like
            break
        seen.add(kind)
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        elif size == 0:  # "to the end of the file"
            break
        if size < 8:
            break
        at += size
    if at <= actual and not seen & {b"moov", b"meta", b"moof"}:
        message = "{path}: is cut off: its table of contents (moov) is missing; copy or download it again"
        raise MediaError(t(message, path=path))
    return at if size else None


def _segment_end(file: BinaryIO) -> int | None:
    """Find the end of a Matroska file: behind the EBML header comes one segment that holds everything."""
    file.seek(4)
    length = _vint(file)
    if length is None:
        return None
    file.seek(length, 1)
    if file.read(4) != _SEGMENT or (length := _vint(file)) is None:
        return None
    return file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read an EBML number: the leading zero bits of the first byte tell its length. All ones: unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - more)) - 1)]) + file.read(more), "big")
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _riff_end(file: BinaryIO, actual: int) -> int | None:
    """Walk the RIFF chunks of a WAV or AVI; a long AVI has several."""
    at = 0
    while at + 8 <= actual:
        file.seek(at)
        kind, size = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            return None if at == 0 else min(at, actual)
        if size == 0 or (size >= _RIFF_UNKNOWN and at + size > actual):
            return None
        at += 8 + size
    return at if at - actual > _RIFF_SLACK else min(at, actual)
