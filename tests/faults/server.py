"""A file server on 127.0.0.1 that behaves like the bad ones of the field, over HTTP or TLS; it counts what it sends."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from loopback import Handler, Server, serving

BLOCK = 16 << 10


@dataclass
class Fault:
    """How one answer (or `times` answers) on paths with `path` in them is bad.

    `kind` is one of: refuse (RST before any answer), silence (no answer), cut, reset, hang (each after `after` bytes of
    the body), drip, status, redirect (`status`, to `to`), wrong, short, long, headless (no length, body ends after
    `after` bytes), encoded, other-range, portal, page (which says neither that it is one nor how long), no-range,
    no-range-cut.
    """

    kind: str = "none"
    path: str = ""
    times: int = 1
    after: int = 0
    status: int = 500
    to: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    range: str
    headers: dict[str, str]


class FaultServer(Server):
    """Serves `files` by path; every fault of `faults` is used up before the next; `always` is for every request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.scheme = "https" if tls else "http"
        super().__init__(_Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.always: Callable[[Asked], Fault | None] = lambda _: None
        self.asked: list[Asked] = []
        self.rate: int | None = None  # bytes a second, for each connection
        self.shared: int | None = None  # bytes a second, for all of them together
        self.ranges = True
        self.extra: dict[str, str] = {}  # headers of every answer with a body
        self.sent = 0  # bytes of bodies, handed to the kernel
        self.busy = 0
        self.most_busy = 0  # bodies under way at one time
        self.lock = threading.Lock()

    def ranges_asked(self) -> list[str]:
        return [asked.range for asked in self.asked]

    def fault(self, asked: Asked) -> Fault:
        with self.lock:
            self.asked.append(asked)
            for fault in self.faults:
                if fault.path in asked.path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return self.always(asked) or Fault()

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        # A small buffer: what `sent` counts is then nearly what has arrived.
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            request.settimeout(10)
            request = self.tls.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        # Without the FIN that the base class sends first: after it there would be no RST.
        self.close_request(request)


class _Handler(Handler):
    server: FaultServer

    def answer(self) -> None:
        asked = Asked(self.command, self.path, self.headers.get("Range", ""), dict(self.headers.items()))
        fault = self.server.fault(asked)
        data = self.server.files.get(self.path.partition("?")[0])
        match fault.kind:
            case "refuse":
                self.reset()
            case "silence":
                self._wait()
            case "status":
                self.head(fault.status, {"Content-Length": "2", **fault.headers})
                self.wfile.write(b"no")
            case "redirect":
                self.head(fault.status, {"Content-Length": "0", "Location": fault.to, **fault.headers})
            case "portal":
                page = b"<!doctype html><title>Please log in</title>"
                self.head(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(page))})
                self.wfile.write(page)
            case "page":
                self.head(200, {"Content-Type": "application/octet-stream", "Connection": "close"})
                self.wfile.write(b"<!-- 2026 -->\n<html><title>Please log in</title></html>")
                self._end()
            case _ if data is None:
                self.head(404, {"Content-Length": "0"})
            case _:
                self._deliver(data, asked.range, fault)

    def _deliver(self, data: bytes, asked: str, fault: Fault) -> None:
        size, start, end, status = len(data), 0, len(data), 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        headers = {"Content-Type": "application/octet-stream", **self.server.extra, **fault.headers}
        if self.server.ranges and "no-range" not in fault.kind:
            headers["Accept-Ranges"] = "bytes"
            if match:
                start, end, status = int(match[1]), int(match[2]) + 1 if match[2] else size, 206
                if start >= size:
                    self.head(416, {"Content-Length": "0"})
                    return
                shift = 7 if fault.kind == "other-range" else 0
                headers["Content-Range"] = f"bytes {start + shift}-{end - 1}/{size}"
        body = memoryview(data)[start:end]
        if fault.kind == "wrong":
            body = memoryview(bytes([body[0] ^ 1]) + bytes(body[1:]))
        if fault.kind == "short":
            body = body[:-1]
        headers["Content-Length"] = str(len(body))
        if fault.kind == "encoded":
            headers["Content-Encoding"] = "gzip"
        if fault.kind in ("headless", "long"):
            del headers["Content-Length"]
            headers["Connection"] = "close"
            body = memoryview(bytes(body) + b"more") if fault.kind == "long" else body[: fault.after or None]
        self.head(status, headers)
        self._send(body, fault)

    def _send(self, body: memoryview, fault: Fault) -> None:
        stops = fault.kind in ("cut", "reset", "hang", "no-range-cut")
        stop = min(fault.after, len(body)) if stops else len(body)
        rate = 4096 if fault.kind == "drip" else self.server.rate
        block = 256 if fault.kind == "drip" else BLOCK
        with self.server.lock:
            self.server.busy += 1
            self.server.most_busy = max(self.server.most_busy, self.server.busy)
        try:
            began = time.monotonic()
            for at in range(0, stop, block):
                piece = body[at : min(at + block, stop)]
                self.wfile.write(piece)
                with self.server.lock:
                    self.server.sent += len(piece)
                if self.server.shared:
                    time.sleep(len(piece) * self.server.busy / self.server.shared)
                elif rate and (early := began + (at + block) / rate - time.monotonic()) > 0:
                    time.sleep(early)
        finally:
            with self.server.lock:
                self.server.busy -= 1
        if fault.kind == "hang":
            self._wait()
        elif fault.kind == "reset":
            self.reset()
        elif stops or fault.kind in ("headless", "long"):
            self._end()

    def _wait(self) -> None:
        """Say nothing until the client goes away."""
        with suppress(OSError):
            self.connection.settimeout(20)
            self.connection.recv(1)
        self._end()

    def reset(self) -> None:
        time.sleep(0.02)  # RST overtakes what the kernel still holds
        super().reset()

    def _end(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.close()


@contextmanager
def fault_server(files: dict[str, bytes] | None = None, *, tls: ssl.SSLContext | None = None) -> Iterator[FaultServer]:
    """Run a server on a free port until the block ends."""
    server = FaultServer(tls)
    server.files.update(files or {})
    with serving(server):
        yield server


@contextmanager
def blackhole(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Give the address of a port whose queue of connections is full: its kernel drops every further packet."""
    with socket.socket() as listener:
        listener.bind((host, port))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(listener.getsockname())
            waiting.append(one)
        time.sleep(0.05)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


def closed_port() -> str:
    """Give the address of a port nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"
