"""What the formats that are pickles share: telling them apart, and reading columns of a split."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from trisent.data.dataset import EMOTIONS, SENTIMENT, Sequences
from trisent.data.padding import Piece, Stored, unpad
from trisent.data.safe_pickle import PICKLES, UnsafePickleError, load, looks_pickled, peek
from trisent.errors import DataError
from trisent.features.layouts import SPLIT_NAMES
from trisent.i18n import t
from trisent.types import Floats, Modality

KEYS: dict[Modality, str] = {"text": "text", "audio": "audio", "video": "vision"}

_SEGMENT = re.compile(r"(.+)\[\d+\]")  # as CMU's toolkit names them

Split = Mapping[str, object]  # the columns of a split by name


@dataclass(frozen=True, slots=True)
class Outline:
    """What the beginning of a pickle of splits holds.

    Attributes:
        columns: names of the columns, where splits are dictionaries.
        lists: splits are lists of utterances.
        triple_ids: an id is a row of several texts.
        refused: it asks for what is not plain data, so nobody can say what it is.
    """

    columns: frozenset[str] = frozenset()
    lists: bool = False
    triple_ids: bool = False
    refused: bool = False


def outline(path: Path) -> Outline | None:
    """Look at the beginning of a file; None when it is no pickle of splits."""
    if not path.is_file() or not looks_pickled(path):
        return None
    state = path.stat()
    return _outline(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)  # four formats ask in turn; the time and size tell when the file has changed
def _outline(path: Path, _time: int, _size: int) -> Outline | None:
    try:
        value = peek(path)
    except UnsafePickleError:
        # In protocols 0 and 1 a text may look like a pickle: "clip_id" names something as "cos" does.
        with path.open("rb") as file:
            certain = file.read(1) == b"\x80" or path.suffix.lower() in PICKLES
        return Outline(refused=True) if certain else None
    except DataError:
        return None
    found = _splits(value)
    if not found:
        return None
    columns = {str(key) for split in found.values() if isinstance(split, dict) for key in split}
    ids: Any = next((split["id"] for split in found.values() if isinstance(split, dict) and "id" in split), None)
    lists = all(isinstance(split, list) for split in found.values())
    first = next(iter(ids), None) if isinstance(ids, list) or (isinstance(ids, np.ndarray) and ids.ndim) else None
    return Outline(frozenset(columns), lists, isinstance(first, list | tuple | np.ndarray) and len(first) > 1)


def _splits(value: object) -> dict[str, object]:
    """Return what is below the names of splits, by our names for them."""
    if not isinstance(value, dict):
        return {}
    return {split: found for key, found in value.items() if (split := _split_named(key))}


def _split_named(key: object) -> str:
    """Say which split a key names, in whatever case; "" if none."""
    return SPLIT_NAMES.get(key.strip().lower(), "") if isinstance(key, str) else ""


def read_splits(path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Load a pickle; return its splits, and what else it holds at the top.

    Raises:
        UnsafePickleError: it holds more than plain data.
        DataError: there are no splits in it.
    """
    value = load(path)
    splits = _splits(value)
    if not splits or not isinstance(value, dict):
        found = ", ".join(str(key)[:40] for key in list(value)[:8]) if isinstance(value, dict) else type(value).__name__
        message = "{path}: expected a dictionary with train, valid and test; found {found}"
        raise DataError(t(message, path=path, found=found or t("nothing")))
    rest = {str(key): item for key, item in value.items() if not _split_named(key)}
    if len(splits) + len(rest) < len(value):
        message = "{path} has one split under two names (found: {found})"
        raise DataError(t(message, path=path, found=", ".join(map(str, value))[:200]))
    return splits, rest


def read_columns(path: Path, *, required: Sequence[str]) -> tuple[dict[str, Split], dict[str, object]]:
    """Load a pickle whose splits are dictionaries of columns; return them, and what else it holds at the top.

    Splits without utterances are left out.

    Raises:
        UnsafePickleError: it holds more than plain data.
        DataError: a split is something else, or lacks a required column.
    """
    splits, rest = read_splits(path)
    columns: dict[str, Split] = {}
    for name, split in splits.items():
        lacks = [key for key in required if not isinstance(split, dict) or key not in split]
        if lacks or not isinstance(split, dict):
            found = ", ".join(map(str, split)) if isinstance(split, dict) else type(split).__name__
            message = "{path}: the split {split} lacks {lacks} (found: {found})"
            raise DataError(t(message, path=path, split=name, lacks=", ".join(lacks), found=found[:200]))
        if count(path, split[required[0]], required[0]):
            columns[name] = split
    if not columns:
        raise DataError(t("{path} has no utterances", path=path))
    return columns, rest


def count(path: Path, column: object, key: str) -> int:
    """Count the utterances of a column.

    Raises:
        DataError: it is neither an array nor a list.
    """
    if isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim):
        return len(column)
    raise DataError(t("{path}: {key} must be an array or a list, got {kind}", path=path, key=key,
                      kind=type(column).__name__))  # fmt: skip


def joined(
    path: Path, splits: Mapping[str, Split], key: str, *, counts: Mapping[str, int]
) -> list[Any] | None:  # whatever the file holds, checked by who uses it
    """Join a column of all splits; None when no split has it.

    Raises:
        DataError: only some splits have it, or it has not one value for each utterance.
    """
    there = [name for name, split in splits.items() if key in split]
    if not there:
        return None
    if len(there) < len(splits):
        message = "{path}: {key} is in the splits {there}, and not in the others. Take it out of all, or add it."
        raise DataError(t(message, path=path, key=key, there=", ".join(there)))
    for name, split in splits.items():
        if (n := count(path, split[key], key)) != counts[name]:
            message = "{path}: the split {split} has {n} values of {key} for {count} utterances"
            raise DataError(t(message, path=path, split=name, n=n, key=key, count=counts[name]))
    return [value for split in splits.values() for value in split[key]]  # type: ignore[attr-defined]


