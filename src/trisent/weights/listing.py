"""Ask a hub which files a repository has, with their sizes and digests; the trouble of a moment is waited out."""

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trisent.i18n import t
from trisent.weights.answer import TRY_AGAIN, retry_after
from trisent.weights.connection import client, credentials, moved_away, where_it_failed

if TYPE_CHECKING:
    import httpx2

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TRIES = 3
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 10.0  # a hub is asked before any other: its "in five minutes" is a no
_REDIRECTS_AT_MOST = 5
_PAGES_AT_MOST = 100  # of 1000 files


class ListingError(Exception):
    """A hub did not list the repository."""


class _AgainError(ListingError):
    """It may do so in a moment."""

    def __init__(self, cause: str, wait_s: float | None = None) -> None:
        super().__init__(cause)
        self.wait_s = wait_s


def listing(endpoint: str, repo: str) -> tuple[str, list[dict[str, Any]]]:
    """Ask a hub for the commit of main, and the files of that commit as rows of its JSON.

    Raises:
        ListingError: it does not say; the message is the cause in a few words.
    """
    info, _ = _patiently(f"{endpoint}/api/models/{repo}/revision/main")
    revision = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(revision, str) or not _COMMIT.fullmatch(revision):
        raise ListingError(t("names no commit"))
    return revision, _tree(f"{endpoint}/api/models/{repo}/tree/{revision}")


def _tree(address: str) -> list[dict[str, Any]]:
    """Read a tree of files, page after page."""
    rows: list[dict[str, Any]] = []
    query = "recursive=true"
    for _ in range(_PAGES_AT_MOST):
        page, following = _patiently(f"{address}?{query}")
        if not isinstance(page, list) or not all(isinstance(row, dict) and _is_sound(row) for row in page):
            raise ListingError(t("lists no files"))
        rows += page
        # The hub names the next page on its own host; a mirror may hand that on unchanged. Only the query is taken.
        if not following or following == query:
            return rows
        query = following
    raise ListingError(t("lists files without end"))


def _is_sound(row: dict[str, Any]) -> bool:
    """Say whether a row names something, and of a file its size and its digest: that becomes part of a file's name."""
    path, lfs = row.get("path"), row.get("lfs") or {}
    digest, size = lfs.get("oid") or row.get("oid"), row.get("size")
    if not isinstance(path, str) or row.get("type") != "file":
        return isinstance(path, str)
    return isinstance(size, int) and size >= 0 and isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None


def _patiently(url: str) -> tuple[Any, str]:  # Any: what JSON holds
    for attempt in range(1, _TRIES):
        try:
            return _json(url)
        except _AgainError as error:
            wait_s = _FIRST_WAIT_S * 2**attempt / 2 if error.wait_s is None else error.wait_s
            if wait_s > _LONGEST_WAIT_S:
                raise
            time.sleep(wait_s)
    return _json(url)


def _json(url: str) -> tuple[Any, str]:
    """Ask for a JSON document; returns it with the query of the page after it, "" for the last."""
    import httpx2

    try:
        with client() as http:
            response = _get(http, url)
    except httpx2.TimeoutException as error:  # has taken its time already
        raise ListingError(where_it_failed(url, error)[1]) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        state, cause = where_it_failed(url, error)
        raise (_AgainError if state == "reset" else ListingError)(cause) from error
    if response.status_code in TRY_AGAIN:
        wait_s = retry_after(response.headers.get("retry-after", ""))
        raise _AgainError(t("HTTP {status}", status=response.status_code), wait_s)
    if response.status_code != 200:
        raise ListingError(t("HTTP {status}", status=response.status_code))
    try:
        return response.json(), urlsplit(response.links.get("next", {}).get("url", "")).query
    except ValueError as error:
        raise ListingError(t("sends a web page instead of the file (a log-in portal or a block page?)")) from error


def _get(http: "httpx2.Client", url: str) -> "httpx2.Response":
    response = http.get(url)
    if response.status_code in (401, 403, 404) and (token := credentials(url)):  # gated or private
        response = http.get(url, headers=token)
    for _ in range(_REDIRECTS_AT_MOST):
        if response.next_request is None:
            break
        if host := moved_away(response):
            raise ListingError(t("does not have it and points to {host}", host=host))
        response.next_request.headers.pop("Authorization", None)
        response = http.send(response.next_request)
    return response
