"""Ask one source about one real file: does it have it, are these the bytes, does their host answer, and how fast?

At most 1 MiB is read. What the answer means for a person is said in the doctor.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.connection import ProxyError, client, moved_away, where_it_failed
from trisent.weights.environment import proxy_for
from trisent.weights.finding import State
from trisent.weights.issuer import issuer

if TYPE_CHECKING:
    import httpx2

SAMPLE_BYTES = 1 << 20
_TIMEOUT_S = 5.0
_SAMPLE_S = 4.0
SLOW_BYTES_PER_S = 128 << 10  # an hour for BERT
_REDIRECTS_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Probe:
    """What a source answered: its state with a detail, the measured rate, the host of the bytes, and its clock.

    `bytes_per_s` is None when nothing was measured, `clock_ahead_s` when it named no date; the clock is this
    machine's minus the source's.
    """

    url: str
    state: State
    detail: str
    bytes_per_s: float | None = None
    data_host: str = ""
    clock_ahead_s: float | None = None

    @property
    def usable(self) -> bool:
        """Say whether the file could be fetched from here, however slowly."""
        return self.state == "ok" or (self.state == "slow" and self.bytes_per_s is not None)


class _TroubleError(Exception):
    """The probe ends here, with a state and its detail."""

    def __init__(self, detail: str, *, state: State) -> None:
        super().__init__(detail)
        self.state = state


def probe(
    url: str, *, size: int, sha256: str, is_hub: bool, timeout_s: float = _TIMEOUT_S, sample_s: float = _SAMPLE_S
) -> Probe:
    """Ask `url` for a file of `size` bytes whose digest is `sha256`.

    Args:
        is_hub: a model hub is asked, which names a commit; not a direct address.
        timeout_s: how long to wait for a connection and for each answer.
        sample_s: how long to measure at most.
    """
    import httpx2

    clock: float | None = None
    data_host = urlsplit(url).netloc
    try:
        with _client(url, timeout_s) as http:
            try:
                response = http.head(url)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise _failed(url, error) from error
            clock = _clock_ahead(response)
            _judge_head(response, size=size, sha256=sha256, is_hub=is_hub)
            data_host, rate = _sample(http, url, size=size, sample_s=sample_s)
    except _TroubleError as trouble:
        return Probe(url, trouble.state, str(trouble), data_host=data_host, clock_ahead_s=clock)
    state: State = "slow" if rate < SLOW_BYTES_PER_S and size > rate * 10 else "ok"
    detail = t("{rate} kB a second, from {host}", rate=round(rate / 1000), host=data_host)
    return Probe(url, state, detail, rate, data_host, clock)


def probe_in_turn(urls: Sequence[str], *, size: int, sha256: str, is_hub: bool) -> Probe:
    """Ask the addresses of one host until one has the file; of a mirror's, `main` may be served and a commit not."""
    first = probe(urls[0], size=size, sha256=sha256, is_hub=is_hub)
    if first.state in ("not-mirrored", "http") and len(urls) > 1:
        other = probe_in_turn(urls[1:], size=size, sha256=sha256, is_hub=is_hub)
        return other if other.usable else first
    return first


def _client(url: str, timeout_s: float) -> "httpx2.Client":
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise _TroubleError(t("{url!r} is no address of the form https://host", url=url), state="config")
    try:
        return client(connect_s=timeout_s, read_s=timeout_s)
    except ProxyError as error:
        variable, address = proxy_for(url)
        raise _TroubleError(
            t("{variable}={proxy}: {why}", variable=variable, proxy=address, why=error.__cause__), state="config"
        ) from error
    except WeightsError as error:  # a certificate file that does not exist
        raise _TroubleError(str(error), state="tls") from error


def _failed(url: str, error: Exception) -> _TroubleError:
    state, detail = where_it_failed(url, error)
    if state == "tls":
        parts = urlsplit(url)
        if "WRONG_VERSION_NUMBER" in detail:
            detail += "; " + t("plain HTTP answers where HTTPS was expected: look at the scheme of the proxy")
        elif not proxy_for(url)[0] and (name := issuer(parts.hostname or "", parts.port or 443)):
            detail += "; " + t("it was issued by {name}", name=name)
    return _TroubleError(detail, state=state)


