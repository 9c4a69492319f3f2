"""A source of one file on 127.0.0.1, over HTTP or HTTPS, whose answers a test scripts header by header.

`company.pem` (a key and a self-signed certificate for 127.0.0.1, made for these tests and used nowhere else) plays the
inspecting proxy of a company.
"""

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMPANY = Path(__file__).with_name("company.pem")
DATA = bytes(range(256)) * 2048  # 512 KiB
SHA256 = hashlib.sha256(DATA).hexdigest()
COMMIT = "c" * 40
LIKE_A_HUB = {"X-Repo-Commit": COMMIT, "ETag": f'"{SHA256}"'}


@dataclass
class Answers:
    """How the source answers: a status and headers of both HEAD and GET, and how it misbehaves."""

    status: int = 200
    get_status: int | None = None
    headers: dict[str, str] = field(default_factory=lambda: dict(LIKE_A_HUB))
    body: bytes = DATA
    silent_s: float = 0.0  # says nothing for so long
    pause_s: float = 0.0  # after each 4 KiB
    reset: bool = False
    sent: int = 0  # bytes of bodies so far


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answers: Answers

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients of these tests break connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.answers.headers.get("Date") or super().date_time_string(timestamp)

    def do_HEAD(self) -> None:
        self._answer(self.server.answers.status)

    def do_GET(self) -> None:
        answers = self.server.answers
        self._answer(answers.get_status or answers.status)

    def _answer(self, status: int) -> None:
        answers = self.server.answers
        time.sleep(answers.silent_s)
        if answers.reset:  # SO_LINGER 0: the kernel sends RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(status)
        headers = {"Content-Length": str(len(answers.body)), **answers.headers}
        for name, value in headers.items():
            if name != "Date":
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = 4096 if answers.pause_s else 1 << 16
        for start in range(0, len(answers.body), step):
            self.wfile.write(answers.body[start : start + step])
            answers.sent += step
            time.sleep(answers.pause_s)


@contextmanager
def source(answers: Answers | None = None, *, tls: bool = False) -> Iterator[str]:
    """Run a source until the block ends; yields its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.answers = answers or Answers()
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(COMPANY)
        # Not while accepting: a client that hangs up in its handshake must not stop the server.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
