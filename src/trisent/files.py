"""Files that appear whole or not at all; texts in the encodings that spreadsheets choose."""

import csv
import io
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trisent.errors import DataError, TrisentError, UsageError
from trisent.i18n import system_reason, t

_log = logging.getLogger(__name__)

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .xls


def write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` (name -> content) into `folder`, which is made if need be.

    Everything is on the disk under other names before the first file gets its own, and names are given in order:
    put the file last that readers open first, and no reader ever meets half of a set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f"{name}.part" for name in files}
    try:
        for name, content in files.items():
            with _named(folder / name), parts[name].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, part in parts.items():
            part.replace(folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def check_out(folder: Path) -> None:
    """Find out before the work whether its results can be written into `folder`, which need not be there yet.

    Raises:
        UsageError: it is a file, or below one, or nothing may be written there.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(t("{path} is a file; say in which folder results go: --out DIR", path=there))
    if not os.access(there, os.W_OK):
        raise UsageError(t("{path} may not be written into; say where results go: --out DIR", path=there))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file it was when writing fails, as of a full disk the system does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def json_bytes(document: Any, *, indent: int | None = None) -> bytes:
    """Write JSON in UTF-8; all in ASCII where the name of a file is no text, so that it comes back as it was."""
    try:
        return json.dumps(document, ensure_ascii=False, indent=indent, allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=indent, allow_nan=False).encode()


def table_bytes(rows: Iterable[Sequence[str]], *, delimiter: str = ",") -> bytes:
    """Write a table in UTF-8, so that every cell comes back as it was.

    >>> table_bytes([["id", "text"], ["a", "one\\rtwo"], ["b", ""]])
    b'id,text\\n"a","one\\rtwo"\\nb,\\n'
    """
    text = io.StringIO(newline="")
    writer, quoting = (
        csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting)
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for row in rows:  # a reader takes a bare carriage return for the end of a line, and not every writer quotes it
        (quoting if any("\r" in cell for cell in row) else writer).writerow(row)
    return text.getvalue().encode()


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16 or GB 18030, whichever it is.

    Raises:
        DataError: it cannot be opened, or is none of them.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(t("{path}: cannot be opened ({reason})", path=path, reason=system_reason(error))) from error
    if data.startswith(_WORKBOOKS):
        raise DataError(t("{path}: is a workbook; save it as CSV (UTF-8) in the spreadsheet program", path=path))
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if encoding == "gb18030":
            _log.warning("%s", t("{path}: is no UTF-8; read as GB 18030, as Excel writes it in China", path=path))
        return text
    raise DataError(t("{path}: is no text in UTF-8, UTF-16 or GB 18030; save it as CSV (UTF-8)", path=path))


def _encodings(data: bytes) -> tuple[str, ...]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    # Without a byte order mark: in UTF-16 every other byte of a header in ASCII is zero.
    head = data[:64]
    if head[1::2].count(0) > len(head) // 4:
        return ("utf-16-le",)
    if head[::2].count(0) > len(head) // 4:
        return ("utf-16-be",)
    return ("utf-8-sig", "gb18030")


@contextmanager
def alone_in(folder: Path, *, otherwise: TrisentError) -> Iterator[None]:
    """Make a folder, and let no other process that asks for the same into it meanwhile.

    Args:
        folder: of this work alone.
        otherwise: raised when another process is at work there.
    """
    import filelock  # here, not above: commands that only read need not wait for it

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    try:
        with filelock.FileLock(path, timeout=0):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows removes nothing that is open; on others, filelock looks for this
                    path.unlink()
    except filelock.Timeout as error:
        raise otherwise from error
