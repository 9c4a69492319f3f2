"""Put one pinned file where it belongs: copied, proven on the way, there whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import File
from trisent.weights.digests import hasher

_CHUNK = 1 << 20
_MARGIN_BYTES = 8 << 20

Open = Callable[[], BinaryIO]


def opener(path: Path) -> Open:
    """Return what opens `path` for reading."""
    return lambda: path.open("rb")


def store(source: Open, destination: Path, file: File, *, on_progress: OnProgress = no_progress) -> None:
    """Copy what `source` opens to `destination`, which appears only if the bytes are those of `file`.

    Never more than `file.bytes` are written, whatever the source holds.

    Args:
        on_progress: called with the file's name, bytes so far, bytes in all.

    Raises:
        WeightsError: the bytes are others, or the disk is too full.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(destination.parent).free
    if free < file.bytes + min(_MARGIN_BYTES, file.bytes // 10):
        msg = t(
            "{what} needs {needed} MB in {folder}, {free} MB are free. Make room there, or choose another disk.",
            what=file.path,
            needed=-(-file.bytes // 10**6),
            folder=destination.parent,
            free=free // 10**6,
        )
        raise WeightsError(msg)
    # Not the name of a download's part: that one is continued by the next pull.
    beside = destination.with_name(f".{destination.name}.{os.getpid()}.copy")
    try:
        with source() as stream, beside.open("wb") as out:
            found = _copy(stream, out, file, on_progress)
            out.flush()
            os.fsync(out.fileno())
        if found != file.sha256:
            msg = t(
                "{file} changed while it was copied, or cannot be read: digest {found}, expected {expected}. "
                "Nothing was kept; run the same command again.",
                file=file.path,
                found=found,
                expected=file.sha256,
            )
            raise WeightsError(msg)
        os.replace(beside, destination)  # noqa: PTH105 - the word everybody knows for "whole or not at all"
    finally:
        beside.unlink(missing_ok=True)


def _copy(stream: BinaryIO, out: BinaryIO, file: File, on_progress: OnProgress) -> str:
    running, left = hasher(file.sha256, file.bytes), file.bytes
    while left and (chunk := stream.read(min(_CHUNK, left))):
        running.update(chunk)
        out.write(chunk)
        left -= len(chunk)
        on_progress(file.path, file.bytes - left, file.bytes)
    return running.hexdigest() if not left and not stream.read(1) else t("of another length")


def point_main(repo: Path, revision: str) -> None:
    """Let `main` of a repository in the Hugging Face cache be `revision`, unless another tool has put its own there."""
    main = repo / "refs" / "main"
    if main.is_file() or not (repo / "snapshots" / revision).is_dir():
        return
    main.parent.mkdir(parents=True, exist_ok=True)
    beside = main.with_name(f".main.{os.getpid()}.part")
    beside.write_text(revision, encoding="utf-8")
    beside.replace(main)
