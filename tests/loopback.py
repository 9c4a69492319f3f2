"""What the servers of these tests on 127.0.0.1 have in common, and a machine without settings for their clients."""

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

COMMIT = "c" * 40
S = TypeVar("S", bound="Server")

_SETTINGS = (
    *("HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"),
    *("HF_HUB_DISABLE_IMPLICIT_TOKEN", "TRANSFORMERS_OFFLINE", "TRISENT_OFFLINE"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)


class Server(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 32
    scheme = "http"

    def __init__(self, handler: type["Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients of these tests break connections on purpose."""


class Handler(BaseHTTPRequestHandler):
    """Answers without a word on stderr."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer the request of method `command`."""
        raise NotImplementedError

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Answer until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hub_paths(repo: str, files: dict[str, bytes], *, revision: str = COMMIT) -> dict[str, bytes]:
    """Lay out what a hub answers for a repository, by path: the files, and its JSON about them."""
    paths, tree = {}, []
    for name, data in files.items():
        for at in (revision, "main"):
            paths[f"/{repo}/resolve/{at}/{name}"] = data
        row = {"type": "file", "path": name, "size": len(data)}
        row["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        if name.endswith((".safetensors", ".bin")):
            row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        tree.append(row)
    about = json.dumps({"id": repo, "sha": revision}).encode()
    paths |= {f"/api/models/{repo}{of}": about for of in ("", "/revision/main", f"/revision/{revision}")}
    paths[f"/api/models/{repo}/tree/{revision}"] = json.dumps(tree).encode()
    return paths


def forget_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take away what the person running the tests has set, and put every home into `folder`."""
    for variable in _SETTINGS:
        monkeypatch.delenv(variable, raising=False)
    for variable, name in {"TRISENT_HOME": "home", "HF_HOME": "hf", "TORCH_HOME": "torch"}.items():
        monkeypatch.setenv(variable, str(folder / name))
