"""Connections that break, stall, drip or never come about."""

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from faults.fetching import DATA, LANES, MB, QUICK, digest, fetch, kept, left_beside
from faults.server import Fault, FaultServer, blackhole, closed_port
from trisent.errors import WeightsError
from trisent.weights import reach
from trisent.weights.download import download
from trisent.weights.sources import Patience, SourcesFailedError


def test_a_line_cut_once_loses_no_byte(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("cut", after=2 * MB)]
    fetch(place, f"{server.url}/f")
    assert server.ranges_asked() == ["", f"bytes={2 * MB}-"]
    assert server.sent == len(DATA)


def test_a_line_cut_every_300_kb_arrives_in_the_end(server: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("cut", after=300_000)
    fetch(place, f"{server.url}/f")
    assert len(server.asked) == -(-len(DATA) // 300_000)
    assert server.sent == len(DATA)


def test_a_line_reset_at_the_first_packet_is_asked_again(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("refuse", times=2)]
    fetch(place, f"{server.url}/f")
    assert len(server.asked) == 3


def test_a_line_reset_every_3_mb_arrives_in_the_end(server: FaultServer, place: Path) -> None:
    data = DATA * 4
    server.files["/f"] = data
    server.always = lambda _: Fault("reset", after=3 * MB)
    fetch(place, f"{server.url}/f", data=data)
    # What the kernel had not handed over when the reset came is sent again.
    assert server.sent <= 1.10 * len(data)


def test_a_source_that_only_ever_resets_ends_in_an_error_with_the_part_kept(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("cut", after=MB)]
    server.always = lambda _: Fault("refuse")
    with pytest.raises(SourcesFailedError, match="the connection broke"):
        fetch(place, f"{server.url}/f")
    assert kept(place) == MB
    assert not place.exists()
    server.always = lambda _: None
    fetch(place, f"{server.url}/f")
    assert server.sent == len(DATA)


def test_silence_in_the_middle_is_given_up_and_continued(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("hang", after=MB)]
    fetch(place, f"{server.url}/f")
    assert server.sent == len(DATA)


def test_silence_instead_of_an_answer_is_left_for_another_source(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.always = lambda _: Fault("silence")
    fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert len(other.asked) == 1


def test_a_dripping_source_is_left_for_another_with_its_bytes_kept(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.always = lambda _: Fault("drip")
    start = time.monotonic()
    fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert time.monotonic() - start < 5  # from the drip alone it would take a quarter of an hour
    assert other.ranges_asked()[0].startswith("bytes=")
    assert server.sent + other.sent <= 1.05 * len(DATA)


def test_a_dripping_source_is_kept_when_it_is_the_only_one(server: FaultServer, place: Path) -> None:
    data = DATA[:5000]
    server.files["/f"] = data
    server.always = lambda _: Fault("drip")
    fetch(place, f"{server.url}/f", data=data, patience=replace(QUICK, window_s=0.1))
    assert len(server.asked) == 1


def test_a_dripping_source_is_gone_back_to_when_the_other_has_nothing(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    data = DATA[:5000]
    server.files["/f"], other.files = data, {}
    server.always = lambda _: Fault("drip")
    fetch(place, f"{server.url}/f", f"{other.url}/f", data=data, patience=replace(QUICK, window_s=0.1))
    assert len(other.asked) == 1


def test_an_answer_without_a_length_may_end_early_and_is_continued(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("headless", after=MB)]
    fetch(place, f"{server.url}/f")
    assert server.ranges_asked() == ["", f"bytes={MB}-"]


def test_an_answer_without_a_length_that_goes_on_too_long_is_taken_up_to_the_end(
    server: FaultServer, place: Path
) -> None:
    server.faults = [Fault("long")]
    fetch(place, f"{server.url}/f")
    assert len(server.asked) == 1


def test_a_server_without_ranges_passes_over_what_is_here_and_no_byte_is_lost(server: FaultServer, place: Path) -> None:
    server.ranges = False
    server.faults = [Fault("cut", after=2 * MB), Fault("cut", after=MB), Fault("cut", after=int(2.5 * MB))]
    fetch(place, f"{server.url}/f")
    assert len(server.asked) == 4


def test_a_server_without_ranges_that_always_breaks_is_left(server: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("no-range-cut", after=MB)
    with pytest.raises(SourcesFailedError, match="the connection"):
        fetch(place, f"{server.url}/f")
    assert kept(place) == MB


def test_a_closed_port_is_named_and_costs_two_tries(place: Path) -> None:
    start = time.monotonic()
    with pytest.raises(SourcesFailedError, match="no connection"):
        fetch(place, f"{closed_port()}/f", f"{closed_port()}/f")
    assert time.monotonic() - start < 3
    assert left_beside(place) == []


def test_three_hubs_behind_a_wall_that_swallows_packets_are_given_up_in_time(place: Path) -> None:
    patience = replace(QUICK, connect_s=0.4, connect_tries=Patience().connect_tries)
    start = time.monotonic()
    expected = pytest.raises(SourcesFailedError, match="no connection within the time limit")
    with blackhole() as a, blackhole() as b, blackhole() as c, expected:
        fetch(place, *(f"{hub}/{path}" for hub in (a, b, c) for path in ("pinned", "main")), patience=patience)
    assert time.monotonic() - start < 3 * 2 * 0.4 + 1.0


def test_the_real_limits_give_three_such_hubs_up_within_25_seconds() -> None:
    assert 3 * Patience().connect_tries * Patience().connect_s <= 25
    # A lost first packet is sent again after 1 s, then after 3 s: a bad line gets three chances.
    assert Patience().connect_s > 3


def test_a_hub_behind_a_wall_is_not_waited_for_again_by_the_next_file(server: FaultServer, tmp_path: Path) -> None:
    with blackhole() as wall:
        fetch(tmp_path / "one" / "f", f"{wall}/f", f"{server.url}/f")
        start = time.monotonic()
        fetch(tmp_path / "two" / "f", f"{wall}/f", f"{server.url}/f")
    assert time.monotonic() - start < QUICK.connect_s / 2


@pytest.fixture
def walls(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give hub.invalid three addresses that swallow every packet, all at the port of `server`; more can be added."""
    real, addresses = socket.getaddrinfo, [f"127.0.0.{number}" for number in (11, 12, 13)]

    def look_up(host: str, port: int, *rest: object, **options: int) -> list[object]:
        if host != "hub.invalid":
            return [*real(host, port, *rest, **options)]  # type: ignore[arg-type]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(reach, "_answered", {})
    with ExitStack() as stack:
        for address in addresses:
            stack.enter_context(blackhole(address, server.server_address[1]))
        yield addresses


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no 127.0.0.11")
def test_a_name_with_many_addresses_behind_a_wall_is_waited_for_once(
    walls: list[str], server: FaultServer, place: Path
) -> None:
    start = time.monotonic()
    with pytest.raises(SourcesFailedError, match="no connection within the time limit"):
        fetch(place, f"http://hub.invalid:{server.server_address[1]}/f", patience=replace(QUICK, connect_tries=1))
    assert time.monotonic() - start < 1.5 * QUICK.connect_s
    assert len(walls) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no 127.0.0.11")
def test_the_one_good_address_of_a_name_is_found_and_remembered(
    walls: list[str], server: FaultServer, place: Path
) -> None:
    walls += ["127.0.0.14", "127.0.0.1"]  # nobody listens at the first
    url = f"http://hub.invalid:{server.server_address[1]}/f"
    fetch(place.parent / "once" / "f", url, patience=replace(QUICK, connect_s=3.0))
    start = time.monotonic()
    fetch(place.parent / "again" / "f", url)
    assert time.monotonic() - start < 0.5


def test_a_name_that_does_not_exist_is_a_matter_of_dns(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourcesFailedError, match=r"hub\.invalid: its name is unknown here \(DNS\)"):
        fetch(place, "http://hub.invalid/f")


def test_a_plain_port_spoken_to_in_tls_is_left_at_once(server: FaultServer, other: FaultServer, place: Path) -> None:
    with pytest.raises(SourcesFailedError, match="no secure connection"):
        fetch(place, f"https://{server.host}/f")
    fetch(place, f"https://{server.host}/f", f"{other.url}/f")


@pytest.mark.parametrize("address", ["hub.example/f", "ftp://hub.example/f", "http://[::1/f", ""])
def test_an_address_that_is_none_is_left_for_the_next(address: str, server: FaultServer, place: Path) -> None:
    fetch(place, address, f"{server.url}/f")


def test_a_proxy_that_is_dead_is_named_with_its_variable(
    server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", dead := closed_port())
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(SourcesFailedError, match=f"the proxy {dead} of HTTP_PROXY: no connection"):
        fetch(place, f"{server.url}/f")
    assert server.asked == []


def test_a_storage_that_cannot_be_reached_is_named_not_the_hub_that_hands_over_to_it(
    server: FaultServer, place: Path
) -> None:
    server.always = lambda _: Fault("redirect", status=302, to=f"{closed_port()}/blob")
    with pytest.raises(
        SourcesFailedError, match=rf"{server.host}: hands over to 127\.0\.0\.1:\d+, which does not answer"
    ):
        fetch(place, f"{server.url}/f")


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9", "http://127.0.0.1:port", "http://[::1"]
)
def test_a_proxy_that_is_none_is_one_line_that_leads_to_the_doctor(
    proxy: str, server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # SOCKS needs it
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(
        WeightsError, match=r"the proxy that is set cannot be used \(.*\)\. Run: trisent weights doctor"
    ):
        fetch(place, f"{server.url}/f")
    assert server.asked == []


def test_progress_never_goes_back_while_lines_break(server: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("cut", after=MB)
    seen: list[int] = []
    download(
        [f"{server.url}/f"],
        place,
        bytes=len(DATA),
        sha256=digest(DATA),
        patience=QUICK,
        on_progress=lambda _, done, __: seen.append(done),
    )
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)


def test_lanes_survive_resets_too(server: FaultServer, place: Path) -> None:
    server.rate = 2 * MB
    server.always = lambda _: Fault("reset", after=MB // 2)
    fetch(place, f"{server.url}/f", data=DATA, patience=LANES)
    assert server.sent <= 1.10 * len(DATA)


def test_the_context_verifies_certificates() -> None:
    from trisent.weights.connection import client

    with client() as http:
        context = http._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
