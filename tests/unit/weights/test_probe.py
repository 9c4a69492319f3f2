"""Each state a source can be in, told apart against a real server on loopback."""

import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from trisent.weights.issuer import issuer
from trisent.weights.probe import Probe, probe
from unit.weights.probe_server import COMPANY, DATA, LIKE_A_HUB, SHA256, Answers, source

FILE = "/ORG/NAME/resolve/main/model.safetensors"


def ask(endpoint: str, *, is_hub: bool = True, timeout_s: float = 3.0, size: int = len(DATA)) -> Probe:
    return probe(f"{endpoint}{FILE}", size=size, sha256=SHA256, is_hub=is_hub, timeout_s=timeout_s, sample_s=0.5)


def of(answers: Answers, **options: float) -> Probe:
    with source(answers) as endpoint:
        return ask(endpoint, **options)  # type: ignore[arg-type]


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port nobody listens on: bound, so that nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_ok_names_the_host_and_a_rate() -> None:
    with source() as endpoint:
        found = ask(endpoint)
    assert found.state == "ok"
    assert found.usable
    assert found.data_host in endpoint
    assert (found.bytes_per_s or 0) > 100_000


def test_the_measured_rate_is_the_rate_of_the_server() -> None:
    # 4 KiB each 20 ms are 205 kB a second at most; a busy machine makes it slower, never faster.
    found = of(Answers(pause_s=0.02), size=len(DATA))
    assert found.bytes_per_s is not None
    assert 10_000 < found.bytes_per_s < 260_000


def test_not_mirrored_when_a_308_points_to_another_host() -> None:
    found = of(Answers(status=308, headers={"Location": f"https://huggingface.co{FILE}"}, body=b""))
    assert (found.state, "huggingface.co" in found.detail) == ("not-mirrored", True)


def test_wrong_content_when_the_linked_etag_is_another_digest() -> None:
    found = of(Answers(headers={**LIKE_A_HUB, "X-Linked-Etag": '"' + "0" * 64 + '"'}))
    assert (found.state, "000000000000" in found.detail) == ("wrong-content", True)


def test_wrong_content_when_the_linked_size_differs() -> None:
    assert of(Answers(headers={**LIKE_A_HUB, "X-Linked-Size": "7"})).state == "wrong-content"


def test_wrong_content_when_a_direct_address_announces_other_bytes() -> None:
    with source(Answers(headers={})) as endpoint:
        assert ask(endpoint, is_hub=False, size=len(DATA) + 1).state == "wrong-content"


def test_an_etag_that_is_no_digest_of_the_kind_is_not_compared() -> None:
    assert of(Answers(headers={**LIKE_A_HUB, "ETag": '"deadbeef"'})).state == "ok"


def test_not_a_hub_when_a_portal_answers() -> None:
    assert of(Answers(headers={"Content-Type": "text/html"}, body=b"<html>log in</html>")).state == "not-a-hub"


def test_data_blocked_when_the_host_of_the_bytes_cannot_be_reached(free_port: int) -> None:
    there = f"http://127.0.0.1:{free_port}/blob"
    found = of(Answers(status=302, headers={**LIKE_A_HUB, "Location": there}, body=b""))
    assert found.state == "data-blocked"
    assert f"127.0.0.1:{free_port}" in found.detail


def test_data_http_when_the_host_of_the_bytes_refuses() -> None:
    with source(Answers(status=403, headers={})) as data:
        found = of(Answers(status=302, headers={**LIKE_A_HUB, "Location": f"{data}/blob"}, body=b""))
    assert (found.state, "403" in found.detail) == ("data-http", True)


def test_a_hub_that_hands_over_to_its_storage_is_ok_and_the_storage_named() -> None:
    with source(Answers(headers={})) as data:
        found = of(Answers(status=302, headers={**LIKE_A_HUB, "Location": f"{data}/blob"}, body=b""))
    assert found.state == "ok"
    assert found.data_host in data


def test_tls_names_who_issued_a_certificate_that_is_not_trusted() -> None:
    with source(tls=True) as endpoint:
        found = ask(endpoint)
    assert found.state == "tls"
    assert "Example Company, Example Company Proxy" in found.detail


@pytest.mark.parametrize("variable", ["TRISENT_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_each_variable_for_certificates_makes_the_company_trusted(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(COMPANY))
    with source(tls=True) as endpoint:
        assert ask(endpoint).state == "ok"


def test_a_certificate_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with source() as endpoint:
        found = ask(endpoint)
    assert (found.state, "gone.pem" in found.detail) == ("tls", True)


def test_http_spoken_where_https_was_expected_hints_at_the_scheme() -> None:
    with source() as endpoint:
        found = ask(endpoint.replace("http://", "https://"))
    assert found.state == "tls"
    assert "plain HTTP" in found.detail


def test_the_issuer_of_what_speaks_no_tls_is_nobody() -> None:
    with source() as endpoint:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        assert issuer(host, int(port)) == ""


def test_dns_when_nobody_knows_the_name() -> None:
    assert ask("http://no-such-host.invalid").state == "dns"


def test_connect_when_nobody_listens(free_port: int) -> None:
    assert ask(f"http://127.0.0.1:{free_port}").state == "connect"


def test_reset_when_the_line_is_cut() -> None:
    assert of(Answers(reset=True)).state == "reset"


def test_slow_when_no_answer_comes() -> None:
    found = of(Answers(silent_s=1.0), timeout_s=0.2)
    assert (found.state, found.usable) == ("slow", False)


def test_slow_when_bytes_drip_and_still_usable() -> None:
    found = of(Answers(pause_s=0.15))
    assert (found.state, found.usable) == ("slow", True)


def test_rate_limited_says_how_long_to_wait() -> None:
    found = of(Answers(status=429, headers={"Retry-After": "300"}))
    assert (found.state, "300 s" in found.detail) == ("rate-limited", True)


def test_http_repeats_what_the_hub_says() -> None:
    found = of(Answers(status=404, headers={"X-Error-Message": "Entry not found"}))
    assert (found.state, found.detail) == ("http", "HTTP 404 (Entry not found)")


@pytest.mark.parametrize("address", ["huggingface.co", "", "ftp://huggingface.co"])
def test_config_when_the_address_is_none(address: str) -> None:
    assert ask(address).state == "config"


def test_proxy_when_the_proxy_is_dead(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("no_proxy", "")
    found = ask("http://hub.invalid")
    assert found.state == "proxy"
    assert f"http://127.0.0.1:{free_port}" in found.detail
    assert "HTTP_PROXY" in found.detail


def test_config_when_the_proxy_speaks_a_scheme_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    found = ask("http://hub.invalid")
    assert (found.state, "socks" in found.detail) == ("config", True)


def test_the_clock_is_compared_with_the_sources() -> None:
    found = of(Answers(headers={**LIKE_A_HUB, "Date": formatdate(time.time() - 3600, usegmt=True)}))
    assert found.clock_ahead_s == pytest.approx(3600, abs=30)


def test_a_probe_leaves_most_of_a_big_file_where_it_is() -> None:
    answers = Answers(body=DATA * 128, headers={"X-Repo-Commit": "c" * 40})
    with source(answers) as endpoint:
        found = ask(endpoint, size=len(answers.body))
    assert found.state == "ok"
    # One mebibyte is read; what else was sent lies in the buffers of the sockets.
    assert answers.sent < len(answers.body) // 2
