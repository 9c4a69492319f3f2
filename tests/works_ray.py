"""What workers on a Ray cluster do in tests: they import it by this name."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from trisent.features.pool import Stage


@dataclass(frozen=True, slots=True)
class Patient:
    """Squares a number after a while and says who did it; "die" kills the worker."""

    seconds: float

    def start(self) -> Callable[[int | str, Stage], tuple[int, int]]:
        def do(task: int | str, on_step: Stage) -> tuple[int, int]:
            on_step(3, 60.0)
            time.sleep(self.seconds)
            if task == "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            return int(task) ** 2, os.getppid()

        return do


@dataclass(frozen=True, slots=True)
class Generous:
    """Makes 8 MB of each number, as decoding makes much of little."""

    def start(self) -> Callable[[int | str, Stage], bytes]:
        def do(task: int | str, on_step: Stage) -> bytes:
            on_step(3, 60.0)
            if task == "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            return bytes([int(task)]) * 8_000_000

        return do


@dataclass(frozen=True, slots=True)
class Frugal:
    """Makes the number of it again."""

    def start(self) -> Callable[[bytes, Stage], int]:
        def do(task: bytes, on_step: Stage) -> int:
            on_step(3, 60.0)
            return task[-1]

        return do
