"""A package index on loopback that can break off a wheel in the middle."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class IndexServer(ThreadingHTTPServer):
    """Serves the wheels of a folder as a simple index; `broken` times a wheel ends after half its bytes."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.broken = 0
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: a pip that gives up breaks the connection."""


class _Handler(BaseHTTPRequestHandler):
    server: IndexServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.endswith(".whl"):
            data = (self.server.folder / self.path.rpartition("/")[2]).read_bytes()
            end = len(data)
            if self.server.broken:
                self.server.broken -= 1
                end //= 2
            self._answer(data[:end], "application/octet-stream", length=len(data))
            return
        package = self.path.strip("/").rpartition("/")[2].replace("-", "_")
        names = [path.name for path in self.server.folder.glob(f"{package}-*.whl")]
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        self._answer(f"<!doctype html><html><body>{links}</body></html>".encode(), "text/html")

    def _answer(self, body: bytes, kind: str, *, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def index_server(folder: Path) -> Iterator[IndexServer]:
    """Run an index on a free port until the block ends."""
    server = IndexServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
