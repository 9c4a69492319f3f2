"""Worker processes: their results, their deaths, and who notices."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trisent.errors import DataError, TrisentError
from trisent.features.pool import Crash, Isolated, run_in_processes
from works import DiesAtFirst, NeverStarts, Odd


def test_every_task_is_done_once_whatever_the_number_of_workers() -> None:
    results = list(run_in_processes(range(20), Odd(), workers=2))
    assert sorted(results) == [(n, n * n) for n in range(20)]


def test_tasks_are_taken_only_as_workers_get_free() -> None:
    taken: list[int] = []
    results = run_in_processes((taken.append(n) or n for n in range(100)), Odd(), workers=1)
    next(results)
    assert len(taken) <= 4  # the one that is back, one on its way back, one at work and one at hand
    results.close()


def test_a_worker_that_dies_costs_only_its_own_task() -> None:
    results = dict(run_in_processes([1, "die", 2, 3], Odd(), workers=1))
    assert results == {1: 1, 2: 4, 3: 9, "die": Crash(3, f"signal {int(signal.SIGSEGV)}")}


def test_what_a_dying_worker_said_is_passed_on() -> None:
    ((_, crash),) = run_in_processes(["leave"], Odd(), workers=1)
    assert crash == Crash(3, "exit code 7: the disk is on fire")


def test_a_worker_that_takes_longer_than_it_said_is_ended_and_replaced() -> None:
    begun_s = time.monotonic()
    results = dict(run_in_processes(["hang", 5], Odd(), workers=1))
    assert results[5] == 25
    assert results["hang"] == Crash(4, "it did not come to an end")
    assert time.monotonic() - begun_s < 300  # of the 600 that the task would take


def test_what_a_worker_warns_of_is_heard_here(caplog: pytest.LogCaptureFixture) -> None:
    assert dict(run_in_processes(["warn", 2], Odd(), workers=1)) == {"warn": 0, 2: 4}
    assert caplog.messages == ["the file a.mp4 is damaged"]


def test_an_error_of_a_task_is_raised_here() -> None:
    with pytest.raises(DataError, match="no such clip"):
        list(run_in_processes([1, "raise"], Odd(), workers=2))


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(DataError, match="no weights"):
        list(run_in_processes([1], NeverStarts(), workers=1))


def test_a_worker_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    assert dict(run_in_processes([3], DiesAtFirst(tmp_path / "died", times=2), workers=1)) == {3: 9}
    with pytest.raises(TrisentError, match=r"could not start \(signal 9"):
        list(run_in_processes([3], DiesAtFirst(tmp_path / "dies", times=9), workers=1))


def test_what_a_library_prints_does_not_get_between_the_answers() -> None:
    isolated = Isolated(Odd())
    try:
        first, second = isolated.do("print"), isolated.do("print")
        assert first == second  # the same process did both
        assert first != os.getpid()
    finally:
        isolated.close()


def test_a_worker_has_one_thread() -> None:
    ((_, threads),) = run_in_processes(["threads"], Odd(), workers=1)
    assert threads == 1


_PARENT = """
import sys, threading, time
from works import Odd
from trisent.features.pool import Isolated
isolated = Isolated(Odd())
worker = isolated.do("print")
if sys.argv[1] == "at work":
    threading.Thread(target=isolated.do, args=["sleep"], daemon=True).start()
    time.sleep(0.5)
print(worker, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the process under /proc")
@pytest.mark.parametrize("doing", ["idle", "at work"])
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, doing: str) -> None:
    script = tmp_path / "no guard against being imported.py"
    script.write_text(_PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    parent = subprocess.Popen(
        [sys.executable, str(script), doing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.communicate()
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and "Z" not in _state(worker) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists() or "Z" in _state(worker)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
