"""Digests of files: sha256 by streaming, remembered while a file keeps its size and time."""

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Protocol

from trisent.config import home

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
# Hashing 440 MB takes a second, looking it up none; below this size a file is hashed quicker than its line is read.
_REMEMBER_FROM_BYTES = 1 << 20
# A file changed within this time may change again without a new time stamp (FAT counts in steps of 2 s).
_SETTLED_AFTER_S = 2.0

_seen: dict[tuple[str, int, int], str] = {}


class Hasher(Protocol):
    """What hashlib returns, as far as it is used here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the digest so far."""


def hasher(expected: str, size: int) -> Hasher:
    """Start the kind of hash that `expected` is: sha256 (64 hex), or git's blob id (40 hex) of `size` bytes."""
    if len(expected) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def digest_like(expected: str, path: Path) -> str:
    """Hash `path` the way `expected` was made."""
    if len(expected) == 64:
        return sha256(path)
    return _stream(path, hasher(expected, path.stat().st_size))


def sha256(path: Path) -> str:
    """Return the sha256 of a file, from memory when the file has not changed since it was hashed."""
    path = path.resolve()
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key in _seen:
        return _seen[key]
    settled = time.time() - status.st_mtime > _SETTLED_AFTER_S
    big = status.st_size >= _REMEMBER_FROM_BYTES
    found = _recall(key) if big and settled else None
    if found is None:
        found = fresh_sha256(path)
        if big and settled:
            _remember(key, found)
    if settled:
        _seen[key] = found
    return found


def fresh_sha256(path: Path) -> str:
    """Return the sha256 of a file, reading every byte of it now."""
    return _stream(path, hashlib.sha256())


def _stream(path: Path, running: Hasher) -> str:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running.hexdigest()


def _table() -> Path:
    return home() / "digests.json"


def _read_table() -> dict[str, list[object]]:
    try:
        table = json.loads(_table().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _recall(key: tuple[str, int, int]) -> str | None:
    path, size, mtime_ns = key
    match _read_table().get(path):
        case [int(old_size), int(old_mtime_ns), str(digest)] if (old_size, old_mtime_ns) == (size, mtime_ns):
            return digest
        case _:
            return None


def _remember(key: tuple[str, int, int], digest: str) -> None:
    path, size, mtime_ns = key
    table = {known: row for known, row in _read_table().items() if Path(known).exists()}
    table[path] = [size, mtime_ns, digest]
    beside = _table().with_name(f"digests.json.{os.getpid()}.part")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(table, indent=0), encoding="utf-8")
        beside.replace(_table())
    except OSError as error:  # a read-only home costs time, nothing else
        logger.debug("digests not remembered: %s", error)
