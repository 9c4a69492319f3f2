"""What worker processes do in tests: they import it by this name."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trisent.errors import DataError
from trisent.features.pool import Stage


@dataclass(frozen=True, slots=True)
class Odd:
    """Squares numbers; strings make it misbehave."""

    def start(self) -> Callable[[int | str, Stage], int]:
        return _do


def _do(task: int | str, on_step: Stage) -> int:
    on_step(3, 120.0)
    match task:
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os.write(2, b"the disk is on fire\n")
            os._exit(7)
        case "hang":
            on_step(4, 0.5)
            time.sleep(600)
        case "sleep":
            time.sleep(100)
        case "raise":
            msg = "no such clip"
            raise DataError(msg)
        case "print":
            sys.stdout.write("hello from a library\n")
            return os.getpid()
        case "warn":
            logging.getLogger("trisent.media").warning("the file %s is damaged", "a.mp4")
            return 0
        case "threads":
            return int(os.environ["OMP_NUM_THREADS"])
    return int(task) ** 2


@dataclass(frozen=True, slots=True)
class NeverStarts:
    """Its worker cannot even begin."""

    def start(self) -> Callable[[int, Stage], int]:
        msg = "no weights"
        raise DataError(msg)


@dataclass(frozen=True, slots=True)
class DiesAtFirst:
    """As Odd, but its first workers are killed while they start."""

    record: Path
    times: int

    def start(self) -> Callable[[int | str, Stage], int]:
        with self.record.open("a") as file:
            if file.tell() < self.times:
                file.write("x")
                file.close()
                os.kill(os.getpid(), signal.SIGKILL)
        return _do
