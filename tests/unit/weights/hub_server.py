"""A model hub on 127.0.0.1 that can misbehave in every way seen in the field; one instance a test."""

import json
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from loopback import COMMIT, Handler, Server, hub_paths, serving


@dataclass
class Fault:
    """What goes wrong on paths that contain `path`: `kind` once or `times` times, after `after` bytes of the body."""

    kind: str  # cut, reset, hang, wrong, status, portal, moved, no-range, cut-no-range, short
    path: str = ""
    times: int = 1
    after: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


class HubServer(Server):
    """Serves `files` (path below /) and, for `repos`, the hub's JSON; remembers the requests."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, str, dict[str, str]]] = []  # method, path, range, headers

    def add_repo(self, repo: str, files: dict[str, bytes], *, revision: str = COMMIT) -> None:
        self.files |= hub_paths(repo, files, revision=revision)

    def gets(self, path: str = "") -> list[str]:
        """Return the Range headers of the GETs so far ("" for none)."""
        return [asked for method, at, asked, _ in self.requests if method == "GET" and path in at]

    def fault_for(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None


class _Handler(Handler):
    server: HubServer

    def answer(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")  # olah asks for the tree with a slash
        asked = self.headers.get("Range", "")
        if self.command == "POST" and "/paths-info/" in path:
            self._inform(path)
            return
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

    def _inform(self, path: str) -> None:
        """List the rows of some files; the body names them as a form does."""
        wanted = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
        rows = json.loads(self.server.files.get(path.replace("/paths-info/", "/tree/"), b"[]"))
        self._answer(200, json.dumps([row for row in rows if row["path"] in wanted]).encode(), {})

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
        self.head(status, {"Content-Length": str(len(body)), **headers})
        if self.command == "HEAD":
            return
        self.wfile.write(body[:stop])
        self.wfile.flush()
        if stop is None:
            return
        self.close_connection = True
        if fault == "hang":
            threading.Event().wait(30)
        if fault == "reset":
            self.reset()
        self.connection.close()


def hub_server() -> AbstractContextManager[HubServer]:
    """Run a hub on a free port until the block ends."""
    return serving(HubServer())
