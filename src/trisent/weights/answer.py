"""Open one address at a byte, and refuse an answer that cannot be the file before bytes are spent on it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING

from trisent.i18n import t
from trisent.weights.connection import credentials, moved_away, where_it_failed
from trisent.weights.sources import AgainError, LeaveError

if TYPE_CHECKING:
    import httpx2

    from trisent.weights.part import Part

TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS_AT_MOST = 10
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HTML = re.compile(r"text/html|application/xhtml")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be the file: where it begins, and how many bytes it announced (None when it did not).

    `begins_at` is 0 when the server ignores ranges; `ranges` says that it is known to honour them.
    """

    response: "httpx2.Response"
    begins_at: int
    announced: int | None
    ranges: bool


@contextmanager
def opened(http: "httpx2.Client", url: str, *, span: tuple[int, int], part: "Part") -> Iterator[Answer]:
    """Open `url` for the bytes from `span[0]` up to, not including, `span[1]` of `part`.

    Raises:
        LeaveError: what answers cannot be the file.
        AgainError: it might be, later.
    """
    import httpx2

    try:
        response, hops = _follow(http, url, span=span, part=part)
        try:
            yield _judged(response, span[0], part.size, redirected=hops > 0)
        finally:
            response.close()
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise LeaveError(str(error)) from error
    except (httpx2.RequestError, httpx2.StreamError) as error:
        state, cause = where_it_failed(url, error)
        if state == "tls":  # time does not cure a certificate
            raise LeaveError(cause, whole_host=True) from error
        raise AgainError(cause, whole_host=state in ("dns", "connect", "proxy")) from error


def _follow(http: "httpx2.Client", url: str, *, span: tuple[int, int], part: "Part") -> tuple["httpx2.Response", int]:
    first, end = span
    headers = {"Range": f"bytes={first}-{end - 1 if end < part.size else ''}"} if first or end < part.size else {}
    response = http.send(http.build_request("GET", url, headers=headers), stream=True)
    if response.status_code in (401, 403) and (token := credentials(url)):  # gated or private
        response.close()
        response = http.send(http.build_request("GET", url, headers=headers | token), stream=True)
    hops = 0
    try:
        while response.next_request is not None:
            if host := moved_away(response):
                raise LeaveError(t("does not have it and points to {host}", host=host))
            if (hops := hops + 1) > _REDIRECTS_AT_MOST:
                raise LeaveError(t("redirects in circles"))
            _refuse_another_file(response, part)
            request = response.next_request
            request.headers.pop("Authorization", None)  # the storage has its own signature in the address
            response.close()
            response = http.send(request, stream=True)
        if response.status_code in (200, 206):
            _refuse_another_file(response, part)
    except LeaveError:
        response.close()
        raise
    return response, hops


def _refuse_another_file(response: "httpx2.Response", part: "Part") -> None:
    """Believe a hub that says, before any byte, that what it has is another file."""
    size = response.headers.get("x-linked-size", "")
    if size.isdigit() and int(size) != part.size:
        raise LeaveError(t("announces {found} bytes, expected {expected}", found=size, expected=part.size))
    etag = response.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
    if _SHA256.fullmatch(etag) and len(part.digest) == len(etag) and etag != part.digest:
        raise LeaveError(
            t("has another file (digest {found}, expected {expected})", found=etag[:12], expected=part.digest[:12])
        )


def _judged(response: "httpx2.Response", first_byte: int, size: int, *, redirected: bool) -> Answer:
    status, headers = response.status_code, response.headers
    if status in TRY_AGAIN:
        wait_s = retry_after(headers.get("retry-after", ""))
        raise AgainError(t("HTTP {status}", status=status), wait_s=wait_s, all_wait=status == 429)
    if status == 403 and redirected:  # the signed address of the storage has expired: the next try gets a new one
        raise AgainError(t("HTTP {status}", status=status))
    if status == 511 or (status in (200, 206) and _HTML.search(headers.get("content-type", ""))):
        raise a_web_page()
    if status in (401, 403) and not redirected and credentials(str(response.url)):
        raise LeaveError(t("HTTP {status}, also with your token: it may not read this", status=status))
    if status not in (200, 206):
        raise LeaveError(t("HTTP {status}", status=status))
    if headers.get("content-encoding", "identity") != "identity":
        raise LeaveError(t("sends the file re-encoded"))
    announced = headers.get("content-length", "")
    length = int(announced) if announced.isdigit() else None
    if status == 206:
        span, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(first_byte) or total not in (str(size), "*"):
            raise LeaveError(t("sends another range than asked for"))
        return Answer(response, first_byte, length, ranges=True)
    if length not in (None, size):
        raise LeaveError(t("announces {found} bytes, expected {expected}", found=announced, expected=size))
    # To a question without a range, 200 is the answer of both kinds of server; this header tells them apart.
    return Answer(response, 0, length, ranges=first_byte == 0 and headers.get("accept-ranges") == "bytes")


def a_web_page() -> LeaveError:
    """Say that a source sends a page for people."""
    return LeaveError(t("sends a web page instead of the file (a log-in portal or a block page?)"))


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date; None when it is neither.

    >>> retry_after("120"), retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), retry_after("soon")
    (120.0, 0.0, None)
    """
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value)
    date = parsedate_tz(value) if value else None
    try:
        return max(0.0, mktime_tz(date) - time.time()) if date else None
    except (ValueError, OverflowError):  # a year that no calendar has
        return None
