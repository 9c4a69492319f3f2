"""What a pickle may name: stand-ins that make numpy arrays and plain containers, and check every argument.

No function of numpy's that unpickles is ever called, and none at all with what has not been checked here.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from trisent.i18n import t

# booleans, integers, floats, complex numbers, objects, bytes and texts; no records, dates or types of one machine
_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|O[48]|[SU](?:0|[1-9]\d{0,6})")
_MOST_DIMENSIONS = 32
_LAST_LETTER = 0x10FFFF
_KEYS = frozenset({str, bytes, int, float, bool, type(None)})
_NUMPY_KEYS = (np.str_, np.bytes_, np.integer, np.bool_)

Arguments = tuple[object, ...]


class RefusedPickleError(Exception):
    """The pickle asks for what it may not have; the message names it."""


class Unfinished:
    """A value that was announced, and gets its content from a later instruction; `kept` is its number in the memo."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: int | None = None

    def build(self, state: object) -> object:
        """Return the finished value."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class Maker:
    """A name that a pickle may use, and what is done instead of calling it."""

    name: str
    make: Callable[[Arguments], object]

    def __str__(self) -> str:
        return self.name


def keys(items: Iterable[object]) -> list[object]:
    """Check that items can be keys: scalars, as hashing tuples of tuples of tuples may take for ever."""
    checked = list(items)
    for item in checked:
        if type(item) not in _KEYS and not isinstance(item, _NUMPY_KEYS):
            raise RefusedPickleError(t("a {kind} as a key", kind=type(item).__name__))
    return checked


def _refuse(name: str, arguments: object) -> NoReturn:
    # Only the outermost parts are shown: the text of what a file holds may be endless.
    parts = arguments[:9] if isinstance(arguments, tuple | list) else (arguments,)
    raise RefusedPickleError(t("{name} with ({arguments})", name=name, arguments=", ".join(map(_shown, parts))))


class _Words(str):
    """Our own words among a file's, which are quoted."""

    __slots__ = ()


def _shown(value: object) -> str:
    if isinstance(value, _Words):
        return str(value)
    if isinstance(value, tuple) and all(isinstance(n, int | None) for n in value[:9]):
        return str(value[:9])
    if isinstance(value, str | bytes):
        return repr(value[:40])
    return str(value) if isinstance(value, int | float | None | Maker | np.dtype) else type(value).__name__


class _Dtype(Unfinished):
    __slots__ = ("_dtype",)

    def __init__(self, arguments: Arguments) -> None:
        super().__init__()
        match arguments:
            case (str(code), *flags) if _PLAIN.fullmatch(code) and all(type(f) in (bool, int) for f in flags):
                self._dtype: np.dtype[np.generic] = np.dtype(object if code[0] == "O" else code)
            case _:
                _refuse("numpy.dtype", arguments)

    def build(self, state: object) -> np.dtype[np.generic]:
        match state:
            case (3 | 4, "<" | ">" | "=" | "|" as order, None, None, None, int(size), int(), int(), *metadata) if (
                size in (-1, self._dtype.itemsize) and metadata in ([], [None])
            ):
                return self._dtype.newbyteorder(order)
        _refuse("numpy.dtype.__setstate__", state)


class _Array(Unfinished):
    __slots__ = ()

    def build(self, state: object) -> NDArray[np.generic]:
        match state:
            case (1, tuple(shape), np.dtype() as dtype, int(fortran), data):
                return _array(data, dtype, shape=shape, fortran=bool(fortran))
        _refuse("numpy.ndarray.__setstate__", state)


def _array(data: object, dtype: np.dtype[np.generic], *, shape: Arguments, fortran: bool) -> NDArray[np.generic]:
    """Make an array whose shape accounts for every byte or object of `data`."""
    sizes = [n for n in shape if type(n) is int and n >= 0]
    if isinstance(data, str):
        data = data.encode()  # a string of Python 2, decoded as UTF-8
    have = len(data) if isinstance(data, list if dtype.hasobject else bytes | memoryview) else -1
    need = math.prod(sizes) * (1 if dtype.hasobject else dtype.itemsize)
    endless = not dtype.itemsize and need == 0 < math.prod(sizes)  # texts without letters, as many as they say
    if not len(sizes) == len(shape) <= _MOST_DIMENSIONS or have != need or endless:
        _refuse("numpy.ndarray", (shape, dtype, _Words(t("{n} bytes or objects", n=max(have, 0)))))
    values: NDArray[np.generic]
    if isinstance(data, list):
        values = np.empty(have, object)
        for i, value in enumerate(data):  # all at once, numpy would look into them
            values[i] = value
    elif have:
        values = np.frombuffer(data, dtype)  # type: ignore[call-overload]
    else:
        values = np.empty(0, dtype)
    if dtype.kind == "U" and (values.view(f"{dtype.str[0]}u4") > _LAST_LETTER).any():
        _refuse("numpy.ndarray", (shape, dtype, _Words(t("letters that do not exist"))))
    try:
        values = values.reshape(sizes, order="F" if fortran else "C")
    except ValueError:  # no values, in more places than a machine has
        _refuse("numpy.ndarray", (shape, dtype))
    values.flags.writeable = False
    return values


