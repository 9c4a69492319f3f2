"""Pickles of plain containers and numpy arrays, written so that any Python since 3.4 and any numpy reads them.

Python's own pickler names numpy's functions as the numpy at hand calls them, which numpy 1 does not know; and it holds
every array in memory. Here an array may come in blocks, so a padded data set never exists as a whole.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Blocks:
    """An array that is made while it is written: `blocks` laid end to end are its values in C order."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    blocks: Iterable[NDArray[np.generic]]


def dump(value: object, file: BinaryIO) -> None:
    """Write a pickle of dict, list, tuple, str, bytes, numbers, None, arrays of numbers or texts, and `Blocks`.

    Raises:
        TypeError: there is something else in it.
        ValueError: blocks are not as long as their shape says.
    """
    file.write(b"\x80\x04")
    for part in _parts(value):
        file.write(part)
    file.write(b".")


def _parts(value: object) -> Iterator[bytes | memoryview]:
    match value:
        case None:
            yield b"N"
        case bool():
            yield b"\x88" if value else b"\x89"
        case int() | np.integer():
            yield b"\x8a\x09" + int(value).to_bytes(9, "little", signed=True)
        case float() | np.floating():
            yield b"G" + struct.pack(">d", float(value))
        case str():
            yield from _sized(b"\x8d", value.encode())
        case bytes():
            yield from _sized(b"\x8e", value)
        case list() | tuple():
            yield b"("
            for item in value:
                yield from _parts(item)
            yield b"l" if isinstance(value, list) else b"t"
        case Mapping():
            yield b"("
            for key, item in value.items():
                yield from _parts(key)
                yield from _parts(item)
            yield b"d"
        case Blocks():
            yield from _array(value)
        case np.ndarray() if value.dtype.kind in "biufUS":
            yield from _array(Blocks(value.shape, value.dtype, [value]))
        case _:
            message = f"cannot write a {type(value).__name__} into a plain pickle"
            raise TypeError(message)


def _sized(code: bytes, data: bytes) -> Iterator[bytes]:
    yield code + struct.pack("<Q", len(data))
    yield data


def _array(array: Blocks) -> Iterator[bytes | memoryview]:
    """Write what numpy 1 writes: _reconstruct(ndarray, (0,), b"b"), then the state."""
    yield b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    yield b"(K\x01"
    yield from _parts(array.shape)
    yield from _dtype(array.dtype)
    size = math.prod(array.shape) * array.dtype.itemsize
    yield b"\x89\x8e" + struct.pack("<Q", size)
    for block in array.blocks:
        data = np.ascontiguousarray(block, array.dtype).reshape(-1).view(np.uint8)
        size -= len(data)
        yield data.data
    if size:
        message = f"{size} bytes are missing of an array of shape {array.shape}"
        raise ValueError(message)
    yield b"tb"


def _dtype(dtype: np.dtype[np.generic]) -> Iterator[bytes | memoryview]:
    yield b"cnumpy\ndtype\n"
    letters = dtype.itemsize // 4 if dtype.kind == "U" else dtype.itemsize
    yield from _parts(f"{dtype.kind}{letters}")
    yield b"\x89\x88\x87R(K\x03"
    yield from _parts({"=": "<" if np.little_endian else ">"}.get(dtype.byteorder, dtype.byteorder))
    yield b"NNN"
    yield from _parts(dtype.itemsize if dtype.kind in "US" else -1)
    yield from _parts(letters and (4 if dtype.kind == "U" else 1) if dtype.kind in "US" else -1)
    yield b"K\x00tb"
