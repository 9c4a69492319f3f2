"""Look into zip archives and wheels without unpacking them: only what the catalog may know is ever decompressed."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from trisent.i18n import t
from trisent.weights.catalog import entries
from trisent.weights.lookalikes import lookalikes
from trisent.weights.recognise import Item

_MOST_MEMBERS = 20_000
_LEAVES_THE_ARCHIVE = re.compile(r"^([\\/]|[A-Za-z]:)|(^|[\\/])\.\.([\\/]|$)")
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that is not looked at, and why."""

    label: str
    why: str


def members(path: Path, stack: ExitStack) -> Iterator[Item | Refused]:
    """List the files in an archive, which stays open as long as `stack`.

    Names are labels only: where a member goes is decided by its bytes. Together not more is decompressed than the
    whole catalog twice, however much an archive claims to hold.
    """
    archive = stack.enter_context(zipfile.ZipFile(path))
    sizes = {file.bytes for entry in entries() for file in entry.files} | {other.bytes for other in lookalikes()}
    left = 2 * sum(sizes)
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        yield Refused(str(path), t("holds {count} files, more than the {limit} looked at",
                                   count=len(infos), limit=_MOST_MEMBERS))  # fmt: skip
    for info in infos[:_MOST_MEMBERS]:
        label = f"{path}: {info.filename}"
        if info.is_dir():
            continue
        if _LEAVES_THE_ARCHIVE.search(info.filename):
            yield Refused(label, t("its name leads out of the archive; refused"))
        elif info.flag_bits & _ENCRYPTED:
            yield Refused(label, t("encrypted; unpack it with the password first"))
        elif info.file_size in sizes and (left := left - info.file_size) < 0:
            yield Refused(str(path), t("unpacks to more than the whole catalog; refused"))
            return
        else:
            yield Item(label, info.filename.rpartition("/")[2], info.file_size, partial(_open, archive, info))


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(info))
    except (NotImplementedError, RuntimeError) as error:  # a way of packing that Python does not know
        raise zipfile.BadZipFile(str(error)) from error
