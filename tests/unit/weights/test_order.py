"""The order of the sources: the plan says it, and the pull keeps it."""

import importlib
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from trisent.weights import entry, order, plan, pull
from trisent.weights.probe import Probe, probe_in_turn
from unit.weights.hub_server import Fault, HubServer, hub_server
from unit.weights.tiny import BERT, RESNET_PTH, RESNET_SAFETENSORS

A, B, C = (f"https://{host}.example/org/name/resolve/main/f" for host in "abc")
REPO = "google-bert/bert-base-uncased"


@pytest.fixture
def mirror(server: HubServer, tiny: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:  # noqa: ARG001
    """Run a less trusted hub beside `server`; both have BERT."""
    with hub_server() as running:
        for hub in (server, running):
            hub.add_repo(REPO, BERT, revision=entry(REPO).revision)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", (running.url,))
        yield running


def measure(monkeypatch: pytest.MonkeyPatch, rates: dict[str, float]) -> None:
    """Let the probe measure these rates (server -> bytes a second) where it finds a file."""

    def with_rate(urls: list[str], *, size: int, sha256: str, is_hub: bool) -> Probe:
        found = probe_in_turn(urls, size=size, sha256=sha256, is_hub=is_hub)
        rate = next(rate for server, rate in rates.items() if urls[0].startswith(server))
        return Probe(found.url, found.state, found.detail, rate if found.usable else None)

    # By name: `trisent.weights.plan` the attribute is the function, not the module.
    monkeypatch.setattr(importlib.import_module("trisent.weights.plan"), "probe_in_turn", with_rate)


def bytes_from(hub: HubServer) -> set[str]:
    return {path.rpartition("/")[2] for method, path, _, _ in hub.requests if method == "GET" and "/resolve/" in path}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({}, [A, B, C]),
        ({A: 100.0, B: 200.0, C: 299.0}, [A, B, C]),
        ({A: 100.0, B: 200.0, C: 300.0}, [C, A, B]),
        ({A: None, B: 100.0, C: 200.0}, [B, C, A]),
        ({A: None, B: 100.0, C: 500.0}, [C, B, A]),
        ({B: 10.0, C: 900.0}, [A, B, C]),  # of A nobody knows anything bad
        ({A: None, B: None, C: None}, [A, B, C]),
    ],
)
def test_trust_decides_unless_a_source_is_much_faster_or_has_it_not(
    rates: dict[str, float | None], expected: list[str]
) -> None:
    for url, rate in rates.items():
        order.remember(url, usable=rate is not None, bytes_per_s=rate)
    assert order.in_order([A, B, C]) == expected


def test_what_was_measured_of_one_repository_says_nothing_of_another() -> None:
    order.remember(A, usable=False, bytes_per_s=None)
    others = [url.replace("org/name", "org/other") for url in (A, B)]
    assert order.in_order(others) == others


def test_a_measurement_of_long_ago_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    order.remember(A, usable=False, bytes_per_s=None)
    later = time.monotonic() + 3600
    monkeypatch.setattr("trisent.weights.order.time.monotonic", lambda: later)
    assert order.in_order([A, B]) == [A, B]


def test_the_trusted_source_is_planned_and_asked_though_another_is_somewhat_faster(
    server: HubServer, mirror: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(monkeypatch, {server.url: 1e6, mirror.url: 2.5e6})
    [model] = plan([REPO]).models
    assert (model.source, model.bytes_per_s, model.note) == (urlsplit(server.url).netloc, 1e6, "")
    for hub in (server, mirror):
        hub.requests.clear()
    pull([REPO])
    assert bytes_from(server) == set(BERT)
    assert mirror.requests == []


def test_a_much_faster_source_is_planned_and_asked_first_and_the_plan_says_so(
    server: HubServer, mirror: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(monkeypatch, {server.url: 1e6, mirror.url: 4e6})
    [model] = plan([REPO]).models
    assert model.source == urlsplit(mirror.url).netloc
    assert model.note == f"{urlsplit(server.url).netloc} has it, too, at 1000 kB a second"
    assert [urlsplit(one.url).netloc for one in model.sources] == [urlsplit(hub.url).netloc for hub in (mirror, server)]
    for hub in (server, mirror):
        hub.requests.clear()
    pull([REPO])
    assert bytes_from(mirror) == set(BERT)
    assert server.requests == []


def test_a_source_that_has_it_not_is_not_asked_again_first(server: HubServer, mirror: HubServer) -> None:
    server.faults = [Fault("moved", times=99)]
    [model] = plan([REPO]).models
    assert model.source == urlsplit(mirror.url).netloc
    server.requests.clear()
    pull([REPO])
    assert server.requests == []


def test_an_alternative_file_of_a_much_faster_source_is_planned_and_fetched(
    server: HubServer, mirror: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/models/r.pth"] = RESNET_PTH
    alternative = entry("resnet50").files[1]
    mirror.add_repo(alternative.repo, {"model.safetensors": RESNET_SAFETENSORS}, revision=alternative.revision)
    measure(monkeypatch, {server.url: 1e5, mirror.url: 1e6})
    [model] = plan(["resnet50"]).models
    assert model.source == urlsplit(mirror.url).netloc
    assert model.left == len(RESNET_SAFETENSORS)
    assert pull(["resnet50"])[0].file.read_bytes() == RESNET_SAFETENSORS


def test_progress_names_the_file_and_the_host_that_it_comes_from(server: HubServer, mirror: HubServer) -> None:
    server.faults = [Fault("status", path="model.safetensors", times=99, status=404)]
    events: list[str] = []
    pull([REPO], on_progress=lambda what, *_: events.append(what))
    assert f"{REPO.partition('/')[2]}: config.json from {urlsplit(server.url).netloc}" in events
    assert f"{REPO.partition('/')[2]}: model.safetensors from {urlsplit(mirror.url).netloc}" in events
