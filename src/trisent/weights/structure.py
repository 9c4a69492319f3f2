"""Tell the form of a file from its first kilobytes and its length; safetensors and zips are read, pickles never."""

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Literal

from trisent.i18n import t

Form = Literal["empty", "html", "pointer", "safetensors", "torch", "hdf5", "archive", "other"]

HEAD_BYTES = 4096
_LONGEST_HEADER = 16 << 20  # a hundred times what the largest models need
_POINTER = re.compile(rb"version https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{64})")
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|script|meta)\b", re.I | re.S
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number torch wrote before it wrote zips
_MOST_MEMBERS = 20_000

Open = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Head:
    """What the beginning of a file tells.

    `full_size` is how long the file says it should be (0 when it does not); `cut` says that its end is missing,
    `perhaps_cut` that nothing in it tells; `digest` is the sha256 a git-lfs pointer stands for.
    """

    form: Form
    full_size: int = 0
    cut: bool = False
    perhaps_cut: bool = False
    digest: str = ""

    @property
    def described(self) -> str:
        """Name the form for people."""
        names = {
            "torch": t("a torch checkpoint"),
            "archive": t("an archive"),
            "safetensors": t("a safetensors file"),
            "hdf5": t("an HDF5 file"),
        }
        return names.get(self.form, t("a file"))


def is_web_page(start: bytes) -> bool:
    """Say whether a file that begins with `start` is a page for people."""
    return _HTML.match(start[:HEAD_BYTES]) is not None


def looks_like(start: bytes, size: int, *, whole: Open, seekable: bool) -> Head:
    """Tell the form of a file of `size` bytes that begins with `start`.

    `whole` opens it. What is not `seekable`, a member of an archive, is never read to its end: that may be far away.
    """
    if size == 0:
        return Head("empty")
    if is_web_page(start):
        return Head("html")
    if start.startswith(b"version https://git-lfs"):
        found = _POINTER.match(start)
        return Head("pointer", digest=found[1].decode() if found else "")
    if start.startswith(_ZIP):
        return _zip(start, whole if seekable else None)
    if start.startswith(_OLD_TORCH):
        return Head("torch", perhaps_cut=True)
    if start.startswith(_HDF5):
        return Head("hdf5", full_size=_hdf5_size(start))
    if full := _safetensors_size(start, whole):
        return Head("safetensors", full_size=full)
    return Head("other")


def _zip(start: bytes, whole: Open | None) -> Head:
    is_torch = b"data.pkl" in start[:512] or b".format_version" in start[:512]
    if whole is None:
        return Head("torch" if is_torch else "archive")
    try:
        with whole() as stream, zipfile.ZipFile(stream) as archive:
            names = archive.namelist()[:_MOST_MEMBERS]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return Head("torch" if is_torch else "archive", cut=True)
    return Head("torch" if any(name.rpartition("/")[2] == "data.pkl" for name in names) else "archive")


def _hdf5_size(start: bytes) -> int:
    """Return the end of file that an HDF5 superblock names, 0 where it is of an unusual kind."""
    if len(start) < 64:
        return 0
    at = {0: 40, 1: 44, 2: 28, 3: 28}.get(start[8])  # by the version of the superblock
    bytes_of_an_address = start[13] if start[8] < 2 else start[9]
    return int.from_bytes(start[at : at + 8], "little") if at and bytes_of_an_address == 8 else 0


def _safetensors_size(start: bytes, whole: Open) -> int:
    """Return how long a safetensors file says it is, 0 when it is none."""
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or not 2 <= length <= _LONGEST_HEADER:
        return 0
    with whole() as stream:
        header = stream.read(8 + length)[8:]
    if len(header) < length:
        return 8 + length + 1  # cut within the header: all that is known is that more follows
    try:
        table = json.loads(header)
        ends = [row["data_offsets"][1] for name, row in table.items() if name != "__metadata__"]
        return 8 + length + max((int(end) for end in ends), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return 0
