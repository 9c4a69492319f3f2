"""Pickles read without running them: numpy arrays and plain containers are built, anything else is refused by name.

A pickle is a program. Python's unpickler runs it; `pickle_machine` only follows the few instructions that build data,
so no class, function or module that a file names is ever looked up. Time and memory grow with the file's size, never
faster: nothing that a file says about sizes is believed before the bytes are there.
"""

import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from trisent.data.pickle_arrays import RefusedPickleError
from trisent.data.pickle_machine import BrokenPickleError, Machine
from trisent.errors import DataError
from trisent.i18n import system_reason, t

MAX_BYTES = 64 << 30
MAX_CONTAINERS = 4_000_000
MAX_DEPTH = 64
PICKLES = (".pkl", ".pickle", ".p")
"""Suffixes of files that are certainly meant to be pickles."""

_SCALARS = frozenset({str, bytes, memoryview, int, float, complex, bool, type(None)})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})


class UnsafePickleError(DataError):
    """A pickle asks for something else than numpy arrays and plain containers, or for more than it may have."""


def load(
    source: Path | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_containers: int = MAX_CONTAINERS,
    max_depth: int = MAX_DEPTH,
    name: str = "",
) -> object:
    """Build what a pickle holds; a file is mapped, so large arrays are read when they are looked at.

    Gives dict, list, tuple, set, frozenset, str, bytes, numbers, None, and numpy arrays and scalars. Arrays are
    read-only. OrderedDict and defaultdict come as dict, bytearray as bytes, bytes of a mebibyte and more as a
    memoryview, and what Python 2 called a string as str where it is UTF-8, as bytes where it is not.

    Args:
        source: a file, or a pickle in memory.
        max_bytes: longest file to read.
        max_containers: most lists, tuples, dictionaries and sets, counted once for every place they are used in.
        max_depth: how deep containers may lie in each other.
        name: what errors call the source; the path of a file.

    Raises:
        UnsafePickleError: the pickle holds something else, or more than it may.
        DataError: the file is cut short, or is no pickle.
    """
    name = name or (t("the pickle") if isinstance(source, bytes) else str(source))
    machine = Machine(_content(source, name, max_bytes), max_containers=max_containers, max_depth=max_depth)
    try:
        value = machine.run()
        _inspect(value, max_containers, max_depth)
    except RefusedPickleError as error:
        raise _unsafe(name, machine, error) from error
    except BrokenPickleError as error:
        raise _broken(name, machine, error) from error
    return value


def peek(source: Path | bytes, *, instructions: int = 300_000) -> object:
    """Build the beginning of a pickle: lists and dictionaries may lack their ends. For telling formats apart.

    Raises:
        UnsafePickleError, DataError: as `load`, for what is wrong in the beginning.
    """
    name = t("the pickle") if isinstance(source, bytes) else str(source)
    machine = Machine(_content(source, name, MAX_BYTES), max_containers=MAX_CONTAINERS, max_depth=MAX_DEPTH)
    try:
        return machine.begin(instructions)
    except RefusedPickleError as error:
        raise _unsafe(name, machine, error) from error
    except BrokenPickleError as error:
        raise _broken(name, machine, error) from error


def looks_pickled(path: Path) -> bool:
    """Tell from its first and last byte whether a file may be a pickle."""
    try:
        with path.open("rb") as file:
            head = file.read(2)
            if len(head) < 2 or (head[0] == 0x80 and head[1] > 5):
                return False
            file.seek(-1, 2)
            return head[0] in b"\x80(]}lcd" and file.read(1) == b"."
    except OSError:
        return False


def _content(source: Path | bytes, name: str, max_bytes: int) -> bytes | mmap.mmap:
    if isinstance(source, bytes):
        size, content = len(source), source
    else:
        try:
            size = source.stat().st_size
            with source.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""  # type: ignore[assignment]
        except OSError as error:
            raise DataError(t("{path} cannot be read: {reason}", path=source, reason=system_reason(error))) from error
    if size > max_bytes:
        message = t("{source} has {size} bytes, more than the {most} allowed", source=name, size=size,
                    most=max_bytes)  # fmt: skip
        raise UnsafePickleError(message)
    return content


def _unsafe(name: str, machine: Machine, error: Exception) -> UnsafePickleError:
    return UnsafePickleError(
        t(
            "{source} asks for {what} (at byte {position}), which is refused: from a pickle only numpy arrays, lists, "
            "dictionaries, texts and numbers are read, since anything else can run code. If you trust the file, open "
            "it in the program that made it, turn what it holds into numpy arrays, and save it again.",
            source=name,
            what=error,
            position=machine.position,
        )
    )


def _broken(name: str, machine: Machine, error: Exception) -> DataError:
    return DataError(
        t(
            "{source} is not a whole pickle: {reason} (at byte {position}). Download or copy it again, and compare "
            "its size and SHA-256 with those of the original.",
            source=name,
            reason=error,
            position=machine.position,
        )
    )


def _inspect(root: object, max_containers: int, max_depth: int) -> None:
    """Refuse loops, too much sharing or depth, and anything that is not plain.

    Lists that hold one list twice, thirty times over, are small in memory and endless to whoever walks them: sizes
    are therefore counted as if nothing were shared, children before parents.
    """
    sizes: dict[int, tuple[int, int]] = {}  # container -> containers in it, levels in it
    opened: set[int] = set()
    todo: list[tuple[object, bool]] = [(root, False)]
    while todo:
        value, seen = todo.pop()
        key = id(value)
        if key in sizes:
            continue
        children = [child for child in _children(value) if not _is_leaf(child)]
        if not seen:
            if key in opened:
                raise RefusedPickleError(t("a container that holds itself"))
            opened.add(key)
            todo.append((value, True))
            todo.extend((child, False) for child in children)
            continue
        below = [sizes[id(child)] for child in children]
        count, depth = 1 + sum(n for n, _ in below), 1 + max((d for _, d in below), default=0)
        if count > max_containers or depth > max_depth:
            raise RefusedPickleError(t("{count} containers, {depth} deep", count=count, depth=depth))
        sizes[key] = count, depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    if type(value) in _CONTAINERS:
        return value  # type: ignore[return-value]
    if type(value) is np.ndarray:
        return value.flat if value.dtype.hasobject else ()
    if _is_leaf(value):
        return ()
    raise RefusedPickleError(t("{name} itself, not what it makes", name=value))


def _is_leaf(value: object) -> bool:
    if type(value) is np.ndarray:
        return not value.dtype.hasobject
    return type(value) in _SCALARS or isinstance(value, np.generic)
