"""Serve a shelf over HTTP: read-only, ranges, one thread a connection. What a path answers is decided in shelf.py."""

import logging
import re
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trisent.weights.shelf import Answer, Shelf

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_IDLE_S = 60  # a client that says nothing for so long is gone
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


class ModelServer(ThreadingHTTPServer):
    """A bound server of one exported folder; `serve_forever()` runs it, and as a context manager it closes itself."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, shelf: Shelf, host: str, port: int) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.shelf = shelf
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The address for HF_ENDPOINT; of a server on all interfaces, the one of this machine in its network."""
        host, port = str(self.server_address[0]), self.server_address[1]
        if host in ("0.0.0.0", "::"):
            host = _own_address()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as in the base class
        """Say what went wrong in one line; clients that go away in the middle are everyday life."""
        logger.info("%s: %s", client_address, sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"
    server_version = "trisent"
    sys_version = ""
    timeout = _IDLE_S

    def log_message(self, format: str, *args: object) -> None:
        logger.info("%s %s", self.address_string(), format % args)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        answer = self.server.shelf.answer(self.path)
        if answer.file is None:
            self._head(answer, len(answer.body))
            if self.command == "GET":
                self.wfile.write(answer.body)
            return
        size = answer.file.size
        span = _span(self.headers.get("Range", ""), size)
        if span is None:
            self._head(Answer(416, {"Content-Range": f"bytes */{size}"}), 0)
            return
        start, stop, partial = span
        headers = {"Content-Type": "application/octet-stream", **answer.headers, "Accept-Ranges": "bytes"}
        if partial:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._head(Answer(206 if partial else answer.status, headers), stop - start)
        if self.command == "GET":
            with answer.file.path.open("rb") as file:
                file.seek(start)
                left = stop - start
                while left and (chunk := file.read(min(_CHUNK, left))):
                    self.wfile.write(chunk)
                    left -= len(chunk)
            self.close_connection = self.close_connection or left > 0  # the stick was pulled: better cut than wrong

    def _head(self, answer: Answer, length: int) -> None:
        self.send_response(answer.status)
        headers = {"Content-Length": str(length), "X-Content-Type-Options": "nosniff", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _span(asked: str, size: int) -> tuple[int, int, bool] | None:
    """Return what is asked for as (start, stop, whether it is a part); None when it lies beyond the end.

    No range, several ranges and nonsense all mean the whole file, as HTTP allows.
    """
    match = _RANGE.fullmatch(asked.strip())
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return 0, size, False
    if not first:
        return (max(0, size - int(last)), size, True) if int(last) and size else None
    start, stop = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return 0, size, False
    return (start, stop, True) if start < size else None


def _own_address() -> str:
    """Return the address of this machine that others in its network see; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation; UDP "connects" without a packet
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
