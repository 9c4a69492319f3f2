"""What the doctor says: a state for every source, and one line to paste for every trouble."""

import importlib
import os
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from trisent.weights import doctor, entries, entry
from trisent.weights.finding import Finding
from unit.weights.hub_server import Fault, HubServer, hub_server
from unit.weights.probe_server import LIKE_A_HUB, Answers, source
from unit.weights.tiny import BERT, build_wheel

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes most of a second to start, and these tests are not about it."""
    monkeypatch.setattr("trisent.weights.which_pip.pip_is_here", lambda: False)


def of(subject: str) -> Finding:
    return next(finding for finding in doctor() if finding.subject == subject)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (None, "ok"),
        (Fault("status", times=9, status=503), "http"),
        (Fault("status", times=9, status=429), "rate-limited"),
        (Fault("moved", times=9), "not-mirrored"),
        (Fault("portal", times=9), "not-a-hub"),
        (Fault("short", times=9), "wrong-content"),
    ],
)
def test_the_doctor_puts_each_hub_into_a_state_with_a_fix(
    fault: Fault | None, state: str, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    bert = entry("bert-base-uncased")
    server.add_repo(bert.repo, BERT, revision=bert.revision)
    server.faults = [fault] if fault else []
    finding = of(server.url)
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


@pytest.mark.parametrize("fault", [Fault("moved", times=1), Fault("status", times=1, status=404)], ids=["308", "404"])
def test_a_mirror_that_has_main_but_not_the_commit_is_ok(
    fault: Fault, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    bert = entry("bert-base-uncased")
    server.add_repo(bert.repo, BERT, revision=bert.revision)
    fault.path = bert.revision
    server.faults = [fault]
    assert of(server.url).state == "ok"


def test_with_another_source_at_work_the_fix_is_to_pull(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bert = entry("bert-base-uncased")
    server.add_repo(bert.repo, BERT, revision=bert.revision)
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", (server.url,))
    fix = of("http://no-such-host.invalid").fix
    assert fix.startswith("trisent weights pull")
    assert server.url.removeprefix("http://") in fix


def test_a_mirror_that_fails_is_not_offered_as_its_own_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as gone:
        dead = gone.url
    # By name: `trisent.weights.doctor` the attribute is the function, not the module.
    monkeypatch.setattr(importlib.import_module("trisent.weights.doctor"), "MIRROR", dead)
    monkeypatch.setenv("HF_ENDPOINT", dead)
    fix = of(dead).fix
    assert "HF_ENDPOINT" not in fix
    assert "HTTPS_PROXY" in fix


def test_when_no_name_is_known_at_all_another_hub_is_no_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("trisent.weights.doctor")
    monkeypatch.setattr(module, "entries", lambda preset=None: [e for e in entries(preset) if not e.url])
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", ("http://a.invalid", "http://b.invalid"))
    assert "HTTPS_PROXY" in of("http://a.invalid").fix


@pytest.mark.skipif(os.name == "nt", reason="the fix is spelt for a POSIX shell")
def test_a_dead_proxy_is_named_and_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as gone:
        dead = gone.url
    monkeypatch.setenv("HTTP_PROXY", dead)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    finding = of("http://hub.invalid")
    assert (finding.state, dead in finding.detail) == ("proxy", True)
    assert finding.fix.startswith("unset HTTP_PROXY")


def test_a_socks_proxy_is_one_and_the_same_advice_for_the_variable_and_the_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    fixes = {finding.subject: finding.fix for finding in doctor()}
    assert fixes["http://hub.invalid"] == fixes["ALL_PROXY"] != ""


def test_a_company_that_inspects_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with source(tls=True) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        finding = of(endpoint)
    assert (finding.state, "Example Company" in finding.detail) == ("tls", True)
    assert "TRISENT_CA_BUNDLE" in finding.fix


@pytest.mark.parametrize(("off_s", "state"), [(0, "ok"), (-7200, "clock"), (7200, "clock")])
def test_the_clock_is_judged_by_the_sources(
    off_s: float, state: str, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    date = formatdate(time.time() + off_s, usegmt=True)
    monkeypatch.setattr("unit.weights.hub_server._Handler.date_time_string", lambda *_: date)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    finding = of("clock")
    assert finding.state == state
    assert bool(finding.fix) is (state != "ok")


def test_one_source_that_agrees_with_the_clock_is_enough(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(headers={**LIKE_A_HUB, "Date": formatdate(time.time() - 7200, usegmt=True)})
    with source(answers) as wrong:
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", (server.url,))
        assert of("clock").state == "ok"


def test_the_doctor_says_how_to_get_pip() -> None:
    finding = next(finding for finding in doctor() if finding.state == "no-pip")
    assert "uv pip install pip" in finding.fix


def test_the_doctor_asks_pip_whether_it_finds_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trisent.weights.which_pip.pip_is_here", lambda: True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    build_wheel(tmp_path, package="fer", version="25.10.3", members={})
    assert of("package index").state == "ok"


def test_offline_the_doctor_asks_nobody(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    finding = of("network")
    assert finding.state == "offline"
    assert "TRISENT_OFFLINE" in finding.fix
    assert server.requests == []


def test_every_trouble_has_a_fix_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "no-such-host.invalid ")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2.5")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    found = [finding for finding in doctor() if finding.state != "ok"]
    assert len(found) >= 3
    assert all(finding.fix and "\n" not in finding.fix for finding in found)
