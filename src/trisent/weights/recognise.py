"""Say what a file is by its bytes: which file of which weights, or what it is instead. Nothing is loaded or unpickled.

First the sha256, whatever the name; then what the first kilobytes and the length tell.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

from trisent.i18n import t
from trisent.weights.catalog import Entry, File, entries
from trisent.weights.digests import digest_like, hasher
from trisent.weights.lookalikes import lookalikes
from trisent.weights.structure import HEAD_BYTES, Head, looks_like

Kind = Literal["right", "another version", "damaged", "truncated", "web page", "pointer", "archive", "unknown"]

_CHUNK = 1 << 20
# What browsers and download tools hang on a name: "model (1).safetensors", "model.safetensors.crdownload".
_DECORATION = re.compile(
    r"( ?\(\d+\)|\.(crdownload|part|partial|download|tmp|incomplete|aria2|opdownload))", re.IGNORECASE
)
_NAMED_BY_DIGEST = re.compile(r"[\w.-]+-([0-9a-f]{8})\.(pth|pt)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Item:
    """Something to look at: a file, or a member of an archive. `path` is None for a member."""

    label: str
    name: str
    size: int
    open: Callable[[], BinaryIO]
    path: Path | None = None
    _digests: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_file(cls, path: Path) -> "Item":
        """Make an item of a file."""
        return cls(str(path), path.name, path.stat().st_size, lambda: path.open("rb"), path)

    def digest_like(self, expected: str) -> str:
        """Hash the bytes the way `expected` was made; a file's digest is remembered."""
        if self.path is not None:
            return digest_like(expected, self.path)
        if len(expected) not in self._digests:
            self._digests[len(expected)] = self._digest_of_member(expected)
        return self._digests[len(expected)]

    def _digest_of_member(self, expected: str) -> str:
        running, left = hasher(expected, self.size), self.size + 1  # an archive may hold more than it says
        with self.open() as stream:
            while left and (chunk := stream.read(min(_CHUNK, left))):
                running.update(chunk)
                left -= len(chunk)
        return running.hexdigest() if left == 1 else ""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What an item is. `matches` are the files of the catalog whose bytes it has; none unless `kind` is "right"."""

    kind: Kind
    what: str
    matches: tuple[tuple[Entry, File], ...] = ()


def recognise(item: Item) -> Recognised:
    """Say what an item is."""
    if matches := tuple(_same_bytes(item)):
        names = ", ".join(dict.fromkeys(t("{file} of {name}", file=f.path, name=e.name) for e, f in matches))
        return Recognised("right", names, matches)
    for other in lookalikes():
        if item.size == other.bytes and item.digest_like(other.sha256) == other.sha256:
            return Recognised("another version", t(other.what))
    with item.open() as stream:
        head = looks_like(stream.read(HEAD_BYTES), item.size, whole=item.open, seekable=item.path is not None)
    if head.form == "empty":
        return Recognised("damaged", t("an empty file"))
    if head.form == "html":
        return Recognised("web page", t("an HTML page: a log-in page or an error page was saved in the file's place"))
    if head.form == "pointer":
        return _pointer(head)
    return _cut_short(item, head) or _by_length_or_name(item, head)


def _same_bytes(item: Item) -> Iterator[tuple[Entry, File]]:
    for entry, file in _pinned():
        if file.bytes == item.size and item.digest_like(file.sha256) == file.sha256:
            yield entry, file


def _pinned() -> Iterator[tuple[Entry, File]]:
    return ((entry, file) for entry in entries() if not entry.unpinned for file in entry.files)


def _pointer(head: Head) -> Recognised:
    stands_for = [t("{file} of {name}", file=f.path, name=e.name) for e, f in _pinned() if f.sha256 == head.digest]
    stands_for += [t(other.what) for other in lookalikes() if other.sha256 == head.digest]
    if stands_for:
        what = t("a git-lfs pointer to {what}, not the file itself: run git lfs pull there", what=stands_for[0])
    else:
        what = t("a git-lfs pointer to a file the catalog does not know")
    return Recognised("pointer", what)


def _cut_short(item: Item, head: Head) -> Recognised | None:
    if head.full_size > item.size:  # safetensors and HDF5 say in their first bytes how long they are
        of = [t("{file} of {name}", file=f.path, name=e.name) for e, f in _pinned() if f.bytes == head.full_size]
        of += [t(other.what) for other in lookalikes() if other.bytes == head.full_size]
        what = of[0] if of else head.described
        return Recognised("truncated", _truncated(what, item.size, head.full_size))
    if not (head.cut or head.perhaps_cut):
        return None
    longer = [(e, f) for e, f in _named_like(item) if f.bytes > item.size]
    if not longer and not head.cut:
        return None
    if not longer:
        return Recognised("truncated", t("truncated: {form} without its end", form=head.described))
    return Recognised(
        "truncated",
        t(" or ").join(
            _truncated(t("{file} of {name}", file=f.path, name=e.name), item.size, f.bytes) for e, f in longer
        ),
    )


def _truncated(what: str, size: int, full: int) -> str:
    return t("{what}, truncated at {percent} % ({size} of {full} bytes)",
             what=what, percent=100 * size // full, size=size, full=full)  # fmt: skip


def _by_length_or_name(item: Item, head: Head) -> Recognised:
    for entry, file in _pinned():
        if file.role == "weights" and file.bytes == item.size:
            what = t(
                "as long as {file} of {name}, but other bytes: sha256 {found}, expected {expected}; damaged, or "
                "another version",
                file=file.path,
                name=entry.name,
                found=item.digest_like(file.sha256),
                expected=file.sha256,
            )
            return Recognised("damaged", what)
    if head.form == "archive":
        return Recognised("archive", t("an archive inside an archive; unpack it first"))
    named = _NAMED_BY_DIGEST.fullmatch(plain_name(item)) if item.path is not None else None
    if named and item.digest_like("0" * 64).startswith(named[1]):
        return Recognised("unknown", t("a sound {file}, which the catalog does not have", file=plain_name(item)))
    if ours := [(e, f) for e, f in _named_like(item) if f.role == "weights"]:
        sizes = t(" or ").join(t("{bytes} bytes of {name}", bytes=f.bytes, name=e.name) for e, f in ours)
        what = t("not the catalog's {file}: {found} bytes, expected {expected}",
                 file=ours[0][1].path, found=item.size, expected=sizes)  # fmt: skip
        return Recognised("another version" if _is_told_by_folder(item, ours) else "unknown", what)
    return Recognised("unknown", t("not a file of the catalog"))


def _named_like(item: Item) -> list[tuple[Entry, File]]:
    """List the files of the catalog with this name; those alone whose weights a folder above is named after, if any."""
    named = [(entry, file) for entry, file in _pinned() if PurePath(file.path).name == plain_name(item)]
    told = [(entry, file) for entry, file in named if _is_told_by_folder(item, [(entry, file)])]
    return told or named


def _is_told_by_folder(item: Item, files: list[tuple[Entry, File]]) -> bool:
    above = {part.lower() for part in re.split(r"[\\/]|--", item.label)}
    return all(above & {entry.name.lower(), *map(str.lower, entry.aliases)} for entry, _ in files)


def plain_name(item: Item) -> str:
    """Return the name without what browsers and download tools hang on it."""
    return _DECORATION.sub("", item.name)
