"""Fetch one pinned file from whichever source delivers its bytes: resumed across runs, proven before it appears.

Which sources there are, and where files belong, is decided elsewhere. huggingface_hub neither resumes across runs nor
checks the bytes, and it gives up at the first reset; so this is our own.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.answer import opened
from trisent.weights.connection import client
from trisent.weights.digests import Hasher, digest_like, hasher
from trisent.weights.sources import AgainError, LeaveError, Patience, Source, Sources

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_MARGIN_BYTES = 32 << 20
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
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
        on_progress: called with the file's name, bytes so far, bytes in all.

    Raises:
        SourcesFailedError: no source could deliver; `causes` names each with its reason.
        WeightsError: the disk is too full.
    """
    import filelock

    destination.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(destination.with_name(f".{destination.name}.lock")):
        if not holds(destination, size=bytes, digest=sha256):
            asked = Sources(destination.name, [Source(url) for url in sources], patience)
            _Transfer(destination, bytes, sha256, asked, on_progress).run()
    on_progress(destination.name, bytes, bytes)


def holds(path: Path, *, size: int, digest: str) -> bool:
    """Say whether `path` is there with exactly these bytes."""
    return path.is_file() and path.stat().st_size == size and digest_like(digest, path) == digest


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
    """The state of one download: what the `.part` holds, and its hash so far."""

    destination: Path
    size: int
    digest: str
    sources: Sources
    on_progress: OnProgress
    done: int = 0
    furthest: int = 0  # a server that ignores ranges must not pass for progress by starting over
    part: Path = field(init=False)
    running: Hasher = field(init=False)

    def __post_init__(self) -> None:
        self.part = self.destination.with_name(f".{self.destination.name}.{self.digest[:12]}.part")
        self.running = hasher(self.digest, self.size)

    def run(self) -> None:
        self._continue_part()
        check_disk(self.part.parent, self.size - self.done + min(_MARGIN_BYTES, self.size // 10), what=self.part.name)
        with client(connect_s=self.sources.patience.connect_s, read_s=self.sources.patience.read_s) as http:
            while not self._complete():
                self._attempt(http)
        os.replace(self.part, self.destination)  # noqa: PTH105 - the word everybody knows for "whole or not at all"

    def _attempt(self, http: "httpx2.Client") -> None:
        source = self.sources.next()
        before = self.furthest
        try:
            self._receive(http, source)
        except LeaveError as error:
            self.sources.leave(source, error)
        except AgainError as error:
            self.sources.postpone(source, error, moved=self.furthest > before)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            msg = t(
                "the disk of {folder} is full after {done} of {total} bytes of {file}; they are kept. "
                "Make room and run the same command again.",
                folder=self.part.parent,
                done=self.done,
                total=self.size,
                file=self.destination.name,
            )
            raise WeightsError(msg) from error

    def _receive(self, http: "httpx2.Client", source: Source) -> None:
        patience = self.sources.patience
        with opened(http, source.url, first_byte=self.done, size=self.size) as (response, first_byte):
            if first_byte != self.done:
                self._start_over()
            if source not in self.sources.contributors:
                self.sources.contributors.append(source)
            window_start, window_done = time.monotonic(), self.done
            with self.part.open("ab") as file:
                # iter_raw hands over what arrives as it arrives: a line that breaks every 300 kB still gets there.
                for chunk in response.iter_raw():
                    if self.done + len(chunk) > self.size:
                        raise LeaveError(t("sends more bytes than the file has"))
                    file.write(chunk)
                    self.running.update(chunk)
                    self.done += len(chunk)
                    self.furthest = max(self.furthest, self.done)
                    self.on_progress(self.destination.name, self.done, self.size)
                    if (elapsed := time.monotonic() - window_start) > patience.window_s:
                        rate = (self.done - window_done) / elapsed
                        window_start, window_done = time.monotonic(), self.done
                        if rate < patience.slow_bytes_per_s and self.sources.others(source):
                            raise AgainError(t("only {rate} bytes a second", rate=int(rate)))
        if self.done < self.size:
            raise AgainError(t("the connection ended early"))

    def _continue_part(self) -> None:
        if not self.part.is_file():
            return
        if self.part.stat().st_size > self.size:
            self.part.unlink()
            return
        with self.part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.running.update(chunk)
                self.done += len(chunk)
        if self.done:
            self.sources.contributors.append(None)
            self.furthest = self.done
            logger.info("%s: continuing at byte %d of %d", self.destination.name, self.done, self.size)

    def _complete(self) -> bool:
        if self.done < self.size or not self.part.is_file():
            return False
        found = self.running.hexdigest()
        if found == self.digest:
            with self.part.open("rb+") as file:
                os.fsync(file.fileno())
            return True
        self.sources.blame(
            t(
                "delivered wrong bytes (digest {found}, expected {expected})",
                found=found[:12],
                expected=self.digest[:12],
            )
        )
        self.furthest = 0
        self._start_over()
        return False

    def _start_over(self) -> None:
        self.part.unlink(missing_ok=True)
        self.done, self.running = 0, hasher(self.digest, self.size)
        self.sources.contributors.clear()
