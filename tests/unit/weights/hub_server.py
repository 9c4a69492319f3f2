"""A model hub on 127.0.0.1 that can misbehave in every way seen in the field; one instance a test."""

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class Fault:
    """What goes wrong on paths that contain `path`: `kind` once or `times` times, after `after` bytes of the body."""

    kind: str  # cut, reset, hang, wrong, status, portal, moved, no-range, cut-no-range, short
    path: str = ""
    times: int = 1
    after: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


class HubServer(ThreadingHTTPServer):
    """Serves `files` (path below /) and, for `repos`, the hub's JSON; remembers the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, str, dict[str, str]]] = []  # method, path, range, headers

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add_repo(self, repo: str, files: dict[str, bytes], *, revision: str = COMMIT) -> None:
        tree = []
        for name, data in files.items():
            for at in (revision, "main"):
                self.files[f"/{repo}/resolve/{at}/{name}"] = data
            row = {"type": "file", "path": name, "size": len(data)}
            row["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if name.endswith((".safetensors", ".bin")):
                row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
            tree.append(row)
        self.files[f"/api/models/{repo}/revision/main"] = json.dumps({"id": repo, "sha": revision}).encode()
        self.files[f"/api/models/{repo}/tree/{revision}"] = json.dumps(tree).encode()

    def gets(self, path: str = "") -> list[str]:
        """Return the Range headers of the GETs so far ("" for none)."""
        return [asked for method, at, asked, _ in self.requests if method == "GET" and path in at]

    def fault_for(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients of these tests break connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        asked = self.headers.get("Range", "")
        self.server.requests.append((self.command, path, asked, dict(self.headers.items())))
        fault = self.server.fault_for(path) or Fault("none")
        data = self.server.files.get(path)
        if fault.kind == "status":
            self._answer(fault.status, b"no", fault.headers)
        elif fault.kind == "portal":
            self._answer(200, b"<html>log in</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif fault.kind == "moved":
            self._answer(308, b"", {"Location": f"http://elsewhere.invalid{path}"})
        elif data is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self._deliver(data, asked, fault)

    def _deliver(self, data: bytes, asked: str, fault: Fault) -> None:
        if fault.kind == "wrong":
            data = bytes(byte ^ 0xFF for byte in data)
        if fault.kind == "short":
            data = data[:-10]
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked and "no-range" not in fault.kind else 0
        headers = {"X-Repo-Commit": COMMIT, "Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        stop = fault.after if fault.kind in ("cut", "reset", "hang", "cut-no-range") else None
        self._answer(206 if start else 200, data[start:], headers, fault=fault.kind, stop=stop)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], *, fault: str = "", stop: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:stop])
        self.wfile.flush()
        if stop is None:
            return
        self.close_connection = True
        if fault == "hang":
            threading.Event().wait(30)
        if fault == "reset":  # SO_LINGER 0: the kernel sends RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a hub on a free port until the block ends."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
