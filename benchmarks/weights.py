"""Compare trisent's download with curl and huggingface_hub on loopback: throughput, memory, and a link that is cut.

    python benchmarks/weights.py                 # 512 MB, three rounds, prints Markdown
    python benchmarks/weights.py --megabytes 64 --rounds 1

The server is a process of its own, and so is every download. All files are verified: trisent hashes while the bytes
come, curl and huggingface_hub are followed by one pass of sha256, whose time counts.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import machine

REPO, COMMIT, NAME = "ORG/NAME", "c" * 40, "model.safetensors"
CUT_EVERY = 8_000_000
LIMIT_S = 180
TOOLS = ("trisent", "curl", "huggingface_hub")
RETRY, LOOP = "curl --retry 20 -C -", "curl -C - in a loop"


# --- the server -------------------------------------------------------------------------------------------------------


class Server:
    """A model hub of one file: `sendfile`, byte ranges, and on request a connection that ends every 8 MB."""

    def __init__(self, file: Path, digest: str) -> None:
        self.file, self.size, self.digest = file, file.stat().st_size, digest
        self.sent = self.gets = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def run(self) -> None:
        """Serve for ever, a thread a connection."""
        sys.stdout.write(f"{self.listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            reader = connection.makefile("rb")
            while line := reader.readline().decode():
                headers = iter(lambda: reader.readline().decode().strip().lower(), "")
                asked = next((h for h in list(headers) if h.startswith("range:")), "")
                method, path, _ = line.split()
                if not self._answer(connection, method, path, asked):
                    connection.shutdown(socket.SHUT_RDWR)  # the reader's own hold keeps it open otherwise
                    return

    def _answer(self, connection: socket.socket, method: str, path: str, asked: str) -> bool:
        if path == "/_count":
            body = json.dumps({"sent": self.sent, "gets": self.gets}).encode()
            self.sent = self.gets = 0
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return True
        span = re.search(r"bytes=(\d+)-(\d*)", asked)
        start = int(span[1]) if span else 0
        end = min(int(span[2]) + 1, self.size) if span and span[2] else self.size
        lines = ["HTTP/1.1 206 Partial Content" if span else "HTTP/1.1 200 OK", f"Content-Length: {end - start}"]
        lines += [f"X-Repo-Commit: {COMMIT}", f'ETag: "{self.digest}"', f"X-Linked-Size: {self.size}"]
        lines += ["Accept-Ranges: bytes"] + ([f"Content-Range: bytes {start}-{end - 1}/{self.size}"] if span else [])
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        if method == "HEAD":
            return True
        stop = min(end, start + CUT_EVERY) if path.startswith("/cut/") else end
        self.gets += 1
        with self.file.open("rb") as file:
            while start < stop and (count := os.sendfile(connection.fileno(), file.fileno(), start, stop - start)):
                start += count
                self.sent += count
        return start == end


# --- the downloads, each in a process of its own ----------------------------------------------------------------------


def fetch(tool: str, endpoint: str, folder: Path, size: int, digest: str) -> None:
    """Download and verify with one tool; print the seconds of both, without those of starting Python."""
    url, destination = f"{endpoint}/{REPO}/resolve/{COMMIT}/{NAME}", folder / NAME
    if tool == "trisent":
        import httpx2  # noqa: F401 - imported here for its time not to count, as for the others

        from trisent.weights.download import download

        start = time.perf_counter()
        download([url], destination, bytes=size, sha256=digest)
        taken, verified = time.perf_counter() - start, True
    elif tool == "huggingface_hub":
        from huggingface_hub import hf_hub_download

        start = time.perf_counter()
        options: dict[str, Any] = {"endpoint": endpoint, "token": False, "cache_dir": folder / "cache"}
        destination = Path(hf_hub_download(REPO, NAME, revision=COMMIT, **options))
        taken, verified = time.perf_counter() - start, False
    else:
        retry = ["--retry", "20", "--retry-all-errors", "--retry-delay", "1", "-C", "-"] if tool == RETRY else []
        command = ["curl", "--fail", "-sS", *retry, *(["-C", "-"] if tool == LOOP else []), "-o", str(destination), url]
        start = time.perf_counter()
        for _ in range(1000 if tool == LOOP else 1):
            if (code := subprocess.run(command, check=False).returncode) == 0:
                break
        else:
            sys.exit(f"curl ended with {code}")
        taken, verified = time.perf_counter() - start, False
    start = time.perf_counter()
    if not verified:
        with destination.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                sys.exit("wrong bytes")
    print(json.dumps({"download_s": taken, "verify_s": time.perf_counter() - start}))


def measure(tool: str, endpoint: str, scratch: Path, size: int, digest: str) -> dict[str, Any]:
    """Run one download; returns its times, peak memory, outcome, and what the server sent."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    os.sync()  # what an earlier download left to be written is not this one's business
    count(endpoint)
    command = [sys.executable, __file__, "--fetch", tool, endpoint, str(scratch), str(size), digest]
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "src")
    log = scratch / "log.txt"
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        timer = threading.Timer(LIMIT_S, child.kill)
        timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
    done = child.returncode == 0
    kept = max((path.stat().st_size for path in scratch.rglob("*") if path.is_file()), default=0)
    return {
        **(json.loads(lines[-1]) if done else {}),
        "memory_mb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "outcome": "complete, right bytes" if done else f"failed: {lines[-1][:90]}",
        "kept_mb": kept / 1e6,
        **count(endpoint),
    }


