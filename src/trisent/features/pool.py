"""Worker processes of one thread each, replaced when they die or hang.

One process a core with one thread each measured faster than threads inside one process. A worker is a fresh Python
that speaks pickle over its standard streams: scripts need no `if __name__ == "__main__"`, a decoder that crashes takes
one job with it and no more, and workers end by themselves as soon as their parent is killed.
"""

import logging
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Generic, Protocol, TypeVar

from trisent.errors import TrisentError
from trisent.i18n import t
from trisent.memory import keep_memory

_log = logging.getLogger(__name__)

_Task = TypeVar("_Task")
_Result = TypeVar("_Result", covariant=True)
_START_S = 600.0  # loading weights from a slow disk
_STARTS = 3  # when memory is short while all load their weights, the system kills one of them
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_WORKER = "from trisent.features.pool import serve; serve()"

Stage = Callable[[int, float], None]
"""Called by a worker at each step of a task: (which step, seconds it may take)."""


def no_step(step: int, seconds: float) -> None:
    """Ignore the steps of a task."""


class Work(Protocol[_Result]):
    """What workers do: picklable; `start` runs once in each worker and returns the function that does tasks."""

    def start(self) -> Callable[[Any, Stage], _Result]: ...


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker died or hung during a task, at `step` of it; `reason` in a few words."""

    step: int
    reason: str


class Isolated(Generic[_Result]):
    """A worker process that does one task at a time; one that died is replaced for the next task.

    Args:
        work: what it does.
    """

    def __init__(self, work: Work[_Result]) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._lock, self._over, self._hung = threading.Lock(), False, False

    def do(self, task: Any) -> _Result | Crash:
        """Do a task; a Crash when the worker dies of it, or takes longer than it said.

        Raises:
            TrisentError: the worker cannot start; whatever the task raises is raised here too.
        """
        step = 0
        timer = self._started()
        try:
            self._send(task)
            while True:
                kind, *content = self._heard() or ("gone",)
                timer.cancel()
                if kind == "done":
                    result: _Result = content[0]
                    return result
                if kind == "raised":
                    raise content[0]
                if kind == "gone":
                    crash = Crash(step, self._why())
                    self._end()  # a process that was killed may seem to run for a moment
                    return crash
                step = content[0]
                timer = self._timer(content[1])
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process, and let nobody start another."""
        self._over = True
        self._end()

    def _end(self) -> None:
        with self._lock:
            if self._process is None:
                return
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                if stream:
                    with suppress(OSError):
                        stream.close()
            self._process = None

    def _started(self) -> threading.Timer:
        """Have a worker that is ready, and a clock that runs."""
        for left in reversed(range(_STARTS if self._process is None else 0)):
            kind, *content = self._start()
            if kind == "ready":
                break
            if kind == "raised":
                raise content[0]
            reason, hopeless = self._why(), self._hung or self._over or not left
            self._end()
            if hopeless:
                raise TrisentError(t("a worker could not start ({reason})", reason=reason))
        return self._timer(_START_S)

    def _start(self) -> tuple[Any, ...]:
        """Start a worker; return what it says when it is ready, or that it is not to be."""
        environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        with self._lock:
            if self._over:
                return ("gone",)
            self._hung, self._errors = False, tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
            )
        timer = self._timer(_START_S)
        self._send((sys.argv, logging.getLogger("trisent").level, self._work))
        heard = self._heard() or ("gone",)
        timer.cancel()
        return heard

    def _timer(self, seconds: float) -> threading.Timer:
        process = self._process

        def end() -> None:
            if process is not None and process is self._process:
                self._hung = True
                process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        return timer

    def _send(self, message: Any) -> None:
        if self._process and self._process.stdin:
            with suppress(OSError):  # it is dead, which is noticed when it is asked for its answer
                _write(self._process.stdin, message)

    def _heard(self) -> tuple[Any, ...] | None:
        """Wait for the next message, passing on what is logged meanwhile; None when the worker is gone."""
        try:
            while True:
                message: tuple[Any, ...] = pickle.load(self._process.stdout)  # type: ignore[union-attr,arg-type]
                if message[0] != "logged":
                    return message
                _log.log(message[1], "%s", message[2])
        except (EOFError, OSError, ValueError, AttributeError, pickle.UnpicklingError):
            return None

    def _why(self) -> str:
        """Say in a few words how it ended."""
        if self._hung or self._process is None:
            return t("it did not come to an end")
        code = self._process.wait()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        how = t("signal {n}", n=-code) if code < 0 else t("exit code {n}", n=code)
        return f"{how}: {said[-1].strip()[:200]}" if said else how


