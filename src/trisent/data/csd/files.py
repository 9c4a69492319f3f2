"""One computational sequence: a .csd file, which is HDF5, read video by video.

    /{root}/data/{video} or {video[k]}/features   [rows, width] numbers, or words as bytes
                                      /intervals  [rows, 2] seconds
    /{root}/metadata/{key}                        (1,) text, which is JSON

Nothing in a file is believed: links out of it, arrays that are larger than what is stored, rows that do not match.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trisent.errors import DataError
from trisent.i18n import t

Doubles = NDArray[np.float64]

_KEY = re.compile(r"([^\[]*)(?:\[(\d+)\])?.*", re.DOTALL)
# gzip makes nothing smaller than a 1032nd; what claims to be larger than that by far was not written by anyone's SDK.
_MOST_FOLD, _SMALL = 4096, 1 << 24


@dataclass(frozen=True, slots=True)
class Entry:
    """One group of a file: its key, "video" or "video[k]" (then `number` is k, else None), and how many rows."""

    key: str
    video: str
    number: int | None
    rows: int
    width: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a video: `intervals` float64 [rows, 2] seconds, `values` [rows, width] numbers, or [rows] words."""

    intervals: Doubles
    values: NDArray[Any]  # float32 and float64, or object


class Csd:
    """A computational sequence opened for reading; a context manager.

    Attributes:
        path: the file.
        root: the name of the sequence, such as "COVAREP".
        metadata: what the file says of itself; what is no JSON is kept as text.
        words: the features are words.
        width: of the features.
        entries: by key, in the order of videos and of their numbers.
        notes: what was left out, a sentence each.

    Raises:
        DataError: the file is no computational sequence, is cut off, or reaches outside itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _told(path):
            self._file = h5py.File(path, "r")
        try:
            with _told(path):
                self._scan()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Csd":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    def _scan(self) -> None:
        groups = {name: self._file[name] for name in self._names(self._file)}
        inside = {name: self._names(group) for name, group in groups.items() if _is_group(group)}
        roots = [name for name, names in inside.items() if "data" in names and _is_group(groups[name]["data"])]
        if not roots:
            found = ", ".join(list(groups)[:8]) or t("nothing")
            message = "{path} is HDF5 but no computational sequence: expected /NAME/data, found {found}"
            raise DataError(t(message, path=self.path, found=found))
        self.root: str = roots[0]
        root = groups[self.root]
        about = root["metadata"] if "metadata" in inside[self.root] else None
        self.metadata: Mapping[str, Any] = self._metadata(about) if _is_group(about) else {}
        self._data = root["data"]
        entries, odd, kinds = [], [], Counter[tuple[bool, int]]()
        for key in self._names(self._data):
            entry, words = self._entry(key)
            if entry is None:
                odd.append(key)
            else:
                entries.append((entry, (words, entry.width)))
                kinds[words, entry.width] += 1
        if not entries:
            message = "{path} has no entry with features [rows, width] and intervals [rows, 2]"
            raise DataError(t(message, path=self.path))
        kind = kinds.most_common(1)[0][0]
        self.words, self.width = kind
        odd += [entry.key for entry, other in entries if other != kind]
        kept = sorted(
            (e for e, k in entries if k == kind), key=lambda e: (e.video, -1 if e.number is None else e.number)
        )
        self.entries = {entry.key: entry for entry in kept}
        self._videos: dict[str, list[Entry]] = {}
        for entry in kept:
            self._videos.setdefault(entry.video, []).append(entry)
        message = "{file}: {n} entries are left out, as their features, their intervals or both are odd ({keys})"
        left_out = t(message, file=self.path.name, n=len(odd), keys=", ".join(sorted(odd)[:5]))
        self.notes = (left_out,) if odd else ()

    def _names(self, group: Any) -> list[str]:  # a group of h5py, which has no types
        """List what is in a group; a link to elsewhere could make us read any file of this machine."""
        links = {str(name): group.get(name, getlink=True) for name in group}
        self._refuse_links(links)
        return list(links)

    def _refuse_links(self, links: Mapping[str, object]) -> None:
        for name, link in links.items():
            if not isinstance(link, h5py.HardLink):
                raise DataError(t("{path}: {name} is a link to elsewhere; refused", path=self.path, name=name))

    def _entry(self, key: str) -> tuple[Entry | None, bool]:
        links = [self._data.get(f"{key}/{part}", getlink=True) for part in ("features", "intervals")]
        if None in links:
            return None, False
        self._refuse_links({f"{key}/features": links[0], f"{key}/intervals": links[1]})
        features, intervals = self._data[f"{key}/features"], self._data[f"{key}/intervals"]
        if not all(isinstance(d, h5py.Dataset) for d in (features, intervals)):
            return None, False
        for dataset in (features, intervals):
            stored = dataset.id.get_storage_size()
            if dataset.is_virtual or dataset.external or dataset.nbytes > max(_SMALL, _MOST_FOLD * stored):
                message = "{path}: {name} claims {claimed} bytes, and {stored} are in the file; refused"
                message = t(message, path=self.path, name=dataset.name, claimed=dataset.nbytes, stored=stored)
                raise DataError(message)
        shape = features.shape if len(intervals.shape) == 2 else (1, *features.shape)
        words = features.dtype.kind in "SOU"
        numbers = features.dtype.kind in "fiu" and intervals.dtype.kind in "fiu"
        two = intervals.shape[-1:] == (2,) and len(intervals.shape) in (1, 2)
        rows = intervals.shape[0] if len(intervals.shape) == 2 else 1
        if not two or not (words or numbers) or not shape or shape[0] != rows:
            return None, words
        match = _KEY.fullmatch(key)
        number = int(match[2]) if match and match[2] else None
        return Entry(key, match[1] if match else key, number, rows, int(np.prod(shape[1:]))), words

    def _metadata(self, group: Any) -> dict[str, Any]:
        return {key: _said(group[key]) for key in self._names(group) if isinstance(group[key], h5py.Dataset)}

    @property
    def videos(self) -> Mapping[str, Sequence[Entry]]:
        """The entries of each video."""
        return self._videos

    def rows(self, entries: Sequence[Entry]) -> Rows:
        """Read entries, one after the other.

        Raises:
            DataError: the file is damaged.
        """
        intervals, values = [np.zeros((0, 2))], [np.zeros((0, self.width), np.float32)]
        spoken: list[str] = []
        with _told(self.path):
            for entry in entries:
                intervals.append(self._data[f"{entry.key}/intervals"][()].reshape(entry.rows, 2).astype(np.float64))
                features = self._data[f"{entry.key}/features"][()].reshape(entry.rows, entry.width)
                if self.words:
                    spoken += [" ".join(map(_text, row)).strip() for row in features]
                else:
                    values.append(features if features.dtype == np.float64 else features.astype(np.float32))
        words = np.array([*spoken, None], dtype=object)[:-1]
        return Rows(np.concatenate(intervals), words if self.words else np.concatenate(values))

    def video(self, name: str) -> Rows:
        """Read the rows of a video in the order of their beginnings; none if the file does not know it.

        Raises:
            DataError: the file is damaged.
        """
        rows = self.rows(self._videos.get(name, []))
        order = np.argsort(rows.intervals[:, 0], kind="stable")
        return Rows(rows.intervals[order], rows.values[order])


def _is_group(found: object) -> bool:
    return isinstance(found, h5py.Group)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of which file h5py complains, and what to do."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        message = "{path} cannot be read as a computational sequence: {reason}. It may be cut off; fetch it again."
        raise DataError(t(message, path=path, reason=reason)) from error


def _said(dataset: Any) -> Any:
    """Read one key of the metadata: JSON, or else text."""
    value = np.asarray(dataset[()]).reshape(-1)
    text = _text(value[0]) if value.size else ""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
