"""A machine for the instructions of a pickle that build data. The others are refused; nothing is imported or called.

It differs from Python's unpickler where hostile files need it: a name yields a `Maker` or a refusal, never the object
of that name; large values are views of the file; a value is kept in the memo once; keys are scalars.
"""

import codecs
import mmap
import re
import struct
from collections.abc import Callable

from trisent.data.pickle_arrays import MAKERS, Maker, RefusedPickleError, Unfinished, keys
from trisent.i18n import t

_VIEW_BYTES = 1 << 20  # values from this size on are looked at where they lie in the file
_LINE_BYTES = 400  # of a name or number; one of 64 bits has 20 digits
_ESCAPED = re.compile(rb"(?:[^\\]|\\(?:x[0-9a-fA-F]{2}|[\\'\"nrt]))*")  # what Python 2's repr writes
_LAST_PROTOCOL = 5
_STOP = ord(".")


class BrokenPickleError(Exception):
    """The bytes are no pickle, or not all of one; the message says why."""


class Machine:
    """Follows the instructions of one pickle.

    Args:
        data: the pickle.
        max_containers: most containers to make.
        max_depth: how many may be begun and not ended.
    """

    __slots__ = ("_data", "_kept_at", "_left", "_marks", "_max_depth", "_memo", "_stack", "position")

    def __init__(self, data: bytes | mmap.mmap, *, max_containers: int, max_depth: int) -> None:
        self.position = 0
        self._data = data
        self._stack: list[object] = []
        self._marks: list[list[object]] = []
        self._memo: dict[int, object] = {}
        self._kept_at = -1  # where the last instruction that kept a value ended
        self._left = max_containers
        self._max_depth = max_depth

    def run(self) -> object:
        """Follow all instructions and return what they build.

        Raises:
            RefusedPickleError: an instruction does more than build data.
            BrokenPickleError: the bytes end early or make no sense.
        """
        self._follow(-1)
        if rest := len(self._data) - self.position:
            raise RefusedPickleError(t("{n} bytes after its end", n=rest))
        if self._marks or len(self._stack) != 1:
            raise BrokenPickleError(t("it does not end with one value"))
        return self._stack[0]

    def begin(self, instructions: int) -> object:
        """Follow at most so many instructions, and end the lists and dictionaries that were begun; raises as `run`."""
        self._follow(instructions)
        while self._marks:
            items = self._pop_mark()
            target = self._stack[-1] if self._stack else None
            if isinstance(target, list):
                target.extend(items)
            elif isinstance(target, dict):
                self._set(target, items[: len(items) // 2 * 2])
        root, *items = self._stack or [None]
        if isinstance(root, dict):  # a single item has no mark
            self._set(root, items[: len(items) // 2 * 2])
        return root

    def _follow(self, instructions: int) -> None:
        data, table = self._data, _INSTRUCTIONS
        try:
            while instructions:
                code = data[self.position]
                self.position += 1
                if code == _STOP:
                    return
                table[code](self)
                instructions -= 1
        except KeyError as error:
            raise BrokenPickleError(t("no pickle has the instruction {code}", code=error)) from error
        except IndexError as error:
            ended = self.position >= len(data)
            raise BrokenPickleError(t("it ends too early") if ended else t("it uses what it never made")) from error
        except (ValueError, OverflowError) as error:
            raise BrokenPickleError(str(error)) from error

    def take(self, n: int) -> bytes:
        """Read `n` bytes."""
        begin, self.position = self.position, self.position + n
        if self.position > len(self._data):
            raise IndexError
        return self._data[begin : self.position]

    def take_data(self, n: int) -> bytes | memoryview:
        """Read `n` bytes, or look at them where they lie."""
        if n < _VIEW_BYTES:
            return self.take(n)
        begin, self.position = self.position, self.position + n
        if self.position > len(self._data):
            raise IndexError
        return memoryview(self._data)[begin : self.position]

    def take_number(self, n: int) -> int:
        """Read a whole number of `n` bytes."""
        return int.from_bytes(self.take(n), "little")

    def take_line(self, most: int = _LINE_BYTES) -> bytes:
        """Read up to the end of the line."""
        end = self._data.find(b"\n", self.position, self.position + most)
        if end < 0:
            raise BrokenPickleError(t("a line does not end"))
        line, self.position = self._data[self.position : end], end + 1
        return line

    def take_long_line(self) -> bytes:
        """Read a line that may be as long as the file."""
        return self.take_line(len(self._data))

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def push_container(self, value: object) -> None:
        """Put a container on the stack, and count it."""
        self._left -= 1
        if self._left < 0:
            raise RefusedPickleError(t("too many containers"))
        self._stack.append(value)

    def mark(self) -> None:
        """Begin a container."""
        if len(self._marks) >= self._max_depth:
            raise RefusedPickleError(t("containers more than {depth} deep", depth=self._max_depth))
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[object]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def keep(self, index: int | None, begin: int) -> None:
        """Keep the last value in the memo under a number; the instruction began at `begin`."""
        if index is None:
            index = len(self._memo)
        # A pickler keeps a value once, as soon as it is made; a file of nothing but "keep" would fill the memory.
        if index in self._memo or self._kept_at == begin:
            raise RefusedPickleError(t("one value kept twice, or two under one number (memo abuse)"))
        value = self._memo[index] = self._stack[-1]
        self._kept_at = self.position
        if isinstance(value, Unfinished):
            value.kept = index

    def fetch(self, index: int) -> None:
        """Use a value of the memo again."""
        if index not in self._memo:
            raise BrokenPickleError(t("it uses what it never made"))
        value = self._memo[index]
        if isinstance(value, Unfinished):
            raise RefusedPickleError(t("an array that holds itself"))
        self._stack.append(value)

    def group(self, n: int) -> None:
        """Make a tuple of the last `n` values, all since the mark when 0."""
        if n == 0:
            self.push_container(tuple(self._pop_mark()))
            return
        if len(self._stack) < n:
            raise IndexError
        items = tuple(self._stack[-n:])
        del self._stack[-n:]
        self.push_container(items)

    def add(self, kind: type, items: list[object]) -> None:
        """Add items to the list, dictionary or set below them."""
        target = self._stack[-1]
        if type(target) is not kind:
            raise RefusedPickleError(t("a {kind} changed as a {other}", kind=type(target).__name__,
                                       other=kind.__name__))  # fmt: skip
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, dict):
            self._set(target, items)
        elif isinstance(target, set):
            target.update(keys(items))

    def add_one(self, kind: type, n: int) -> None:
        """Add the last `n` values to the container below them."""
        items = [self._stack.pop() for _ in range(n)]
        self.add(kind, items[::-1])

    def add_marked(self, kind: type) -> None:
        """Add all since the mark to the container below it."""
        items = self._pop_mark()
        self.add(kind, items)

    def make_dict(self) -> None:
        """Make a dictionary of all since the mark."""
        items = self._pop_mark()
        self.push_container({})
        self.add(dict, items)

    @staticmethod
    def _set(target: dict[object, object], items: list[object]) -> None:
        if len(items) % 2:
            raise BrokenPickleError(t("a key has no value"))
        target.update(zip(keys(items[::2]), items[1::2], strict=True))

    def name(self, module: object, name: object) -> None:
        """Put what stands for a name on the stack."""
        maker = MAKERS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if maker is None:
            raise RefusedPickleError(ascii(f"{module}.{name}"[:200])[1:-1])
        self._stack.append(maker)

    def name_from_stack(self) -> None:
        """Name with the last two values, which are texts."""
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedPickleError(t("a name that is no text"))
        self.name(module, name)

    def reduce(self) -> None:
        """Make what a name stands for, with arguments."""
        arguments, maker = self._stack.pop(), self._stack.pop()
        if not isinstance(maker, Maker) or type(arguments) is not tuple:
            raise RefusedPickleError(t("a call of a {kind}", kind=type(maker).__name__))
        self.push_container(maker.make(arguments))

    def build(self) -> None:
        """Give an announced value its content."""
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, Unfinished):
            raise RefusedPickleError(t("a state for a {kind}", kind=type(target).__name__))
        value = self._stack[-1] = target.build(state)
        if target.kept is not None:
            self._memo[target.kept] = value

    def frame(self) -> None:
        """Check that a frame is not longer than the file."""
        if self.take_number(8) > len(self._data) - self.position:
            self.position = len(self._data)
            raise IndexError

    def protocol(self) -> None:
        """Check the protocol."""
        if (version := self.take_number(1)) > _LAST_PROTOCOL:
            raise BrokenPickleError(t("protocol {version} does not exist", version=version))

    def refuse(self, what: str) -> None:
        """Refuse an instruction, with what it names."""
        if what == "INST":
            self.name(self.take_line().decode(), self.take_line().decode())
        if what == "PERSID":
            what = f"{what} {self.take_line().decode()!r}"
        if what in _EXTENSIONS:
            what = f"{what} {self.take_number(_EXTENSIONS[what])}"
        if what in ("OBJ", "NEWOBJ", "NEWOBJ_EX"):
            what = ", ".join([what, *(str(value) for value in self._stack if isinstance(value, Maker))])
        raise RefusedPickleError(t("the instruction {name}", name=what))


def _integer(line: bytes) -> int | bool:
    if line in (b"00", b"01"):
        return line == b"01"
    number = int(line.removesuffix(b"L"))
    if not -(1 << 63) <= number < 1 << 64:
        raise RefusedPickleError(_long_number((number.bit_length() + 7) // 8))
    return number


def _binary_integer(machine: Machine, n: int) -> int:
    # Python hashes whole numbers modulo 2**61 - 1: with long ones a file could give all its keys one hash.
    if n > 9:
        raise RefusedPickleError(_long_number(n))
    return int.from_bytes(machine.take(n), "little", signed=True)


def _long_number(n: int) -> str:
    return t("a whole number of {n} bytes", n=n)


def _quoted(line: bytes) -> bytes:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"') or not _ESCAPED.fullmatch(line[1:-1]):
        raise BrokenPickleError(t("a text has no quotes around it"))
    decode: Callable[[bytes], tuple[bytes, int]] = codecs.escape_decode
    return decode(line[1:-1])[0]


def _string(data: bytes | memoryview) -> str | bytes | memoryview:
    # Text or the bytes of an array: Python 2 knew no difference. What is UTF-8 turns back into the same bytes.
    try:
        return data if isinstance(data, memoryview) else data.decode()
    except UnicodeDecodeError:
        return data


_EXTENSIONS = {"EXT1": 1, "EXT2": 2, "EXT4": 4}
_REFUSED = {
    "0": "POP", "1": "POP_MARK", "2": "DUP", "P": "PERSID", "Q": "BINPERSID", "\x82": "EXT1", "\x83": "EXT2",
    "\x84": "EXT4", "i": "INST", "o": "OBJ", "\x81": "NEWOBJ", "\x92": "NEWOBJ_EX", "\x97": "NEXT_BUFFER",
    "\x98": "READONLY_BUFFER",
}  # fmt: skip
_FOLLOWED: dict[str, Callable[[Machine], None]] = {
    "N": lambda m: m.push(None),
    "\x88": lambda m: m.push(True),
    "\x89": lambda m: m.push(False),
    "I": lambda m: m.push(_integer(m.take_line())),
    "L": lambda m: m.push(_integer(m.take_line())),
    "J": lambda m: m.push(_binary_integer(m, 4)),
    "K": lambda m: m.push(m.take_number(1)),
    "M": lambda m: m.push(m.take_number(2)),
    "\x8a": lambda m: m.push(_binary_integer(m, m.take_number(1))),
    "\x8b": lambda m: m.push(_binary_integer(m, m.take_number(4))),
    "F": lambda m: m.push(float(m.take_line())),
    "G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    "S": lambda m: m.push(_string(_quoted(m.take_long_line()))),
    "T": lambda m: m.push(_string(m.take_data(m.take_number(4)))),
    "U": lambda m: m.push(_string(m.take(m.take_number(1)))),
    "B": lambda m: m.push(m.take_data(m.take_number(4))),
    "C": lambda m: m.push(m.take(m.take_number(1))),
    "\x8e": lambda m: m.push(m.take_data(m.take_number(8))),
    "\x96": lambda m: m.push(m.take_data(m.take_number(8))),
    "V": lambda m: m.push(str(m.take_long_line(), "raw-unicode-escape")),
    "X": lambda m: m.push(str(m.take(m.take_number(4)), "utf-8")),
    "\x8c": lambda m: m.push(str(m.take(m.take_number(1)), "utf-8")),
    "\x8d": lambda m: m.push(str(m.take(m.take_number(8)), "utf-8")),
    "(": Machine.mark,
    ")": lambda m: m.push(()),
    "t": lambda m: m.group(0),
    "\x85": lambda m: m.group(1),
    "\x86": lambda m: m.group(2),
    "\x87": lambda m: m.group(3),
    "]": lambda m: m.push_container([]),
    "l": lambda m: m.push_container(m._pop_mark()),
    "a": lambda m: m.add_one(list, 1),
    "e": lambda m: m.add_marked(list),
    "}": lambda m: m.push_container({}),
    "d": Machine.make_dict,
    "s": lambda m: m.add_one(dict, 2),
    "u": lambda m: m.add_marked(dict),
    "\x8f": lambda m: m.push_container(set()),
    "\x90": lambda m: m.add_marked(set),
    "\x91": lambda m: m.push_container(frozenset(keys(m._pop_mark()))),
    "c": lambda m: m.name(m.take_line().decode(), m.take_line().decode()),
    "\x93": Machine.name_from_stack,
    "R": Machine.reduce,
    "b": Machine.build,
    "\x94": lambda m: m.keep(None, m.position - 1),
    "p": lambda m: m.keep(begin=m.position - 1, index=int(m.take_line())),
    "q": lambda m: m.keep(begin=m.position - 1, index=m.take_number(1)),
    "r": lambda m: m.keep(begin=m.position - 1, index=m.take_number(4)),
    "g": lambda m: m.fetch(int(m.take_line())),
    "h": lambda m: m.fetch(m.take_number(1)),
    "j": lambda m: m.fetch(m.take_number(4)),
    "\x80": Machine.protocol,
    "\x95": Machine.frame,
}


def _refusing(what: str) -> Callable[[Machine], None]:
    return lambda machine: machine.refuse(what)


_INSTRUCTIONS = {ord(code): follow for code, follow in _FOLLOWED.items()}
_INSTRUCTIONS |= {ord(code): _refusing(what) for code, what in _REFUSED.items()}