def _announced_array(arguments: Arguments) -> _Array:
    match arguments:
        case (Maker() as kind, (0,), b"b" | "b") if kind is _NDARRAY:
            return _Array()
    _refuse("numpy.core.multiarray._reconstruct", arguments)


def _array_from_buffer(arguments: Arguments) -> NDArray[np.generic]:
    match arguments:
        case (data, np.dtype() as dtype, tuple(shape), "C" | "F" as order) if not dtype.hasobject:
            return _array(data, dtype, shape=shape, fortran=order == "F")
    _refuse("numpy.core.numeric._frombuffer", arguments)


def _scalar(arguments: Arguments) -> object:
    match arguments:
        case (np.dtype() as dtype, b"" | "") if not dtype.itemsize:
            return dtype.type()
        case (np.dtype() as dtype, data) if not dtype.hasobject:
            return _array(data, dtype, shape=(1,), fortran=False)[0]
    _refuse("numpy.core.multiarray.scalar", arguments)


def _bytes(arguments: Arguments) -> bytes:
    """Make bytes as protocols 0 to 2 have them: letters of Latin-1, or nothing."""
    match arguments:
        case ():
            return b""
        case (bytes(data),):
            return data
        case (str(letters), "latin1" | "latin-1"):
            return letters.encode("latin-1")
    _refuse("_codecs.encode", arguments)


def _complex(arguments: Arguments) -> complex:
    match arguments:
        case (float(real), float(imaginary)):
            return complex(real, imaginary)
    _refuse("builtins.complex", arguments)


def _members(arguments: Arguments) -> list[object]:
    match arguments:
        case ():
            return []
        case (list(items),):
            return keys(items)
    _refuse("builtins.set", arguments)


def _ordered(arguments: Arguments) -> dict[object, object]:
    match arguments:
        case ():
            return {}
        case (list(pairs),) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            return dict(zip(keys(pair[0] for pair in pairs), (pair[1] for pair in pairs), strict=True))
    _refuse("collections.OrderedDict", arguments)


def _default(arguments: Arguments) -> dict[object, object]:
    match arguments:
        case () | (None,):
            return {}
        case (Maker() as kind,) if kind in _KINDS:
            return {}
    _refuse("collections.defaultdict", arguments)


def _named_only(name: str) -> Maker:
    return Maker(name, lambda arguments: _refuse(name, arguments))


_NDARRAY = _named_only("numpy.ndarray")
# what a defaultdict makes where a key is missing; the dict that comes of it does not, so these are never called
_KINDS = tuple(_named_only(f"builtins.{name}") for name in ("list", "dict", "int", "float", "str", "tuple"))
_BUILTINS = {
    "set": lambda arguments: set(_members(arguments)),
    "frozenset": lambda arguments: frozenset(_members(arguments)),
    "bytes": _bytes,
    "bytearray": _bytes,
    "complex": _complex,
}

MAKERS: dict[tuple[str, str], Maker] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Maker("numpy.dtype", _Dtype),
    ("_codecs", "encode"): Maker("_codecs.encode", _bytes),
    ("collections", "OrderedDict"): Maker("collections.OrderedDict", _ordered),
    ("collections", "defaultdict"): Maker("collections.defaultdict", _default),
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1, numpy 2
    MAKERS[f"{_core}.multiarray", "_reconstruct"] = Maker("numpy.core.multiarray._reconstruct", _announced_array)
    MAKERS[f"{_core}.multiarray", "scalar"] = Maker("numpy.core.multiarray.scalar", _scalar)
    MAKERS[f"{_core}.numeric", "_frombuffer"] = Maker("numpy.core.numeric._frombuffer", _array_from_buffer)
for _module in ("builtins", "__builtin__"):  # Python 3, Python 2
    MAKERS |= {(_module, name): Maker(f"builtins.{name}", make) for name, make in _BUILTINS.items()}
    MAKERS |= {(_module, kind.name.removeprefix("builtins.")): kind for kind in _KINDS}
