"""What the fault tests fetch, and how."""

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from trisent.weights.download import download
from trisent.weights.part import Part
from trisent.weights.sources import Patience

MB = 1 << 20
DATA = random.Random(7).randbytes(3 * MB)
QUICK = Patience(tries=3, first_wait_s=0.01, connect_s=1.0, read_s=0.4, window_s=0.4, judge_s=0.2)
# Four connections, decided after a tenth of a second, a stretch of 1 MB each.
LANES = replace(QUICK, judge_s=0.1, worth_bytes=MB, piece_bytes=MB, read_s=2.0)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetch(place: Path, *urls: str, data: bytes = DATA, patience: Patience = QUICK) -> None:
    """Download and compare every byte."""
    download(urls, place, bytes=len(data), sha256=digest(data), patience=patience)
    assert place.read_bytes() == data
    assert left_beside(place) == []


def left_beside(place: Path) -> list[str]:
    """Name what lies beside the file, but for the lock."""
    return sorted(path.name for path in place.parent.iterdir() if path.suffix != ".lock" and path != place)


def part_of(place: Path, data: bytes = DATA) -> Part:
    return Part(place, len(data), digest(data))


def kept(place: Path, data: bytes = DATA) -> int:
    """Count the bytes that the next run will take up."""
    part = part_of(place, data)
    try:
        return part.load()
    finally:
        part.close()


CHILD = """
import ast, sys
from pathlib import Path
from trisent.errors import TrisentError
from trisent.weights.download import download
from trisent.weights.sources import Patience
urls, place, size, sha256, patience, limit = sys.argv[1:]
if int(limit):
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    download(urls.split(), Path(place), bytes=int(size), sha256=sha256, patience=Patience(**ast.literal_eval(patience)))
except TrisentError as error:
    sys.exit(str(error))
"""


def child(
    place: Path, *urls: str, data: bytes = DATA, patience: dict[str, float] | None = None, limit: int = 0
) -> subprocess.Popen[str]:
    """Download in another process; it ends with 0, or with the message of a TrisentError on stderr."""
    arguments = [" ".join(urls), str(place), str(len(data)), digest(data), repr(patience or {}), str(limit)]
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": _path()})


def _path() -> str:
    return os.pathsep.join(path for path in sys.path if path)
