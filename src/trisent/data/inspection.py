"""What a file or folder is, without reading it whole: its format, its arrays and their shapes, its SHA-256 sums."""

import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trisent.data.audit.published import SHA256, sha256_of
from trisent.data.csd.files import Csd
from trisent.data.readers import recognise
from trisent.data.safe_pickle import PICKLES, load
from trisent.errors import DataError
from trisent.features.store import FeatureStore
from trisent.i18n import system_reason, t

_TABLES = (".csv", ".tsv", ".jsonl")
_SUFFIXES = (*PICKLES, *_TABLES, ".npz", ".csd")
_STORE = "store.json"
_DEEP = 4  # levels of a pickle that are listed
_PARTS = 200  # of a file


@dataclass(frozen=True, slots=True)
class Part:
    """An array, a column or a track: where it is, its shape, its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file; `known` is the published file that has this SHA-256, if any."""

    name: str
    bytes: int
    sha256: str
    known: str | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a path is: `format` is None when no reader knows it."""

    path: Path
    format: str | None
    files: tuple[FileFacts, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "path": str(self.path)}


def inspect(path: Path) -> Inspection:
    """Look at a file, or at the files of data that lie in a folder.

    Raises:
        DataError: there is nothing, or a file is damaged or unsafe.
    """
    if not path.exists():
        raise DataError(t("{path} is not there. To see a data set: trisent data sample DIR", path=path))
    # Before the format, so that a pickle with a command in it is refused by name.
    files = tuple(_facts(p, path) for p in _files(path))
    format = recognise(path)
    return Inspection(path, None if format is None else format.name, files)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / _STORE).is_file():
        return [path / _STORE]
    return sorted(p for p in path.iterdir() if p.is_file() and p.suffix in _SUFFIXES)


def _facts(file: Path, path: Path) -> FileFacts:
    digest = sha256_of(file)
    parts: list[Part] = []
    for part in _parts(file):
        if len(parts) == _PARTS:
            break
        parts.append(part)
    name = file.name if path.is_file() else str(file.relative_to(path))
    return FileFacts(name, file.stat().st_size, digest, SHA256.get(digest), tuple(parts))


def _parts(file: Path) -> Iterator[Part]:
    if file.name == _STORE:
        yield from _store_parts(file.parent)
    elif file.suffix == ".npz":
        yield from _npz_parts(file)
    elif file.suffix == ".csd":
        yield from _csd_parts(file)
    elif file.suffix in PICKLES:
        yield from _pickle_parts("", load(file), depth=0)  # maps the file: arrays are not read
    elif file.suffix in _TABLES:
        with file.open("rb") as lines:
            yield Part(t("lines"), (sum(1 for _ in lines),), "text")


def _store_parts(folder: Path) -> Iterator[Part]:
    store = FeatureStore(folder)
    for modality, dim in store.dims.items():
        yield Part(modality, (len(store), dim), t("sequences"))


def _npz_parts(file: Path) -> Iterator[Part]:
    """Read the head of each array alone."""
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    version = np.lib.format.read_magic(member)
                    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                    shape, _, dtype = read[version](member)
                    yield Part(name.removesuffix(".npy"), tuple(shape), str(dtype))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(t("{path} cannot be read as .npz: {reason}", path=file, reason=system_reason(error))) from error


def _csd_parts(file: Path) -> Iterator[Part]:
    with Csd(file) as csd:
        rows = sum(entry.rows for entry in csd.entries.values())
        videos = len({entry.video for entry in csd.entries.values()})
        kind = (
            t("words of {videos} videos", videos=videos) if csd.words else t("rows of {videos} videos", videos=videos)
        )
        yield Part(csd.root, (rows, csd.width), kind)


def _pickle_parts(name: str, value: object, *, depth: int) -> Iterator[Part]:
    if isinstance(value, np.ndarray):
        yield Part(name, tuple(value.shape), str(value.dtype))
    elif isinstance(value, dict) and depth < _DEEP and all(isinstance(k, str) for k in value):
        for key, inner in value.items():
            yield from _pickle_parts(f"{name}/{key}" if name else key, inner, depth=depth + 1)
    elif isinstance(value, list | tuple | dict):
        yield Part(name, (len(value),), type(value).__name__)
    else:
        yield Part(name, (), type(value).__name__)
