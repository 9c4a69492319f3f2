"""Pickles that must be refused, by name: what each asks for, and its bytes. None does lasting harm if it runs."""

import struct

NAMES = (
    "os.system", "posix.system", "nt.system", "os.popen", "os.execv", "subprocess.Popen", "subprocess.check_output",
    "builtins.eval", "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open", "builtins.compile",
    "__builtin__.eval", "__builtin__.apply", "runpy.run_path", "importlib.import_module", "pickle.loads",
    "_pickle.loads", "marshal.loads", "shutil.rmtree", "pathlib.Path", "socket.create_connection", "ctypes.CDLL",
    "torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes", "torch.load", "numpy.load", "numpy.fromfile",
    "numpy.memmap", "numpy.testing._private.utils.runstring", "numpy.ma.core._mareconstruct",
    "numpy.core.multiarray.fromstring", "numpy._core._internal._convert_to_stringdtype_kwargs",
    "pandas.core.internals.managers.BlockManager", "copy_reg._reconstructor", "copyreg.__newobj__",
    "operator.attrgetter", "functools.partial", "types.FunctionType", "pty.spawn", "timeit.timeit", "__main__.main",
)  # fmt: skip


def _global(name: str) -> bytes:
    module, _, name = name.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


RECONSTRUCT = _global("numpy.core.multiarray._reconstruct") + _global("numpy.ndarray")
ARRAY = RECONSTRUCT + b"K\x00\x85C\x01b\x87R"
DTYPE = _global("numpy.dtype")
F4 = DTYPE + _text("f4") + b"\x89\x88\x87R(K\x03" + _text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def _array(shape: bytes, dtype: bytes = F4, data: bytes = b"C\x04\0\0\0\0") -> bytes:
    return ARRAY + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb."


def _laughs(empty: bytes, add: bytes) -> bytes:
    """Build containers that each hold the one before twice, 40 times over."""
    made = empty + b"q\x00"
    for i in range(40):
        made += empty + b"q" + bytes([i + 1]) + add.replace(b"?", b"h" + bytes([i]))
    return b"\x80\x02(" + made + b"t."


