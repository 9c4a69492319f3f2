"""The bytes of a file that have arrived so far: kept across runs and after kill -9, hashed while they come.

Where the bytes come from is decided elsewhere. While one connection writes them in order, the length of the `.part`
says how many there are. Once several write at different places, a journal beside it, the `.ranges`, has a line for
every stretch written; a line follows its bytes, so what the journal names is there.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from trisent.weights.digests import GrowingDigest, hasher


@dataclass(slots=True, eq=False)
class Stretch:
    """A gap that one connection fills: from `at`, which moves, to `end`."""

    at: int
    end: int
    file: FileIO | None = None  # from the first byte on


@dataclass(slots=True)
class Part:
    """The part of `destination` that is here, out of `size` bytes with this `digest`."""

    destination: Path
    size: int
    digest: str
    _held: list[tuple[int, int]] = field(default_factory=list)  # sorted, apart from each other
    _claims: list[Stretch] = field(default_factory=list)
    _scattered: bool = False  # not only from the beginning on, so that a journal is needed
    _journal: FileIO | None = None
    _running: GrowingDigest = field(init=False)
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._begin_hash()

    @property
    def path(self) -> Path:
        """Say where the bytes are kept: hidden beside the destination, under the digest they should have."""
        return self.destination.with_name(f".{self.destination.name}.{self.digest[:12]}.part")

    @property
    def journal_path(self) -> Path:
        """Say where the journal is kept."""
        return self.path.with_suffix(".ranges")

    @property
    def done(self) -> int:
        """Count the bytes that are here."""
        with self._lock:
            return sum(end - start for start, end in self._held)

    def load(self) -> int:
        """Take up what an earlier run left; returns how many bytes that is."""
        if not self.path.is_file() or self.path.stat().st_size > self.size:
            self.discard()
            return 0
        length = self.path.stat().st_size
        lines = _journal_lines(self.journal_path)
        self._held = _merged([(start, min(end, length)) for start, end in lines] if lines else [(0, length)])
        self._scattered = bool(lines)
        self._running.reach(self._joined())
        return self.done

    def spread(self) -> None:
        """Keep a journal from now on, so that bytes may be written out of order."""
        if self._journal is not None:
            return
        beside = self.journal_path.with_suffix(".ranges-new")
        try:
            beside.write_bytes(b"".join(b"%d %d\n" % span for span in self._held))
            beside.replace(self.journal_path)
        finally:
            beside.unlink(missing_ok=True)
        self._scattered, self._journal = True, FileIO(self.journal_path, "ab")

    @contextmanager
    def stretch(self, *, at_most: int) -> Iterator[Stretch | None]:
        """Claim the first gap nobody else fills, `at_most` bytes of it; None when there is none."""
        with self._lock:
            taken = _merged([*self._held, *((claim.at, claim.end) for claim in self._claims)])
            start = taken[0][1] if taken and taken[0][0] == 0 else 0
            end = min([self.size, start + at_most, *(other for other, _ in taken if other > start)])
            claim = Stretch(start, end) if start < end else None
            if claim is not None:
                self._claims.append(claim)
        try:
            yield claim
        finally:
            with self._lock:
                if claim is not None:
                    self._claims.remove(claim)
                if claim is not None and claim.file is not None:
                    claim.file.close()

    def narrow(self, stretch: Stretch, *, at_most: int) -> None:
        """Leave what lies more than `at_most` bytes ahead of `stretch` to others."""
        with self._lock:
            stretch.end = min(stretch.end, stretch.at + at_most)

    def write(self, stretch: Stretch, chunk: bytes) -> None:
        """Add `chunk` where `stretch` is; what does not fit into it is left out."""
        left = memoryview(chunk)[: stretch.end - stretch.at]
        if stretch.file is None:
            if self._scattered:
                self.spread()
            flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)  # Windows would turn line ends
            stretch.file = FileIO(os.open(self.path, flags, 0o666), "w")
            stretch.file.seek(stretch.at)
        while left:
            with self._lock:
                left = left[: stretch.end - stretch.at]
                # A thread that waited for bytes while its download ended, or began anew, must not write any more.
                if self._closed or not left:
                    return
                count = stretch.file.write(left)  # a disk that fills up takes a few bytes before it refuses
                self._note(stretch, left[:count])
            left = left[count:]

    def _note(self, stretch: Stretch, written: memoryview) -> None:
        start, stop = stretch.at, stretch.at + len(written)
        if self._journal is not None:
            self._journal.write(b"%d %d\n" % (start, stop))
        if len(self._held) == 1 and self._held[0][1] == start:  # the usual case, for speed
            self._held = [(self._held[0][0], stop)]
        else:
            self._held = _merged([*self._held, (start, stop)])
        stretch.at = stop
        self._running.reach(self._joined())

    def _joined(self) -> int:
        """Say how many bytes are here without a gap before them."""
        return self._held[0][1] if self._held and self._held[0][0] == 0 else 0

    def found(self) -> str:
        """Return the digest of what is here, once all is."""
        return self._running.result(self._joined())

    def install(self) -> None:
        """Let the file appear under its name, whole."""
        self.close()
        with self.path.open("ab") as file:  # makes an empty one, which nobody has written
            os.fsync(file.fileno())
        os.replace(self.path, self.destination)  # noqa: PTH105 - the word everybody knows for "whole or not at all"
        self.journal_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw away what is here, and begin anew; what was being written is no longer wanted."""
        self._running.stop()
        with self._lock:
            for claim in self._claims:
                claim.end = claim.at
            self._close_journal()
            self.path.unlink(missing_ok=True)  # first: a journal without its part names nothing
            self.journal_path.unlink(missing_ok=True)
            self._scattered, self._held = False, []
            self._begin_hash()

    def close(self) -> None:
        """Let nobody write any more."""
        with self._lock:
            self._closed = True
            self._close_journal()
        self._running.stop()

    def _begin_hash(self) -> None:
        self._running = GrowingDigest(self.path, hasher(self.digest, self.size))

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _journal_lines(path: Path) -> list[tuple[int, int]]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    spans = []
    for line in text.split(b"\n")[:-1]:  # the last line may have been cut short by a kill
        start, _, end = line.partition(b" ")
        if start.isdigit() and end.isdigit():
            spans.append((int(start), int(end)))
    return spans


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort stretches and join those that touch.

    >>> _merged([(5, 9), (0, 3), (3, 4), (9, 9)])
    [(0, 4), (5, 9)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif start < end:
            merged.append((start, end))
    return merged
