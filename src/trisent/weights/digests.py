"""Digests of files: sha256 by streaming, beside the writing or after it, remembered while a file keeps its size."""

import hashlib
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from trisent.config import home

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_FLUSH_BYTES = 32 << 20  # so often the disk is told to begin writing, or the fsync at the end would wait for all of it
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


class GrowingDigest:
    """The digest of a file that still grows, taken beside the writing: hashlib lets other threads run meanwhile.

    The bytes are read back, out of the system's memory: nothing queues up here, and what counts is what the file holds.
    """

    def __init__(self, path: Path, running: Hasher) -> None:
        self._path = path
        self._running = running
        self._asked = self._hashed = self._flushed = 0
        self._buffer = memoryview(bytearray(_CHUNK))
        self._thread: ThreadPoolExecutor | None = None
        self._stopped = False

    def reach(self, stop: int) -> None:
        """Hash up to the byte `stop` soon; steps of less than a chunk wait for the next."""
        if stop - self._asked < _CHUNK or self._stopped:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="trisent-hash")
        self._asked = stop
        self._thread.submit(self._hash, stop)  # an error comes again in `result`, which goes on where this ended

    def result(self, stop: int) -> str:
        """Return the digest of the first `stop` bytes, which are all."""
        self.stop()
        self._stopped = False
        self._hash(stop)  # in the caller's thread, which Ctrl-C can end
        return self._running.hexdigest()

    def stop(self) -> None:
        """Let go of the file."""
        self._stopped = True
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _hash(self, stop: int) -> None:
        if stop == self._hashed:  # of an empty file there is no part
            return
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._hashed)
            while self._hashed < stop and not self._stopped:
                if not (count := file.readinto(self._buffer[: stop - self._hashed])):
                    return
                self._running.update(self._buffer[:count])
                self._hashed += count
                if self._hashed - self._flushed >= _FLUSH_BYTES:
                    self._flush(file.fileno())

    def _flush(self, descriptor: int) -> None:
        """Let the system begin to write what is hashed already, without waiting for it."""
        if hasattr(os, "posix_fadvise"):  # Linux; on others the fsync at the end has more to do
            os.posix_fadvise(descriptor, self._flushed, self._hashed - self._flushed, os.POSIX_FADV_DONTNEED)
        self._flushed = self._hashed


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
