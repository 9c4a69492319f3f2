"""The hub's list of a repository, over a bad line."""

import json
import time

import pytest

from faults.server import Asked, Fault, FaultServer
from trisent.weights import connection, listing

COMMIT = "c" * 40
ROWS = [{"type": "file", "path": "config.json", "size": 3, "oid": "0" * 40}]


@pytest.fixture(autouse=True)
def hub(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {
        "/api/models/org/name/revision/main": json.dumps({"sha": COMMIT}).encode(),
        f"/api/models/org/name/tree/{COMMIT}": json.dumps(ROWS).encode(),
    }
    monkeypatch.setattr(listing, "_FIRST_WAIT_S", 0.01)


def test_a_sound_hub_is_asked_twice(server: FaultServer) -> None:
    assert listing.listing(server.url, "org/name") == (COMMIT, ROWS)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", times=2),
        Fault("status", status=502, times=2),
        Fault("status", status=429, headers={"Retry-After": "0"}, times=2),
        Fault("cut", after=5, times=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_the_trouble_of_a_moment_is_waited_out(fault: Fault, server: FaultServer) -> None:
    server.faults = [fault]
    assert listing.listing(server.url, "org/name") == (COMMIT, ROWS)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("status", status=404), "HTTP 404"),
        (Fault("portal"), "log-in portal"),
        (Fault("redirect", status=308, to="http://elsewhere.invalid/"), "points to elsewhere.invalid"),
        (Fault("status", status=429, headers={"Retry-After": "300"}), "HTTP 429"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_a_hub_that_will_not_list_is_left_at_once_with_its_cause(fault: Fault, cause: str, server: FaultServer) -> None:
    server.faults = [fault]
    start = time.monotonic()
    with pytest.raises(listing.ListingError, match=cause):
        listing.listing(server.url, "org/name")
    assert time.monotonic() - start < 2
    assert len(server.asked) == 1


def test_a_private_repository_is_listed_with_the_token_and_a_mirror_never_sees_it(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def private(asked: Asked) -> Fault | None:
        return None if "Authorization" in asked.headers else Fault("status", status=401)

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.always = private
    with pytest.raises(listing.ListingError, match="HTTP 401"):
        listing.listing(server.url, "org/name")
    monkeypatch.setattr(connection, "_TOKEN_ORIGIN", f"{server.url}/")
    assert listing.listing(server.url, "org/name") == (COMMIT, ROWS)


@pytest.mark.parametrize(
    "change",
    [
        {"path": None},
        {"size": "9"},
        {"size": -1},
        {"size": None},
        {"oid": None},
        {"oid": "../../x" * 6},
        {"oid": "C" * 40},
    ],
    ids=str,
)
def test_rows_that_are_no_files_are_not_taken_for_some(change: dict[str, object], server: FaultServer) -> None:
    [tree] = [path for path in server.files if "/tree/" in path]
    server.files[tree] = json.dumps(
        [*ROWS, {"type": "file", "path": "x", "size": 1, "oid": "a" * 40} | change]
    ).encode()
    with pytest.raises(listing.ListingError, match="lists no files"):
        listing.listing(server.url, "org/name")
