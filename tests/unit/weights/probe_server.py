"""A source of one file on 127.0.0.1, over HTTP or HTTPS, whose answers a test scripts header by header.

`company.pem` (a key and a self-signed certificate for 127.0.0.1, made for these tests and used nowhere else) plays the
inspecting proxy of a company.
"""

import hashlib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loopback import COMMIT, Handler, Server, serving

COMPANY = Path(__file__).with_name("company.pem")
DATA = bytes(range(256)) * 2048  # 512 KiB
SHA256 = hashlib.sha256(DATA).hexdigest()
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


class _Server(Server):
    answers: Answers


class _Handler(Handler):
    server: _Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.answers.headers.get("Date") or super().date_time_string(timestamp)

    def answer(self) -> None:
        answers = self.server.answers
        status = (self.command == "GET" and answers.get_status) or answers.status
        time.sleep(answers.silent_s)
        if answers.reset:
            self.reset()
            return
        headers = {"Content-Length": str(len(answers.body)), **answers.headers}
        headers.pop("Date", None)  # `date_time_string` sends it
        self.head(status, headers)
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
    server = _Server(_Handler)
    server.answers = answers or Answers()
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(COMPANY)
        # Not while accepting: a client that hangs up in its handshake must not stop the server.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.scheme = "https"
    with serving(server):
        yield server.url
