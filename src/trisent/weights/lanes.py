"""Fetch stretches of a part over further connections, where a source throttles each connection by itself.

The first connection does not need them: what a lane fails to deliver it gives back, and is not heard of again.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from trisent.i18n import t
from trisent.weights.answer import Answer
from trisent.weights.connection import client
from trisent.weights.fill import Meter, fill
from trisent.weights.part import Part
from trisent.weights.sources import AgainError, LeaveError, Patience, Source

logger = logging.getLogger(__name__)

_FAILS_AT_MOST = 2
_JOIN_S = 0.5
# Judged after this many times the `judge_s`; with less gain the lanes go home.
_PROBATION = 3
_GAIN = 1.25


@dataclass(slots=True)
class Lanes:
    """Further connections to `source`, which gave `rate` bytes a second over one."""

    source: Source
    part: Part
    patience: Patience
    rate: float
    _stopped: threading.Event = field(default_factory=threading.Event)  # at once
    _enough: threading.Event = field(default_factory=threading.Event)  # no further stretch
    _threads: list[threading.Thread] = field(default_factory=list)
    _since: float = 0.0
    _done: int = 0

    def start(self) -> None:
        """Open the lanes."""
        self._since, self._done = time.monotonic(), self.part.done
        for _ in range(self.patience.connections - 1):
            # Daemons: a lane that waits for bytes must not hold up a person's Ctrl-C.
            thread = threading.Thread(target=self._work, name="trisent-lane", daemon=True)
            self._threads.append(thread)
            thread.start()
        logger.info("%s: %d connections to %s", self.part.destination.name, len(self._threads) + 1, self.source.host)

    @property
    def open(self) -> bool:
        """Say whether a lane is at work."""
        return any(thread.is_alive() for thread in self._threads)

    def judge(self) -> None:
        """Close the lanes when they have not made the whole faster."""
        elapsed = time.monotonic() - self._since
        if self._enough.is_set() or elapsed < _PROBATION * self.patience.judge_s:
            return
        if (self.part.done - self._done) / elapsed < _GAIN * self.rate:
            self._enough.set()
        self._since = float("inf")  # judged once

    def stop(self) -> None:
        """Let no lane write any more; those that wait for bytes end by themselves."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_JOIN_S / len(self._threads))

    def _work(self) -> None:
        fails = 0
        with client(connect_s=self.patience.connect_s, read_s=self.patience.read_s / 2) as http:
            while fails < _FAILS_AT_MOST and not self._stopped.is_set() and not self._enough.is_set():
                with self.part.stretch(at_most=self.patience.piece_bytes) as stretch:
                    if stretch is None:
                        return
                    before, meter = stretch.at, Meter(self.patience.window_s)

                    def watch(answer: Answer, count: int, meter: Meter = meter) -> None:
                        rate = meter.rate(count)
                        if self._stopped.is_set() or not answer.ranges:
                            raise _StoppedError
                        if rate is not None and rate < self.patience.slow_bytes_per_s:
                            raise AgainError(t("only {rate} bytes a second", rate=int(rate)))

                    try:
                        fill(http, self.source.url, self.part, stretch=stretch, on_chunk=watch)
                        fails = 0
                    except (LeaveError, AgainError, _StoppedError, OSError) as error:
                        # A full disk, too: the first connection meets it and says so.
                        fails = 1 if stretch.at > before else fails + 1
                        logger.info("%s: a lane to %s: %s", self.part.destination.name, self.source.host, error)
                self._stopped.wait(self.patience.first_wait_s if fails else 0)


class _StoppedError(Exception):
    """The lanes are no longer wanted."""
