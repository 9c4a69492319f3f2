"""Processes that are killed, interrupted, or two at a time; and disks that are full."""

import logging
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.fetching import DATA, MB, child, digest, fetch, kept, left_beside
from faults.server import Fault, FaultServer
from trisent.errors import WeightsError
from trisent.weights.download import download

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX words")

logger = logging.getLogger(__name__)

BIG = random.Random(3).randbytes(64 * MB)
ALONE = {"connections": 1, "first_wait_s": 0.05}
TOGETHER = {"connections": 4, "judge_s": 0.05, "piece_bytes": 4 * MB, "worth_bytes": MB, "first_wait_s": 0.05}


def wait_for_bytes(server: FaultServer, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while server.sent < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("patience", "rate"), [(ALONE, 40 * MB), (TOGETHER, 10 * MB)], ids=["alone", "together"])
def test_twenty_kills_at_random_bytes_cost_a_tenth_of_the_file_at_most(
    patience: dict[str, float], rate: int, server: FaultServer, place: Path
) -> None:
    server.files["/f"] = BIG
    server.rate = rate
    kills = sorted(random.Random(11).randrange(len(BIG)) for _ in range(20))
    killed = 0
    for at in kills:
        process = child(place, f"{server.url}/f", data=BIG, patience=patience)
        wait_for_bytes(server, max(at, server.sent + 1), process)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        assert process.stderr is not None
        process.stderr.close()
        assert not place.exists()
    fetch(place, f"{server.url}/f", data=BIG)
    assert killed == 20
    ratio = server.sent / len(BIG)
    logger.info("sent by the server: %.3f times the file", ratio)
    assert ratio <= 1.10


def test_ctrl_c_ends_in_under_a_second_with_the_part_kept(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("hang", after=2 * MB)]
    process = child(place, f"{server.url}/f")
    wait_for_bytes(server, 2 * MB, process)
    time.sleep(0.1)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert time.monotonic() - start < 1
    assert "KeyboardInterrupt" in error
    assert kept(place) == 2 * MB
    assert not place.exists()


def test_ctrl_c_ends_in_under_a_second_while_four_connections_hang(server: FaultServer, place: Path) -> None:
    server.files["/f"] = BIG[: 16 * MB]
    server.rate = 4 * MB
    server.always = lambda asked: Fault("hang", after=MB) if asked.range else None
    process = child(place, f"{server.url}/f", data=BIG[: 16 * MB], patience=TOGETHER)
    wait_for_bytes(server, 5 * MB, process)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - start < 1
    assert kept(place, BIG[: 16 * MB]) >= 0.95 * 5 * MB


def test_ctrl_c_ends_in_under_a_second_while_a_source_makes_us_wait(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("status", status=429, headers={"Retry-After": "60"})]
    process = child(place, f"{server.url}/f")
    while not server.asked:
        time.sleep(0.01)
    time.sleep(0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - start < 1


def test_two_processes_make_one_download(server: FaultServer, place: Path) -> None:
    server.rate = 3 * MB
    processes = [child(place, f"{server.url}/f") for _ in range(2)]
    messages = [process.communicate(timeout=30)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(messages) == ["", "another process is fetching f; waiting for it\n"]
    assert place.read_bytes() == DATA
    assert len(server.asked) == 1


def test_when_the_first_of_two_processes_is_killed_the_second_continues_its_part(
    server: FaultServer, place: Path
) -> None:
    server.rate = 2 * MB
    first = child(place, f"{server.url}/f")
    wait_for_bytes(server, MB, first)
    second = child(place, f"{server.url}/f")
    time.sleep(0.3)
    first.kill()
    first.communicate()
    second.communicate(timeout=30)
    assert second.returncode == 0
    assert place.read_bytes() == DATA
    assert server.sent <= 1.1 * len(DATA)


def test_a_disk_that_is_too_small_is_refused_before_a_request(
    server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(folder: Path) -> object:
        asked.append(folder)
        return type("Usage", (), {"free": 10**6})

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(WeightsError, match=r"1 MB are free\. Make room"):
        fetch(place, f"{server.url}/f")
    assert asked == [place.parent]  # the volume of the destination, not of the home
    assert server.asked == []


def test_only_the_missing_bytes_need_room(server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.parent.mkdir()
    (place.parent / f".f.{digest(DATA)[:12]}.part").write_bytes(DATA[:-1000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**6}))
    fetch(place, f"{server.url}/f")


def test_a_place_that_cannot_be_a_folder_is_refused_before_a_request(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match=r"nothing can be written to .*file.*HF_HOME or TORCH_HOME to another"):
        fetch(tmp_path / "file" / "weights" / "f", f"{server.url}/f")
    assert server.asked == []


def test_a_volume_for_reading_only_is_refused_before_a_request(server: FaultServer, tmp_path: Path) -> None:
    with volume(tmp_path / "stick", 30) as stick:
        subprocess.run(["mount", "-o", "remount,ro", str(stick)], check=True)
        for place in (stick / "f", stick / "weights" / "f"):
            with pytest.raises(WeightsError, match="nothing can be written to"):
                fetch(place, f"{server.url}/f")
    assert server.asked == []


def test_a_limit_met_on_the_way_keeps_what_came_and_says_so(server: FaultServer, place: Path) -> None:
    process = child(place, f"{server.url}/f", limit=2 * MB)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"is full after {2 * MB} of {len(DATA)} bytes of f; they are kept" in error
    assert kept(place) == 2 * MB
    fetch(place, f"{server.url}/f")
    assert server.ranges_asked() == ["", f"bytes={2 * MB}-"]


@contextmanager
def volume(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small volume, where that is allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("patience", [ALONE, TOGETHER], ids=["alone", "together"])
def test_a_volume_that_fills_up_keeps_what_came_and_says_so(
    patience: dict[str, float], server: FaultServer, tmp_path: Path
) -> None:
    data = BIG[: 48 * MB]
    server.files["/f"] = data
    server.rate = 20 * MB
    with volume(tmp_path / "stick", 60) as stick:
        ballast = stick / "ballast"
        process = child(stick / "f", f"{server.url}/f", data=data, patience=patience)
        wait_for_bytes(server, 4 * MB, process)
        ballast.write_bytes(bytes(30 * MB))  # after the check: another program takes the room
        _, error = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "they are kept. Make room" in error
        here, sent = kept(stick / "f", data), server.sent
        assert here >= 25 * MB
        ballast.unlink()
        fetch(stick / "f", f"{server.url}/f", data=data)
        assert server.sent - sent <= len(data) - here + MB


def test_a_volume_of_30_mb_is_refused_48_mb_without_a_request(server: FaultServer, tmp_path: Path) -> None:
    with volume(tmp_path / "stick", 30) as stick:
        with pytest.raises(WeightsError, match=r"needs \d+ MB in .*stick, 31 MB are free"):
            download([f"{server.url}/f"], stick / "f", bytes=48 * MB, sha256=digest(DATA))
        assert left_beside(stick / "f") == []
    assert server.asked == []