CALLS = {name: _global(name) + b"(" + _text("echo hostile") + b"tR." for name in NAMES}
TRICKS = {
    "builtins.object.__subclasses__": b"\x80\x04\x8c\x08builtins\x8c\x15object.__subclasses__\x93)R.",
    "numpy.ndarray.tofile": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
    "posix.listdir": b"(" + _text(".") + b"iposix\nlistdir\n.",
    "os.getcwd": b"(cos\ngetcwd\no.",
    "NEWOBJ, numpy.ndarray": _global("numpy.ndarray") + b")\x81.",
    "NEWOBJ_EX, numpy.ndarray": _global("numpy.ndarray") + b")}\x92.",
    "PERSID '0001'": b"P0001\n.",
    "BINPERSID": b"K\x01Q.",
    "EXT1 7": b"\x82\x07.",
    "EXT2 7": b"\x83\x07\x00.",
    "EXT4 7": b"\x84\x07\x00\x00\x00.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05C\x01a\x98.",
    "DUP": b"K\x012l.",
    "POP": b"K\x01K\x020.",
    "POP_MARK": b"K\x01(K\x021.",
    "os.getpid": b"cos\ngetpid\n)R0K\x01.",  # what it makes is thrown away
    "bytes after its end": b"K\x01.cos\nsystem\n(" + _text("echo hostile") + b"tR.",
    "a state for a list": b"](" + _text("append") + b"K\x01tb.",
    "a call of a str": _text("os.system") + b"(" + _text("echo hostile") + b"tR.",
    "a name that is no text": b"\x80\x04K\x01K\x02\x93.",
    "numpy.ndarray itself": b"]" + _global("numpy.ndarray") + b"a.",
    "numpy.ndarray with": _global("numpy.ndarray") + b"(K\x01tR.",
    "_reconstruct with (numpy.dtype": _global("numpy.core.multiarray._reconstruct") + DTYPE + b"K\x00\x85C\x01b\x87R.",
    "_reconstruct with (numpy.ndarray, (99999999,)": RECONSTRUCT + b"J\xff\xe0\xf5\x05\x85C\x01b\x87R.",
    "_reconstruct with (numpy.ndarray, (0,), 'O')": RECONSTRUCT + b"K\x00\x85" + _text("O") + b"\x87R.",
    "numpy.dtype with ('V8'": DTYPE + _text("V8") + b"\x89\x88\x87R.",
    "numpy.dtype with ('M8[ns]'": DTYPE + _text("M8[ns]") + b"\x89\x88\x87R.",
    "numpy.dtype with (tuple": DTYPE + b"(" + _text("f4") + b"K\x09t\x89\x88\x87R.",
    "numpy.dtype with ('U999999999'": DTYPE + _text("U999999999") + b"\x89\x88\x87R.",
    "numpy.dtype.__setstate__": DTYPE + _text("f4") + b"\x89\x88\x87R(K\x04" + _text("<") + b"NNNK\x04K\x04K\x00}tb.",
    "((999999999, 999999999), float32, 4 bytes": _array(b"J\xff\xc9\x9a\x3bJ\xff\xc9\x9a\x3b\x86"),
    "((-1,), float32": _array(b"J\xff\xff\xff\xff\x85"),
    "((1, 1, 1, 1, 1, 1, 1, 1, 1), float32": _array(b"(" + b"K\x01" * 40 + b"t"),
    "numpy.ndarray with ((1,), object": _array(b"K\x01\x85", F4.replace(_text("f4"), _text("O8"))),
    "numpy.core.multiarray.scalar with (object": _global("numpy.core.multiarray.scalar")
    + F4.replace(_text("f4"), _text("O8")) + b"]\x86R.",
    "numpy.core.numeric._frombuffer with (b'": b"cnumpy._core.numeric\n_frombuffer\n(C\x04\0\0\0\0"
    + F4 + b"K\x01\x85" + _text("K") + b"tR.",
    "an array that holds itself": b"\x80\x02" + ARRAY + b"q\x00(K\x01K\x01\x85"
    + F4.replace(_text("f4"), _text("O8")).replace(b"<", b"|") + b"\x89]h\x00atb.",
    "collections.defaultdict with": b"ccollections\ndefaultdict\n(" + _text("os.system") + b"tR.",
    "os.abort": b"ccollections\ndefaultdict\ncos\nabort\n\x85R.",
    "a container that holds itself": b"\x80\x02]q\x00h\x00a.",
    "4194303 containers, 22 deep": _laughs(b"]", b"(??e"),
    "containers, 22 deep": _laughs(b"}", b"(K\x01?K\x02?u"),
    "memo abuse": b"\x80\x04]" + b"\x94" * 1_000_000 + b".",
    "two under one number": b"]q\x00K\x01q\x00\x86.",
    "a tuple as a key": b"}(" + b")" + b"\x85" * 60 + b"K\x01u.",
    "a list as a key": b"\x80\x04\x8f(]\x90.",
    "containers more than 64 deep": b"(" * 100_000 + b"t" * 100_000 + b".",
    "65 containers, 65 deep": b"]" + b"\x85" * 100_000 + b".",
    "a whole number of 16777216 bytes": b"\x80\x02\x8b\x00\x00\x00\x01" + bytes(1 << 24) + b".",
    "a whole number of 166 bytes": b"L" + b"9" * 398 + b"L\n.",
}  # fmt: skip
BROKEN = {
    "an array longer than the file": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a text longer than the file": b"X\xff\xff\xff\x7f.",
    "a frame longer than the file": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    "a memo number never given": b"j\xff\xff\xff\xff.",
    "a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "nothing": b"",
    "no end": b"]" * 1000,
    "an empty stack": b"R.",
    "no mark": b"K\x01u.",
    "a protocol to come": b"\x80\x09N.",
    "an unknown instruction": b"\xff.",
}
