"""Fetch one pinned file from whichever source delivers its bytes: resumed across runs, proven before it appears.

Which sources there are, and where files belong, is decided elsewhere. huggingface_hub neither resumes across runs nor
checks the bytes, and it gives up at the first reset; so this is our own.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trisent.errors import WeightsError
from trisent.i18n import system_reason, t
from trisent.types import OnProgress, no_progress
from trisent.weights.answer import Answer
from trisent.weights.connection import client
from trisent.weights.digests import digest_like
from trisent.weights.fill import Meter, fill
from trisent.weights.lanes import Lanes
from trisent.weights.part import Part, Stretch
from trisent.weights.sources import AgainError, LeaveError, Patience, Source, Sources

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger(__name__)

_POLL_S = 0.05
_MARGIN_BYTES = 32 << 20
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last: a quota, or a FAT stick
_PATIENCE = Patience()


def download(
    sources: Sequence[str],
    destination: Path,
    *,
    bytes: int,
    sha256: str,
    on_progress: OnProgress = no_progress,
    patience: Patience = _PATIENCE,
) -> None:
    """Fetch `destination` from the first of `sources` (URLs) that delivers exactly these bytes.

    What has arrived is kept in a hidden `.part` beside the destination and continued by the next run, even after
    kill -9. Two processes make one download. The destination appears whole or not at all.

    Args:
        bytes: size of the file.
        sha256: its digest (or git's 40-digit blob id).
        on_progress: called with the file's name and the host it comes from, bytes so far, bytes in all.

    Raises:
        SourcesFailedError: no source could deliver; `causes` names each with its reason.
        WeightsError: the disk is too full, or nothing may be written there.
    """
    make_folder(destination.parent)
    with _alone(destination):
        if not holds(destination, size=bytes, digest=sha256):
            asked = Sources(destination.name, [Source(url) for url in sources], patience)
            _Transfer(Part(destination, bytes, sha256), asked, on_progress).run()
    on_progress(destination.name, bytes, bytes)


@contextmanager
def _alone(destination: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file meanwhile."""
    import filelock

    lock = filelock.FileLock(destination.with_name(f".{destination.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.warning("another process is fetching %s; waiting for it", destination.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def holds(path: Path, *, size: int, digest: str) -> bool:
    """Say whether `path` is there with exactly these bytes."""
    return path.is_file() and path.stat().st_size == size and digest_like(digest, path) == digest


def make_folder(folder: Path) -> None:
    """Make the folder that files go to.

    Raises:
        WeightsError: nothing may be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else t(os.strerror(errno.EACCES))
    except OSError as error:
        reason = system_reason(error)
    if reason:
        msg = t(
            "nothing can be written to {folder} ({reason}). Mend that, or point TRISENT_HOME, HF_HOME or TORCH_HOME "
            "to another folder.",
            folder=folder,
            reason=reason,
        )
        raise WeightsError(msg)


def check_disk(folder: Path, needed: int, *, what: str) -> None:
    """Refuse to begin what does not fit.

    Raises:
        WeightsError: fewer than `needed` bytes are free in `folder`.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        msg = t(
            "{what} needs {needed} MB in {folder}, {free} MB are free. Make room, or point TRISENT_HOME, HF_HOME "
            "or TORCH_HOME to another disk.",
            what=what,
            needed=-(-needed // 10**6),
            folder=folder,
            free=free // 10**6,
        )
        raise WeightsError(msg)


@dataclass(slots=True)
class _Transfer:
    """The state of one download."""

    part: Part
    sources: Sources
    on_progress: OnProgress
    lanes: Lanes | None = None
    judged: list[Source] = field(default_factory=list)  # whether further connections help was decided for these

    def run(self) -> None:
        size, patience = self.part.size, self.sources.patience
        try:
            if kept := self.part.load():
                self.sources.contributors.append(None)
                logger.info("%s: continuing with %d of %d bytes", self.sources.file, kept, size)
            check_disk(self.part.path.parent, size - kept + min(_MARGIN_BYTES, size // 10), what=self.sources.file)
            with client(connect_s=patience.connect_s, read_s=patience.read_s) as http:
                while not self._complete():
                    self._attempt(http)
        finally:
            self._close_lanes()
            self.part.close()
        self.part.install()

    def _attempt(self, http: "httpx2.Client") -> None:
        helped = self.lanes is not None and self.lanes.open
        with self.part.stretch(at_most=self.sources.patience.piece_bytes if helped else self.part.size) as stretch:
            if stretch is None:  # the lanes have the rest
                time.sleep(_POLL_S)
                self._report()
                return
            source, before = self.sources.next(), self.part.done
            if self.lanes is not None and self.lanes.source is not source:
                self._close_lanes()
            try:
                meter = Meter(self.sources.patience.window_s), Meter(self.sources.patience.judge_s)
                watch = partial(self._watch, source, stretch, meter)
                fill(http, source.url, self.part, stretch=stretch, on_chunk=watch)
            except LeaveError as error:
                self.sources.leave(source, error)
            except AgainError as error:
                self.sources.postpone(source, error, moved=self.part.done > before)
            except OSError as error:
                if error.errno not in _DISK_FULL:
                    raise
                raise self._disk_full() from error

    def _watch(self, source: Source, stretch: Stretch, meters: tuple[Meter, Meter], answer: Answer, count: int) -> None:
        """Look at what comes from `source`: too slow to stay with it? slow enough for further connections?"""
        if source not in self.sources.contributors:
            self.sources.contributors.append(source)
        self._report()
        slow, quick = (meter.rate(count) for meter in meters)
        if slow is not None and self.sources.is_beaten(source, slow):
            raise AgainError(t("only {rate} bytes a second", rate=int(slow)))
        if self.lanes is not None:
            self.lanes.judge()
        elif quick is not None and answer.ranges and source not in self.judged:
            self.judged.append(source)
            self._open_lanes(source, stretch, quick)

    def _open_lanes(self, source: Source, stretch: Stretch, rate: float) -> None:
        patience = self.sources.patience
        left = self.part.size - self.part.done
        if rate >= patience.fast_bytes_per_s or left < patience.worth_bytes or patience.connections < 2:
            return
        self.part.spread()
        self.part.narrow(stretch, at_most=patience.piece_bytes)
        self.lanes = Lanes(source, self.part, patience, rate)
        self.lanes.start()

    def _close_lanes(self) -> None:
        if self.lanes is not None:
            self.lanes.stop()
            self.lanes = None

    def _report(self) -> None:
        self.on_progress(self.sources.told, self.part.done, self.part.size)

    def _complete(self) -> bool:
        if self.part.done < self.part.size:
            return False
        found = self.part.found()
        if found == self.part.digest:
            return True
        self.sources.blame(
            t(
                "delivered wrong bytes (digest {found}, expected {expected})",
                found=found[:12],
                expected=self.part.digest[:12],
            )
        )
        self._close_lanes()
        self.part.discard()
        self.sources.contributors.clear()
        return False

    def _disk_full(self) -> WeightsError:
        msg = t(
            "the disk of {folder} is full after {done} of {total} bytes of {file}; they are kept. "
            "Make room and run the same command again.",
            folder=self.part.path.parent,
            done=self.part.done,
            total=self.part.size,
            file=self.sources.file,
        )
        return WeightsError(msg)
