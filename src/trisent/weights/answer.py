"""Open one address at a byte, and refuse an answer that cannot be the file before bytes are spent on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING

from trisent.i18n import t
from trisent.weights.connection import moved_away, what_failed
from trisent.weights.sources import AgainError, LeaveError

if TYPE_CHECKING:
    import httpx2

_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS_AT_MOST = 10


@contextmanager
def opened(http: "httpx2.Client", url: str, *, first_byte: int, size: int) -> Iterator[tuple["httpx2.Response", int]]:
    """Open `url` at `first_byte`; yields the response and the byte it begins at: 0 when the server ignores ranges.

    Raises:
        LeaveError: what answers cannot be a file of `size` bytes.
        AgainError: it might be, later.
    """
    import httpx2

    headers = {"Range": f"bytes={first_byte}-"} if first_byte else {}
    request = http.build_request("GET", url, headers=headers)
    try:
        response = http.send(request, stream=True)
        try:
            hops = 0
            while response.next_request is not None:
                if host := moved_away(response):
                    raise LeaveError(t("does not have it and points to {host}", host=host))
                if (hops := hops + 1) > _REDIRECTS_AT_MOST:
                    raise LeaveError(t("redirects in circles"))
                request = response.next_request
                response.close()
                response = http.send(request, stream=True)
            yield response, _begins_at(response, first_byte, size, redirected=hops > 0)
        finally:
            response.close()
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise LeaveError(str(error)) from error
    except (httpx2.RequestError, httpx2.StreamError) as error:
        state, cause = what_failed(error)
        if state == "tls":  # time does not cure a certificate
            raise LeaveError(cause, whole_host=True) from error
        raise AgainError(cause, whole_host=state in ("dns", "connect")) from error


def _begins_at(response: "httpx2.Response", first_byte: int, size: int, *, redirected: bool) -> int:
    status, headers = response.status_code, response.headers
    if status in _TRY_AGAIN:
        raise AgainError(t("HTTP {status}", status=status), wait_s=_retry_after(headers.get("retry-after", "")))
    if status == 403 and redirected:  # the signed address of the storage has expired: the next try gets a new one
        raise AgainError(t("HTTP {status}", status=status))
    if status not in (200, 206):
        raise LeaveError(t("HTTP {status}", status=status))
    if "text/html" in headers.get("content-type", ""):
        raise LeaveError(t("sends a web page instead of the file (a log-in portal or a block page?)"))
    if headers.get("content-encoding", "identity") != "identity":
        raise LeaveError(t("sends the file re-encoded"))
    if status == 206:
        span, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(first_byte) or total not in (str(size), "*"):
            raise LeaveError(t("sends another range than asked for"))
        return first_byte
    announced = headers.get("content-length", str(size))
    if announced != str(size):
        raise LeaveError(t("announces {found} bytes, expected {expected}", found=announced, expected=size))
    return 0


def _retry_after(value: str) -> float | None:
    if value.strip().isdigit():
        return float(value)
    date = parsedate_tz(value) if value else None
    return max(0.0, mktime_tz(date) - time.time()) if date else None
