"""Which source is asked next, for how long one is borne with, and when one is left. No bytes move here."""

import logging
import random
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t

logger = logging.getLogger(__name__)

# When a host could not be reached: the next file need not find out again, it asks the other hosts first.
_down: dict[str, float] = {}
_DOWN_FOR_S = 300.0


class SourcesFailedError(WeightsError):
    """No source delivered the file; `causes` says in one line what was wrong with each."""

    def __init__(self, message: str, causes: str) -> None:
        super().__init__(message)
        self.causes = causes


class LeaveError(Exception):
    """A source cannot deliver the file. `whole_host`: nor can any other address of its host."""

    def __init__(self, cause: str, *, whole_host: bool = False) -> None:
        super().__init__(cause)
        self.whole_host = whole_host


class AgainError(Exception):
    """An attempt failed that may succeed later, after `wait_s` if the source asked for it.

    `whole_host`: no address of its host can be reached now; `all_wait`: its host counts the requests to all of them.
    """

    def __init__(
        self, cause: str, *, wait_s: float | None = None, whole_host: bool = False, all_wait: bool = False
    ) -> None:
        super().__init__(cause)
        self.wait_s = wait_s
        self.whole_host = whole_host
        self.all_wait = all_wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source is borne with: tries without a new byte, and the waits between them."""

    tries: int = 4
    connect_tries: int = 2  # a host that cannot be reached at all costs `connect_s` each time
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    # Enough for the first packet and two repeats of it (after 1 and 3 s). Where a wall swallows packets, three hubs
    # with two tries each are given up after 24 s.
    connect_s: float = 4.0
    read_s: float = 20.0
    # Below this rate over a window another source is tried, when there is one.
    slow_bytes_per_s: int = 20 << 10
    window_s: float = 15.0
    # Further connections are opened when one has given less than this over `judge_s`, and much is left to fetch.
    connections: int = 4
    judge_s: float = 2.0
    fast_bytes_per_s: int = 24 << 20
    worth_bytes: int = 32 << 20
    piece_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        if min(self.tries, self.connect_tries) < 1:
            msg = f"tries must be at least 1, got {self.tries} and {self.connect_tries}"
            raise ValueError(msg)


@dataclass(slots=True, eq=False)
class Source:
    """One address of the file, with its record so far."""

    url: str
    cause: str = ""  # why the last attempt failed
    gone: bool = False  # left for good
    fails: int = 0  # in a row, without a new byte
    spoilt: int = 0  # times it had a part in wrong bytes
    rate: float | None = None  # bytes a second, when it was last found slow
    not_before: float = 0.0

    @property
    def host(self) -> str:
        """Name the host, with its port; an address that is none names itself."""
        try:
            return urlsplit(self.url).netloc or self.url
        except ValueError:
            return self.url


@dataclass(slots=True)
class Sources:
    """The sources of one file, in order of preference."""

    file: str
    all: list[Source]
    patience: Patience
    contributors: list[Source | None] = field(default_factory=list)  # None stands for an earlier run
    asked: Source | None = None  # last

    @property
    def told(self) -> str:
        """Name the file, and the host that it comes from."""
        return t("{file} from {host}", file=self.file, host=self.asked.host) if self.asked else self.file

    def next(self) -> Source:
        """Choose the source to ask now, and wait until it may be asked.

        Raises:
            SourcesFailedError: all have been left.
        """
        live = [source for source in self.all if not source.gone]
        if not live:
            causes = "; ".join(dict.fromkeys(f"{source.host}: {source.cause}" for source in self.all))
            msg = t(
                "{file} could not be downloaded ({causes}). Run: trisent weights doctor", file=self.file, causes=causes
            )
            raise SourcesFailedError(msg, causes)
        now = time.monotonic()
        source = min(live, key=lambda s: (max(0.0, s.not_before - now), _was_down(s.host, now), s.fails))
        time.sleep(max(0.0, source.not_before - now))
        self.asked = source
        return source

    def is_beaten(self, source: Source, rate: float) -> bool:
        """Say whether `rate` is slow for a source, and another source is left that is not known to be slower."""
        if rate >= self.patience.slow_bytes_per_s:
            return False
        source.rate = rate
        others = [other for other in self.all if not other.gone and other.host != source.host]
        return any(other.rate is None or other.rate > rate for other in others)

    def leave(self, source: Source, error: LeaveError) -> None:
        """Ask `source` no more."""
        for one in self._same(source, whole_host=error.whole_host):
            one.gone, one.cause = True, str(error)
        logger.warning("%s from %s: %s; leaving it", self.file, source.host, error)

    def postpone(self, source: Source, error: AgainError, *, moved: bool) -> None:
        """Ask `source` again later; leave it after too many tries that did not move the file."""
        limit = self.patience.connect_tries if error.whole_host else self.patience.tries
        fails = 0 if moved else source.fails + 1
        wait_s = 2.0 ** min(fails, 4) / 2 * self.patience.first_wait_s * random.uniform(0.5, 1.0)
        if error.wait_s is not None:
            wait_s = min(error.wait_s, self.patience.longest_wait_s)
        for one in self._same(source, whole_host=error.whole_host):
            one.fails, one.cause, one.gone = fails, str(error), one.gone or fails >= limit
        for one in self._same(source, whole_host=error.whole_host or error.all_wait):
            one.not_before = time.monotonic() + wait_s
        if error.whole_host:
            _down[source.host] = time.monotonic()
        logger.warning("%s from %s: %s; asking again in %.1f s", self.file, source.host, error, wait_s)

    def blame(self, cause: str) -> None:
        """Hold the contributors to wrong bytes responsible.

        Nobody can be blamed alone for a file of several hands: it is fetched once more, then all of them are left.
        """
        alone = len(self.contributors) == 1
        for source in self.contributors:
            if source is None:
                continue
            source.spoilt += 2 if alone else 1
            source.cause, source.gone = cause, source.gone or source.spoilt >= 2
        names = ", ".join("an earlier run" if source is None else source.host for source in self.contributors)
        logger.warning("%s from %s: %s; thrown away", self.file, names, cause)

    def _same(self, source: Source, *, whole_host: bool) -> list[Source]:
        return [one for one in self.all if one.host == source.host] if whole_host else [source]


def _was_down(host: str, now: float) -> bool:
    return now - _down.get(host, -_DOWN_FOR_S) < _DOWN_FOR_S