def count(endpoint: str) -> dict[str, int]:
    """Read and reset what the server has sent."""
    host = "/".join(endpoint.split("/")[:3])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{host}/_count") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


# --- the comparison ---------------------------------------------------------------------------------------------------


def compare(folder: Path, megabytes: int, rounds: int) -> None:
    """Measure all tools and print two tables."""
    file, size = folder / "original", megabytes * 10**6
    running = hashlib.sha256()
    with file.open("wb") as out:
        for left in range(size, 0, -(1 << 20)):
            running.update(chunk := os.urandom(min(left, 1 << 20)))
            out.write(chunk)
    digest = running.hexdigest()
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(file), digest], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        print(f"{machine('huggingface_hub')} with HF_HUB_DISABLE_XET=1, curl {curl}", end="\n\n")
        clean = {tool: [] for tool in TOOLS}
        for _ in range(rounds):  # in turn, so that what else the machine does meets all of them
            for tool in TOOLS:
                clean[tool].append(measure(tool, endpoint, folder / "scratch", size, digest))
        print_clean(clean, size)
        tools = ("trisent", "curl", RETRY, LOOP, "huggingface_hub")
        cut = {tool: measure(tool, f"{endpoint}/cut", folder / "scratch", size, digest) for tool in tools}
        print_cut(cut, size)
    finally:
        server.kill()
        server.wait()


def print_clean(clean: dict[str, list[dict[str, Any]]], size: int) -> None:
    """Print throughput and memory on a sound link."""
    print("| tool | MB/s, verified | MB/s, download alone | trisent's ratio, verified | peak memory |")
    print("|---|---|---|---|---|")
    totals = {
        tool: statistics.median(one["download_s"] + one["verify_s"] for one in runs) for tool, runs in clean.items()
    }
    for tool, runs in clean.items():
        alone = statistics.median(one["download_s"] for one in runs)
        memory = max(one["memory_mb"] for one in runs)
        ratio = totals[tool] / totals["trisent"]
        note = " (with the Python that hashes)" if tool == "curl" else ""
        print(f"| {tool} | {size / totals[tool] / 1e6:.0f} | {size / alone / 1e6:.0f} | {ratio:.2f} "
              f"| {memory:.0f} MB{note} |")  # fmt: skip
    print()


def print_cut(cut: dict[str, dict[str, Any]], size: int) -> None:
    """Print what became of a link that is cut every 8 MB."""
    print("| tool | outcome | bytes transferred | of the file's size | connections |")
    print("|---|---|---|---|---|")
    for tool, one in cut.items():
        print(f"| {tool} | {one['outcome']} | {one['sent'] / 1e6:.0f} MB | {one['sent'] / size:.2f} | {one['gets']} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=512, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3, help="downloads by each tool; the median counts")
    parser.add_argument("--folder", type=Path, help="where to put the files; else the system's temporary folder")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        Server(Path(chosen.serve[0]), chosen.serve[1]).run()
    elif chosen.fetch:
        tool, endpoint, folder, size, digest = chosen.fetch
        fetch(tool, endpoint, Path(folder), int(size), digest)
    else:
        with tempfile.TemporaryDirectory(prefix="trisent-benchmark-", dir=chosen.folder) as folder:
            compare(Path(folder), chosen.megabytes, chosen.rounds)


if __name__ == "__main__":
    main()
