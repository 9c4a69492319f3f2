"""Answers that are not the file: each is refused with its reason, and the next source is asked."""

import email.utils
import time
from dataclasses import replace
from pathlib import Path

import pytest

from faults.fetching import DATA, MB, QUICK, digest, fetch, kept, left_beside, part_of
from faults.server import Asked, Fault, FaultServer, closed_port
from trisent.weights import connection
from trisent.weights.download import download
from trisent.weights.sources import SourcesFailedError

ELSEWHERE = "http://elsewhere.invalid/f"
OTHER_DIGEST = f'"{digest(b"another revision")}"'


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("wrong"), "delivered wrong bytes"),
        (Fault("short"), f"announces {len(DATA) - 1} bytes, expected {len(DATA)}"),
        (Fault("encoded"), "sends the file re-encoded"),
        (Fault("portal"), "log-in portal"),
        (Fault("page"), "log-in portal"),
        (Fault("status", status=511), "log-in portal"),
        (Fault("redirect", status=308, to=ELSEWHERE), "does not have it and points to elsewhere.invalid"),
        (Fault("redirect", status=301, to=ELSEWHERE), "does not have it and points to elsewhere.invalid"),
        (Fault("redirect", status=302, to="/f", times=99), "redirects in circles"),
        (Fault("none", headers={"X-Linked-Etag": OTHER_DIGEST}), "has another file"),
        (Fault("none", headers={"X-Linked-Size": "5"}), f"announces 5 bytes, expected {len(DATA)}"),
        (Fault("redirect", status=302, to=ELSEWHERE, headers={"X-Linked-Etag": OTHER_DIGEST}), "has another file"),
        (Fault("status", status=400), "HTTP 400"),
        (Fault("status", status=401), "HTTP 401"),
        (Fault("status", status=403), "HTTP 403"),
        (Fault("status", status=404), "HTTP 404"),
        (Fault("status", status=410), "HTTP 410"),
        (Fault("status", status=451), "HTTP 451"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_what_cannot_be_the_file_is_left_at_once_for_the_next_source(
    fault: Fault, cause: str, server: FaultServer, other: FaultServer, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = [replace(fault)]
    fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert cause in caplog.text
    assert other.sent == len(DATA)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_trouble_of_the_moment_is_waited_out(status: int, server: FaultServer, place: Path) -> None:
    server.faults = [Fault("status", status=status, times=2)]
    fetch(place, f"{server.url}/f")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_trouble_that_lasts_is_an_error_that_names_it(status: int, server: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("status", status=status)
    with pytest.raises(SourcesFailedError, match=rf"{server.host}: HTTP {status}"):
        fetch(place, f"{server.url}/f")
    assert len(server.asked) == QUICK.tries
    assert left_beside(place) == []


def test_retry_after_is_obeyed_as_seconds_and_as_a_date(server: FaultServer, place: Path) -> None:
    date = email.utils.formatdate(time.time() + 3, usegmt=True)  # cut to whole seconds, so at least 2 from now
    server.faults = [Fault("status", status=429, headers={"Retry-After": value}) for value in ("1", date)]
    start = time.monotonic()
    fetch(place, f"{server.url}/f")
    assert 1.9 < time.monotonic() - start < 6


def test_a_retry_after_of_a_day_is_cut_to_the_longest_wait(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("status", status=503, headers={"Retry-After": "86400"})]
    start = time.monotonic()
    fetch(place, f"{server.url}/f", patience=replace(QUICK, longest_wait_s=0.3))
    assert 0.3 <= time.monotonic() - start < 3


def test_a_retry_after_that_no_calendar_has_is_no_wish(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("status", status=503, headers={"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"})]
    fetch(place, f"{server.url}/f")


def test_a_page_in_the_middle_of_a_download_spoils_nothing_of_what_came(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("cut", after=2 * MB), Fault("page")]
    with pytest.raises(SourcesFailedError, match="log-in portal"):
        fetch(place, f"{server.url}/f")
    assert kept(place) == 2 * MB
    fetch(place, f"{server.url}/f")
    assert server.sent <= 1.1 * len(DATA)


def test_a_rate_limit_holds_for_every_address_of_the_host(server: FaultServer, other: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("status", status=429, headers={"Retry-After": "60"})
    fetch(place, f"{server.url}/f", f"{server.url}/f?main", f"{other.url}/f")
    assert len(server.asked) == 1


def test_a_pinned_commit_that_is_not_mirrored_is_taken_from_main(server: FaultServer, place: Path) -> None:
    server.faults = [Fault("redirect", path="/pinned", status=308, to=ELSEWHERE)]
    server.files["/main/f"] = DATA
    fetch(place, f"{server.url}/pinned/f", f"{server.url}/main/f")


def test_main_with_another_file_is_found_out_before_its_bytes(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.extra = {"X-Linked-Etag": OTHER_DIGEST}
    fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert server.sent < MB


def test_a_storage_host_that_is_blocked_is_left_for_another_source(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    storage = f"{closed_port()}/f"
    server.always = lambda _: Fault("redirect", status=302, to=storage, headers={"X-Repo-Commit": "c"})
    fetch(place, f"{server.url}/f", f"{other.url}/f")


def test_an_expired_signed_address_is_asked_for_anew_with_the_part_kept(server: FaultServer, place: Path) -> None:
    server.files = {"/cdn": DATA}
    signatures = iter(range(100))
    spent: set[str] = set()

    def hub(asked: Asked) -> Fault | None:
        """Sign an address anew at each question; a signature is good for one connection that breaks after 1 MB."""
        if asked.path == "/f":
            return Fault("redirect", status=302, to=f"/cdn?signature={next(signatures)}")
        if asked.path in spent or asked.path.endswith("=1"):
            return Fault("status", status=403)
        spent.add(asked.path)
        return Fault("cut", after=MB)

    server.always = hub
    fetch(place, f"{server.url}/f")
    assert server.sent == len(DATA)


def test_another_range_than_asked_for_is_refused_and_the_part_kept(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.faults = [Fault("cut", after=MB), Fault("other-range")]
    fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert other.ranges_asked() == [f"bytes={MB}-"]


def test_wrong_bytes_from_every_source_end_in_an_error_and_nothing_stays(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.always = other.always = lambda _: Fault("wrong")
    with pytest.raises(SourcesFailedError) as caught:
        fetch(place, f"{server.url}/f", f"{other.url}/f")
    assert str(caught.value).count("delivered wrong bytes") == 2
    assert left_beside(place) == []
    assert not place.exists()
    assert len(server.asked) == len(other.asked) == 1


def test_a_file_of_two_hands_of_which_one_is_bad_is_made_good_in_the_end(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    good = server.files["/f"]
    server.files["/f"] = good[:100] + b"?" + good[101:]
    server.faults = [Fault("cut", after=MB), Fault("status", status=404)]
    with pytest.raises(SourcesFailedError):
        fetch(place, f"{server.url}/f")
    fetch(place, f"{other.url}/f")
    assert other.ranges_asked() == [f"bytes={MB}-", ""]


def test_a_part_longer_than_the_file_is_thrown_away(server: FaultServer, place: Path) -> None:
    place.parent.mkdir()
    part_of(place).path.write_bytes(DATA + b"?")
    fetch(place, f"{server.url}/f")


def test_a_complete_part_needs_no_network(place: Path) -> None:
    place.parent.mkdir()
    part_of(place).path.write_bytes(DATA)
    fetch(place, "http://hub.invalid/f")


def test_a_wrong_file_in_the_place_is_replaced_only_by_the_right_one(server: FaultServer, place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"mine")
    server.faults = [Fault("status", status=404)]
    with pytest.raises(SourcesFailedError):
        fetch(place, f"{server.url}/f")
    assert place.read_bytes() == b"mine"
    fetch(place, f"{server.url}/f")


def test_gits_own_digest_proves_small_files(server: FaultServer, place: Path) -> None:
    # `printf hello | git hash-object --stdin`
    server.files["/f"] = b"hello"
    download([f"{server.url}/f"], place, bytes=5, sha256="b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
    assert place.read_bytes() == b"hello"


class TestToken:
    """The token goes to the hub, when the hub asks for it, and nowhere else."""

    @pytest.fixture(autouse=True)
    def token(self, monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> None:
        monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
        monkeypatch.setattr(connection, "_TOKEN_ORIGIN", f"{server.url}/")  # `server` plays huggingface.co

    def test_a_public_file_is_asked_for_without_it(self, server: FaultServer, place: Path) -> None:
        fetch(place, f"{server.url}/f")
        assert "Authorization" not in server.asked[0].headers

    def test_a_gated_file_is_asked_for_with_it_and_its_storage_is_not(
        self, server: FaultServer, other: FaultServer, place: Path
    ) -> None:
        def gate(asked: Asked) -> Fault:
            if asked.headers.get("Authorization") != "Bearer hf_secret":
                return Fault("status", status=401)
            return Fault("redirect", status=302, to=f"{other.url}/f")

        server.always = gate
        fetch(place, f"{server.url}/f")
        assert all("hf_secret" not in str(asked) for asked in other.asked)

    def test_a_redirect_back_to_the_hub_does_not_get_it(self, server: FaultServer, place: Path) -> None:
        server.files["/storage"] = DATA
        server.faults = [Fault("status", status=403), Fault("redirect", path="/f", status=302, to="/storage")]
        fetch(place, f"{server.url}/f")
        assert ["Authorization" in asked.headers for asked in server.asked] == [False, True, False]

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_mirror_that_asks_for_it_does_not_get_it(
        self, status: int, server: FaultServer, other: FaultServer, place: Path
    ) -> None:
        other.faults = [Fault("status", status=status)]
        fetch(place, f"{other.url}/f", f"{server.url}/f")
        assert all("hf_secret" not in str(asked) for asked in other.asked)

    def test_a_mirror_that_redirects_to_the_hub_does_not_make_us_show_it(
        self, server: FaultServer, other: FaultServer, place: Path
    ) -> None:
        server.always = lambda _: Fault("status", status=401)
        other.always = lambda _: Fault("redirect", status=302, to=f"{server.url}/f")
        with pytest.raises(SourcesFailedError, match="HTTP 401"):
            fetch(place, f"{other.url}/f")
        assert all("hf_secret" not in str(asked) for asked in server.asked)

    def test_a_token_that_may_not_read_is_named_as_the_cause(self, server: FaultServer, place: Path) -> None:
        server.always = lambda _: Fault("status", status=403)
        with pytest.raises(SourcesFailedError, match="also with your token"):
            fetch(place, f"{server.url}/f")

    def test_the_log_ins_file_is_read_too(
        self, server: FaultServer, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text("hf_filed\n")
        server.faults = [Fault("status", status=401)]
        fetch(place, f"{server.url}/f")
        assert server.asked[1].headers["Authorization"] == "Bearer hf_filed"

    def test_the_hubs_own_switch_keeps_it_at_home(
        self, server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        server.always = lambda _: Fault("status", status=401)
        with pytest.raises(SourcesFailedError):
            fetch(place, f"{server.url}/f")
        assert all("hf_secret" not in str(asked) for asked in server.asked)


def test_an_empty_file_is_there_without_a_question(server: FaultServer, place: Path) -> None:
    fetch(place, f"{server.url}/f", data=b"")
    assert server.asked == []
