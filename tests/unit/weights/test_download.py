"""Every fault of the field, against a real server on 127.0.0.1."""

import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights.download import download
from trisent.weights.sources import Patience, SourcesFailedError
from unit.weights.hub_server import Fault, HubServer, hub_server
from unit.weights.tiny import environment

DATA = random.Random(1).randbytes(600_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(tries=3, first_wait_s=0.01, connect_s=2.0, read_s=0.5)


@pytest.fixture(autouse=True)
def file_on_server(server: HubServer) -> None:
    server.files["/f"] = DATA


def fetch(destination: Path, *urls: str, patience: Patience = QUICK) -> None:
    download(urls, destination, bytes=len(DATA), sha256=DIGEST, patience=patience)
    assert destination.read_bytes() == DATA


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_arrives_whole_with_progress_in_bytes(server: HubServer, tmp_path: Path) -> None:
    events: list[tuple[str, int, int]] = []
    download(
        [f"{server.url}/f"], tmp_path / "f", bytes=len(DATA), sha256=DIGEST, on_progress=lambda *e: events.append(e)
    )
    assert events[-1] == ("f", len(DATA), len(DATA))
    assert [done for _, done, _ in events] == sorted(done for _, done, _ in events)
    assert left_in(tmp_path) == ["f", "work"]


def test_what_is_already_there_is_not_asked_for(server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    fetch(tmp_path / "f", f"{server.url}/f")
    assert server.requests == []


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_broken_connection_is_continued_where_it_broke(kind: str, server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault(kind, times=3, after=150_000)]
    fetch(tmp_path / "f", f"{server.url}/f")
    ranges = server.gets()
    assert ranges[0] == ""
    assert len(ranges) == 4
    # A reset may cost what the kernel had not handed over yet, a clean end costs nothing.
    if kind == "cut":
        assert ranges[1:] == ["bytes=150000-", "bytes=300000-", "bytes=450000-"]


def test_a_silent_connection_is_given_up_and_continued(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("hang", after=200_000)]
    fetch(tmp_path / "f", f"{server.url}/f")
    assert server.gets() == ["", "bytes=200000-"]


def test_a_server_error_is_tried_again(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("status", times=2, status=500)]
    fetch(tmp_path / "f", f"{server.url}/f")
    assert len(server.gets()) == 3


def test_retry_after_is_obeyed(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("status", status=429, headers={"Retry-After": "1"})]
    start = time.monotonic()
    fetch(tmp_path / "f", f"{server.url}/f")
    assert time.monotonic() - start >= 1.0


def test_while_one_source_asks_to_wait_another_is_used(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("status", status=429, headers={"Retry-After": "30"})]
    start = time.monotonic()
    with hub_server() as other:
        other.files["/f"] = DATA
        fetch(tmp_path / "f", f"{server.url}/f", f"{other.url}/f")
    assert time.monotonic() - start < 10


def test_from_a_server_that_ignores_ranges_what_is_here_is_passed_over(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cut", after=100_000), Fault("no-range")]
    fetch(tmp_path / "f", f"{server.url}/f")
    assert len(server.gets()) == 2


def test_a_server_that_always_breaks_and_ignores_ranges_is_left_in_the_end(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cut-no-range", times=99, after=100_000)]
    with pytest.raises(SourcesFailedError, match="connection"):
        fetch(tmp_path / "f", f"{server.url}/f")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("wrong", path="/bad"), "delivered wrong bytes"),
        (Fault("portal", path="/bad"), "web page instead of the file"),
        (Fault("moved", path="/bad"), "does not have it and points to elsewhere.invalid"),
        (Fault("short", path="/bad"), "announces 599990 bytes, expected 600000"),
        (Fault("status", path="/bad", status=401), "HTTP 401"),
        (Fault("status", path="/bad", status=404), "HTTP 404"),
    ],
)
def test_a_source_that_cannot_deliver_is_left_for_the_next(
    fault: Fault, cause: str, server: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.files["/bad"] = DATA
    server.faults = [replace(fault)]
    fetch(tmp_path / "f", f"{server.url}/bad", f"{server.url}/f")
    assert len(server.gets("/bad")) == 1
    assert cause in caplog.text


def test_wrong_bytes_are_never_installed_and_never_kept(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("wrong", times=9)]
    with pytest.raises(SourcesFailedError, match=r"127\.0\.0\.1:\d+: delivered wrong bytes"):
        fetch(tmp_path / "folder" / "f", f"{server.url}/f")
    assert left_in(tmp_path / "folder") == []


def test_nobody_is_blamed_for_a_part_of_unknown_origin(server: HubServer, tmp_path: Path) -> None:
    (tmp_path / f".f.{DIGEST[:12]}.part").write_bytes(b"\0" * 1000)
    fetch(tmp_path / "f", f"{server.url}/f")
    assert server.gets() == ["bytes=1000-", ""]


def test_the_error_names_each_source_with_its_cause_in_one_line(server: HubServer, tmp_path: Path) -> None:
    with hub_server() as other:
        server.faults = [Fault("status", times=9, status=404)]
        other.faults = [Fault("portal", times=9)]
        with pytest.raises(SourcesFailedError) as caught:
            fetch(tmp_path / "f", f"{server.url}/f", f"{other.url}/f")
    message = str(caught.value)
    assert f"127.0.0.1:{server.server_address[1]}: HTTP 404" in message
    assert f"127.0.0.1:{other.server_address[1]}: sends a web page" in message
    assert "\n" not in message


def test_a_host_that_refuses_connections_is_left_after_two_tries_for_all_its_addresses(tmp_path: Path) -> None:
    with hub_server() as gone:
        url = gone.url
    start = time.monotonic()
    with pytest.raises(SourcesFailedError, match="no connection"):
        fetch(tmp_path / "f", f"{url}/a", f"{url}/b")
    assert time.monotonic() - start < 5


def test_a_full_disk_is_noticed_before_the_first_byte(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(WeightsError, match="Make room"):
        fetch(tmp_path / "f", f"{server.url}/f")
    assert server.requests == []


def test_the_file_has_the_permissions_of_any_new_file(server: HubServer, tmp_path: Path) -> None:
    fetch(tmp_path / "f", f"{server.url}/f")
    (tmp_path / "ordinary").write_bytes(b"")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_no_token_is_ever_sent(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(tmp_path / "f", f"{server.url}/f")
    assert all("hf_secret" not in str(headers) for *_, headers in server.requests)


def test_chinese_and_blank_characters_in_the_path_do_no_harm(server: HubServer, tmp_path: Path) -> None:
    fetch(tmp_path / "模型 缓存" / "权 重.bin", f"{server.url}/f")


CHILD = """
import sys
from pathlib import Path
from trisent.weights.download import download
download([sys.argv[1]], Path(sys.argv[2]), bytes=int(sys.argv[3]), sha256=sys.argv[4])
"""


def start_child(server: HubServer, destination: Path) -> subprocess.Popen[bytes]:
    arguments = [f"{server.url}/f", str(destination), str(len(DATA)), DIGEST]
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], env=environment())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a POSIX word")
def test_after_kill_9_only_the_rest_is_fetched(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("hang", after=400_000)]
    child = start_child(server, tmp_path / "f")
    part = tmp_path / f".f.{DIGEST[:12]}.part"
    deadline = time.monotonic() + 15
    while not (part.exists() and part.stat().st_size >= 380_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = part.stat().st_size
    fetch(tmp_path / "f", f"{server.url}/f")
    assert kept >= 380_000
    assert server.gets() == ["", f"bytes={kept}-"]


def test_two_processes_make_one_download(server: HubServer, tmp_path: Path) -> None:
    children = [start_child(server, tmp_path / "f") for _ in range(2)]
    assert [child.wait(timeout=30) for child in children] == [0, 0]
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.gets() == [""]


def test_faults_that_were_handled_are_in_the_log(
    server: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = [Fault("status", status=502)]
    with caplog.at_level(logging.WARNING, "trisent"):
        fetch(tmp_path / "f", f"{server.url}/f")
    assert "HTTP 502; asking again" in caplog.text