def _judge_head(response: "httpx2.Response", *, size: int, sha256: str, is_hub: bool) -> None:
    headers, status = response.headers, response.status_code
    if status == 429:
        raise _TroubleError(_asked_to_wait(headers.get("retry-after", "")), state="rate-limited")
    if host := moved_away(response):
        raise _TroubleError(t("does not have it and points to {host}", host=host), state="not-mirrored")
    if status >= 400:
        why = headers.get("x-error-message") or headers.get("x-error-code") or ""
        raise _TroubleError(t("HTTP {status}", status=status) + (f" ({why})" if why else ""), state="http")
    if is_hub and "x-repo-commit" not in headers:
        raise _TroubleError(
            t("answers, but not as a model hub does (a log-in portal or a block page?)"), state="not-a-hub"
        )
    if not is_hub and "text/html" in headers.get("content-type", ""):
        raise _TroubleError(
            t("sends a web page instead of the file (a log-in portal or a block page?)"), state="wrong-content"
        )
    digest = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
    if is_hub and len(digest) == len(sha256) and digest != sha256:
        raise _TroubleError(
            t("has other bytes: digest {found}, expected {expected}", found=digest[:12], expected=sha256[:12]),
            state="wrong-content",
        )
    announced = headers.get("x-linked-size") or ("" if response.next_request else headers.get("content-length", ""))
    if announced and announced != str(size):
        raise _TroubleError(
            t("announces {found} bytes, expected {expected}", found=announced, expected=size), state="wrong-content"
        )


def _asked_to_wait(retry_after: str) -> str:
    if not retry_after:
        return t("too many requests from this address")
    return t("too many requests from this address; asks to wait {wait} s", wait=retry_after)


def _sample(http: "httpx2.Client", url: str, *, size: int, sample_s: float) -> tuple[str, float]:
    """Read the file's beginning; returns the host it came from and the bytes a second."""
    import httpx2

    wanted = min(SAMPLE_BYTES, size)
    host, first_host = urlsplit(url).netloc, urlsplit(url).netloc
    request = http.build_request("GET", url, headers={"Range": f"bytes=0-{wanted - 1}"})
    try:
        for _ in range(_REDIRECTS_AT_MOST):
            host = urlsplit(str(request.url)).netloc
            response = http.send(request, stream=True)
            try:
                if response.next_request is None:
                    return host, _rate(response, wanted, sample_s=sample_s, host=host, elsewhere=host != first_host)
                request = response.next_request
            finally:
                response.close()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        trouble = _failed(str(request.url), error)
        if host == first_host or trouble.state == "proxy":
            raise trouble from error
        detail = t("hands over to {host}, which does not answer: {why}", host=host, why=trouble)
        raise _TroubleError(detail, state="data-blocked") from error
    raise _TroubleError(t("redirects in circles"), state="http")


def _rate(response: "httpx2.Response", wanted: int, *, sample_s: float, host: str, elsewhere: bool) -> float:
    if response.status_code not in (200, 206):
        detail = t("{host} answers HTTP {status}", host=host, status=response.status_code)
        raise _TroubleError(detail, state="data-http" if elsewhere else "http")
    if "text/html" in response.headers.get("content-type", ""):
        detail = t("sends a web page instead of the file (a log-in portal or a block page?)")
        raise _TroubleError(detail, state="data-http" if elsewhere else "not-a-hub")
    start, got = time.monotonic(), 0
    for chunk in response.iter_raw():
        got += len(chunk)
        if got >= wanted or time.monotonic() - start > sample_s:
            break
    return got / max(time.monotonic() - start, 1e-3)


def _clock_ahead(response: "httpx2.Response") -> float | None:
    with suppress(ValueError, TypeError):
        return time.time() - parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    return None