def run_in_processes(
    tasks: Iterable[_Task], work: Work[_Result], *, workers: int
) -> Iterator[tuple[_Task, _Result | Crash]]:
    """Do `tasks` in `workers` processes; yields each task with its result as they finish, in no particular order.

    A task in which a worker dies or takes longer than it said comes back as a Crash; the others go on.

    Args:
        tasks: picklable; taken only as workers get free.
        work: what is done with them.
        workers: how many; 0 does the tasks here, where nothing protects from one that crashes.

    Raises:
        TrisentError: a worker cannot start, or a task raised one; whatever else a task raises is raised here too.
    """
    if workers == 0:
        do = work.start()
        yield from ((task, do(task, no_step)) for task in tasks)
        return
    waiting, one_at_a_time = iter(tasks), threading.Lock()
    results: queue.Queue[tuple[_Task, _Result | Crash] | Exception | None] = queue.Queue(maxsize=workers)
    crew: list[Isolated[_Result]] = [Isolated(work) for _ in range(workers)]

    def serve_one(isolated: Isolated[_Result]) -> None:
        try:
            while True:
                with one_at_a_time:
                    task = next(waiting)
                results.put((task, isolated.do(task)))
        except StopIteration:
            results.put(None)
        except Exception as error:
            results.put(error)

    for isolated in crew:
        threading.Thread(target=serve_one, args=(isolated,), daemon=True).start()
    try:
        at_work = workers
        while at_work:
            match results.get():
                case None:
                    at_work -= 1
                case Exception() as error:
                    raise error
                case found:
                    yield found
    finally:
        for isolated in crew:
            isolated.close()


def serve() -> None:
    """Be a worker: read the work, then tasks, from standard input; write messages to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the messages
    requests = queue.SimpleQueue[Any]()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()

    one_at_a_time = threading.Lock()

    def answer(*message: Any) -> None:
        with one_at_a_time:
            _write(answers, message)

    try:
        sys.argv, level, work = _next(requests)
        logging.basicConfig(format="%(message)s")
        _pass_on(answer, level)
        keep_memory()
        do = work.start()
        answer("ready")
        while True:
            task = _next(requests)
            answer("done", do(task, lambda step, seconds: answer("step", step, seconds)))
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # the parent is gone, or has what it wants
    except Exception as error:
        with suppress(OSError):
            answer("raised", _picklable(error))
    os._exit(0)  # native libraries have nothing to save, and some take seconds to end


def _pass_on(answer: Callable[..., None], level: int) -> None:
    """Have the parent log what is logged here."""

    class _ToParent(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with suppress(OSError):
                answer("logged", record.levelno, record.getMessage())

    log = logging.getLogger("trisent")
    log.setLevel(level)
    log.addHandler(_ToParent())
    log.propagate = False  # what is said on the standard error is taken for the reason of a crash


def _receive(stream: IO[bytes], requests: "queue.SimpleQueue[Any]") -> None:
    """Read messages as they come, so that the end of the parent is noticed, and followed, in the middle of a task."""
    try:
        while True:
            requests.put(pickle.load(stream))
    except EOFError:
        os._exit(0)
    except Exception as error:  # what it says is not to be had here, such as a module
        requests.put(error)


def _next(requests: "queue.SimpleQueue[Any]") -> Any:
    message = requests.get()
    if isinstance(message, Exception):
        raise message
    return message


def _write(stream: IO[bytes], message: tuple[Any, ...]) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return TrisentError(f"{type(error).__name__}: {error}")
    return error
