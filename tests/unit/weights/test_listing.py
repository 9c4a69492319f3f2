"""A repository of more files than a hub puts on one page."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from trisent.weights.listing import ListingError, listing

COMMIT = "c" * 40
ROWS = [{"type": "file", "path": f"{number}.json", "size": 1, "oid": "0" * 40} for number in range(2500)]
PAGE = 1000


class PagedHub(ThreadingHTTPServer):
    """Lists ROWS in pages; `next_at` is the host that its links name, `endless` links every page to another."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.next_at = self.url
        self.endless = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: PagedHub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        parts = urlsplit(self.path)
        start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        body: object = {"sha": COMMIT} if parts.path.endswith("/revision/main") else ROWS[start : start + PAGE]
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if "tree" in parts.path and (self.server.endless or start + PAGE < len(ROWS)):
            following = f"{self.server.next_at}{parts.path}?recursive=true&limit={PAGE}&cursor={start + PAGE}"
            self.send_header("Link", f'<{following}>; rel="next"')
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[PagedHub]:
    server = PagedHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_page_is_read(hub: PagedHub) -> None:
    assert listing(hub.url, "org/name") == (COMMIT, ROWS)
    assert len(hub.asked) == 1 + 3


def test_a_mirror_whose_pages_link_to_the_hub_is_asked_for_all_of_them(hub: PagedHub) -> None:
    hub.next_at = "http://no-such-host.invalid"
    assert listing(hub.url, "org/name") == (COMMIT, ROWS)


def test_a_list_without_end_is_refused(hub: PagedHub) -> None:
    hub.endless = True
    with pytest.raises(ListingError, match="without end"):
        listing(hub.url, "org/name")