def strings(values: Sequence[object]) -> tuple[str, ...]:
    """Read texts, which are bytes where Python 2 or the CMU toolkit wrote them."""
    return tuple(_string(value) for value in values)


def _string(value: object) -> str:
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size == 1 else " ".join(_string(v) for v in value.reshape(-1))
    if value is None or value != value:  # pandas writes an empty cell as NaN
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def numbers(path: Path, values: Sequence[object], key: str) -> Floats:
    """Read one number an utterance, however many brackets are around it; what is not one is NaN.

    Raises:
        DataError: there are several numbers an utterance, or something that is none.
    """
    found = matrix(path, values, key)
    if found.shape[1] != 1:
        message = "{path}: {key} must be one number for each utterance, got {n}"
        raise DataError(t(message, path=path, key=key, n=found.shape[1]))
    return found[:, 0]


def matrix(path: Path, values: Sequence[object], key: str) -> Floats:
    """Read the same count of numbers for each utterance, as [utterances, numbers].

    Raises:
        DataError: the counts differ, or something is no number.
    """
    try:
        with np.errstate(over="ignore"):
            rows = [np.asarray(np.nan if v is None else v, np.float64).astype(np.float32).reshape(-1) for v in values]
            return np.stack(rows) if rows else np.zeros((0, 1), np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(t("{path}: {key} must hold numbers: {reason}", path=path, key=key, reason=error)) from error


def sentiment(path: Path, values: Sequence[object], key: str) -> dict[str, Floats]:
    """Read labels: sentiment, or sentiment and the six emotions in CMU's order.

    Raises:
        DataError: they are neither.
    """
    found = matrix(path, values, key)
    if found.shape[1] == 1:
        return {SENTIMENT: found[:, 0]}
    if found.shape[1] == 1 + len(EMOTIONS):
        return {name: found[:, i].copy() for i, name in enumerate((SENTIMENT, *EMOTIONS))}
    message = "{path}: {key} must be sentiment, or sentiment and six emotions; got {n} numbers for each utterance"
    raise DataError(t(message, path=path, key=key, n=found.shape[1]))


def features(
    path: Path,
    splits: Mapping[str, Split],
    *,
    counts: Mapping[str, int],
    stored: Mapping[Modality, Stored] | None = None,
) -> tuple[dict[Modality, Sequences], tuple[str, ...]]:
    """Read the modalities that there are, without their padding; return them, and what was done.

    Raises:
        DataError: a modality is not [utterances, steps, dim] of numbers in every split.
    """
    found: dict[Modality, list[Piece]] = {}
    for modality, key in KEYS.items():
        column = joined(path, splits, key, counts=counts)
        if column is not None and not all(isinstance(value, str | bytes) for value in column):
            found[modality] = [piece(path, value, key) for value in column]
            check_widths(path, found[modality], key)
    sequences, notes = unpad(found, stored or {})
    wide = [m for m, pieces in found.items() if pieces[0].dtype.itemsize > 4]
    if wide:
        notes += (t("{modalities}: kept with half the digits, as float32", modalities=", ".join(wide)),)
    return sequences, notes


def piece(path: Path, value: object, key: str) -> Piece:
    """Read the rows of one utterance, [steps, dim].

    Raises:
        DataError: it is something else.
    """
    values = np.asarray(value if not isinstance(value, list) or value else np.zeros((0, 1)))
    if values.dtype.kind in "fiub" and values.ndim in (1, 2):
        return values if values.ndim == 2 else values[None]
    message = "{path}: {key} must be numbers of shape [steps, dim] for each utterance, got {dtype} {shape}"
    raise DataError(t(message, path=path, key=key, dtype=values.dtype, shape=list(values.shape)))


def check_widths(path: Path, pieces: Sequence[Piece], key: str) -> None:
    """Check that all utterances have features of one width.

    Raises:
        DataError: they have not, or it is zero.
    """
    widths = {p.shape[1] for p in pieces}
    if len(widths) != 1 or 0 in widths:
        message = "{path}: {key} must have one width for all utterances, got {widths}"
        raise DataError(t(message, path=path, key=key, widths=sorted(widths)[:8]))


def video_of(name: str) -> str:
    """Return the video that an id of the field names, else "".

    >>> video_of("-3g5yACwYnA$_$10"), video_of("-3g5yACwYnA[10]"), video_of("7")
    ('-3g5yACwYnA', '-3g5yACwYnA', '')
    """
    segment = _SEGMENT.fullmatch(name)
    return segment[1] if segment else name.rpartition("$_$")[0]


def unique(ids: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give ids that come again a number; return all, and a note when there were such.

    >>> unique(["a", "a"])[0]
    ('a', 'a#2')
    """
    seen: set[str] = set()
    times: dict[str, int] = {}
    named = []
    for name in ids:
        again = name
        while again in seen:
            times[name] = times.get(name, 1) + 1
            again = f"{name}#{times[name]}"
        seen.add(again)
        named.append(again)
    twice = [name for name, again in zip(ids, named, strict=True) if name != again]
    if not twice:
        return tuple(named), ()
    message = "{count} utterances have the id of another and got a number behind it, first {first}"
    return tuple(named), (t(message, count=len(twice), first=twice[0]),)
