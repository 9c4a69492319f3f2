"""Pickles: plain data come out as Python's own unpickler gives them; the rest is refused by name, and never run."""

import collections
import contextlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trisent.data.pickle_writer import Blocks, dump
from trisent.data.safe_pickle import UnsafePickleError, load, looks_pickled, peek
from trisent.errors import DataError
from unit.data.hostile_pickles import BROKEN, CALLS, TRICKS

FIRED: list[object] = []


def fire(*arguments: object) -> None:
    FIRED.append(arguments)


class Hostile:
    """Asks to be made by a call, as any object may."""

    def __init__(self, call: Any, arguments: tuple[object, ...]) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.call, self.arguments


def same(ours: object, theirs: object) -> bool:
    """Compare with types, NaN equal to NaN; an array of objects by its objects."""
    if isinstance(theirs, np.ndarray) and theirs.dtype.hasobject:
        return isinstance(ours, np.ndarray) and ours.shape == theirs.shape and same(ours.tolist(), theirs.tolist())
    if isinstance(theirs, np.ndarray | np.generic):
        native = [np.asarray(a).astype(np.asarray(a).dtype.newbyteorder("=")) for a in (ours, theirs)]
        return (
            type(ours) is type(theirs)
            and native[0].dtype == native[1].dtype
            and (native[0].shape == native[1].shape and native[0].tobytes() == native[1].tobytes())
        )
    if isinstance(theirs, bytearray):
        return ours == bytes(theirs)
    if type(ours) is not (dict if isinstance(theirs, dict) else type(theirs)):
        return False
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(same(*pair) for pair in zip(ours.items(), theirs.items(), strict=True))
    if isinstance(theirs, list | tuple):
        return all(same(*pair) for pair in zip(ours, theirs, strict=True))  # type: ignore[call-overload]
    return repr(ours) == repr(theirs) if isinstance(theirs, float | complex) else ours == theirs


numbers = st.integers(-(2**63), 2**64 - 1)
scalars = st.none() | st.booleans() | numbers | st.floats() | st.complex_numbers() | st.text() | st.binary()
keys = st.text() | numbers | st.booleans() | st.binary()
arrays = hnp.arrays(
    hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
    | hnp.floating_dtypes(sizes=(16, 32, 64))
    | hnp.complex_number_dtypes(sizes=(64, 128)) | hnp.byte_string_dtypes(max_len=9) | hnp.unicode_string_dtypes(),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    elements=None,
)  # fmt: skip
plain = st.recursive(
    scalars | arrays | arrays.filter(lambda a: a.ndim > 0 and a.size > 0).map(lambda a: a.reshape(-1)[0]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4).map(collections.OrderedDict)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.lists(inner, min_size=1, max_size=4).map(lambda items: np.array([*items, None], object)[:-1])
    ),
    max_leaves=12,
)
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)


@relaxed
@given(plain, st.integers(0, 5))
def test_plain_data_come_out_as_python_gives_them(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    assert same(load(content), pickle.loads(content))


@pytest.mark.parametrize("protocol", range(6))
def test_shared_values_defaultdicts_and_fortran_arrays_are_read(protocol: int) -> None:
    shared = ["once"]
    table: collections.defaultdict[str, list[int]] = collections.defaultdict(list, {"a": [1]})
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    value = [shared, shared, table, fortran, fortran.astype(">f4"), bytearray(b"\xff\0")]
    got = load(pickle.dumps(value, protocol))
    assert same(got, value)


def test_a_pickle_of_numpy_1_and_python_2_is_read() -> None:
    """As cPickle of Python 2.7 with numpy 1.16 wrote protocol 2: strings are bytes, text and data alike."""
    content = (
        b"\x80\x02}q\x01(U\x06visionq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
        b"U\x01b\x87Rq\x05(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x06U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\xc0\x7f\x00\x00\x80\xbftbU\x02idq\x08]q\x09(U\x03caf"
        b"U\x05caf\xc3\xa9U\x04caf\xe9X\x05\x00\x00\x00caf\xc3\xa9L5L\nI01\neu."
    )
    got = load(content)
    assert isinstance(got, dict)
    assert got["id"] == ["caf", "café", b"caf\xe9", "café", 5, True]
    np.testing.assert_array_equal(got["vision"], np.array([[np.nan, -1.0]], np.float32))


def test_a_pickle_of_python_2_in_letters_is_read() -> None:
    content = (
        b"(dp0\nS'audio'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\n"
        b"tp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f4'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\n"
        b"I0\ntp14\nbI00\nS'\\x00\\x00\\x80?\\x00\\x00 @'\np15\ntp16\nbsS'it\\'s'\np17\nV\\u4f60\np18\ns."
    )
    got = load(content)
    assert isinstance(got, dict)
    assert got["it's"] == "你"
    assert got["audio"].tolist() == [1.0, 2.5]


@pytest.mark.parametrize("what", [*CALLS, *TRICKS])
def test_a_hostile_pickle_is_refused_by_name(what: str) -> None:
    with pytest.raises(UnsafePickleError) as caught:
        load((CALLS | TRICKS)[what])
    assert what in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("what", BROKEN)
def test_a_torn_or_senseless_pickle_is_a_data_error(what: str) -> None:
    with pytest.raises(DataError, match="not a whole pickle"):
        load(BROKEN[what])


def test_hostile_pickles_run_nothing_and_stay_small() -> None:
    """Python itself watches, in a process of its own: an audit hook sees imports, files, processes and unpickling."""
    script = """if True:
        import json, sys, tracemalloc
        from unit.data.hostile_pickles import BROKEN, CALLS, TRICKS
        from trisent.data.safe_pickle import load
        from trisent.errors import DataError
        events, peaks, watching = [], {}, False
        sys.addaudithook(lambda event, _: watching and events.append(event))
        tracemalloc.start()
        for name, content in {**CALLS, **TRICKS, **BROKEN}.items():
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            watching = True
            try:
                load(content)
                events.append("not refused: " + name)
            except DataError:
                pass
            watching = False
            peaks[name] = tracemalloc.get_traced_memory()[1] - before
        print(json.dumps([events, max(peaks.values()), len(peaks), list(sys.modules)]))
    """
    path = os.pathsep.join(str(folder) for folder in (Path(__file__).parents[2], *map(Path, sys.path)))
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True,
                          text=True, check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    events, peak, count, modules = json.loads(done.stdout)
    assert set(events) == {"builtins.id"}
    assert count >= 60
    assert peak < 200_000_000
    assert "torch" not in modules


calls = st.sampled_from([fire, print, os.getcwd, eval, np.load, np.fromfile, collections.Counter, Path, subprocess.run])


@relaxed
@given(st.data(), plain, calls, st.lists(scalars, max_size=2).map(tuple), st.integers(0, 5))
def test_a_call_hidden_anywhere_in_plain_data_is_refused(
    data: st.DataObject, value: object, call: Any, arguments: tuple[object, ...], protocol: int
) -> None:
    wrapped: object = Hostile(call, arguments)
    for wrap in data.draw(st.lists(st.sampled_from("ltdnk"), max_size=5)):
        wrapped = {"l": [value, wrapped], "t": (wrapped, value), "d": {"a": value, "b": wrapped},
                   "n": np.array([wrapped, None], object), "k": {(1, "x"): wrapped}}[wrap]  # fmt: skip
    FIRED.clear()
    with pytest.raises(UnsafePickleError):
        load(pickle.dumps(wrapped, protocol))
    assert FIRED == []


@relaxed
@given(st.data(), st.one_of(plain, st.just(Hostile(fire, (1,)))), st.integers(0, 5))
def test_damaged_pickles_raise_data_errors_or_hold_plain_data(
    data: st.DataObject, value: object, protocol: int
) -> None:
    content = bytearray(pickle.dumps([value, value], protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    FIRED.clear()
    with contextlib.suppress(DataError):
        pickle.dumps(load(bytes(content)))
    assert FIRED == []


pieces = st.sampled_from(
    [*(bytes([code]) for code in b"(.012KNRabdeghijlopqrstu)]}\x80\x81\x85\x86\x87\x88\x8f\x90\x91\x93\x94\x96\x97"),
     b"K\x01", b"cos\nsystem\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n",
     b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"ccollections\nOrderedDict\n", b"cbuiltins\nset\n",
     b"C\x01b", b"X\x02\0\0\0f4", b"X\x06\0\0\0latin1", b"K\x00\x85", b"NNN", b"q\x01", b"h\x01"]
)  # fmt: skip


@settings(relaxed, max_examples=600)
@given(st.lists(pieces, max_size=30))
def test_any_instructions_give_plain_data_or_a_data_error(instructions: list[bytes]) -> None:
    with contextlib.suppress(DataError):
        pickle.dumps(load(b"".join(instructions) + b"."))


def test_a_large_array_of_a_file_is_looked_at_where_it_lies(tmp_path: Path) -> None:
    values = np.arange(1 << 20, dtype=np.float32)
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps({"values": values}, 4))
    got = load(path)
    assert isinstance(got, dict)
    assert not got["values"].flags.owndata
    assert not got["values"].flags.writeable
    np.testing.assert_array_equal(got["values"], values)
    assert path.read_bytes() == pickle.dumps({"values": values}, 4)


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(list(range(1000))))
    with pytest.raises(UnsafePickleError, match="more than the 100 allowed"):
        load(path, max_bytes=100)


def test_more_containers_or_depth_than_allowed_are_refused() -> None:
    with pytest.raises(UnsafePickleError, match="too many containers"):
        load(pickle.dumps([[] for _ in range(100)]), max_containers=50)
    with pytest.raises(UnsafePickleError, match="5 deep"):
        load(pickle.dumps([[[[[1]]]]]), max_depth=4)


def test_the_beginning_tells_what_a_pickle_holds() -> None:
    value = {"train": {"id": [str(i) for i in range(5000)], "audio": np.zeros(3)}, "test": [1]}
    got = peek(pickle.dumps(value), instructions=3000)
    assert isinstance(got, dict)
    assert list(got) == ["train"]
    assert got["train"]["id"] == value["train"]["id"][: len(got["train"]["id"])]  # type: ignore[index, call-overload]
    assert peek(pickle.dumps(value)) == {**value, "train": {**value["train"], "audio": pytest.approx(np.zeros(3))}}  # type: ignore[dict-item]
    with pytest.raises(UnsafePickleError, match=r"numpy\.load"):
        peek(CALLS["numpy.load"])


def test_only_what_begins_and_ends_like_a_pickle_looks_like_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, expected in ((pickle.dumps([1]), True), (pickle.dumps([1], 0), True), (b"PK\x03\x04.", False),
                              (b"\x89HDF\r\n.", False), (b"", False), (b"(a table),\n", False)):  # fmt: skip
        path.write_bytes(content)
        assert looks_pickled(path) is expected
    assert not looks_pickled(tmp_path)


def test_what_is_written_is_read_by_python_and_by_us(tmp_path: Path) -> None:
    value = {"n": [None, True, -(2**63), 1.5, "é", b"\xff"], "t": ("a", ()), "f2": np.zeros((2, 3), np.float16),
             "big": np.arange(3, dtype=">i4"), "text": np.array([["ab", "c"]]), "bytes": np.array([b"ab"]),
             "one": np.array(3.0), "none": np.zeros((0, 4)), "bool": np.array([True])}  # fmt: skip
    blocks = Blocks((3, 2), np.dtype(np.float32), iter([np.ones((2, 2), np.float64), np.zeros((1, 2), np.float32)]))
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        dump({**value, "blocks": blocks}, file)
    expected = {**value, "blocks": np.array([[1, 1], [1, 1], [0, 0]], np.float32)}
    with path.open("rb") as file:
        assert same(pickle.load(file), expected)
    assert same(load(path), expected)
    assert b"_core" not in path.read_bytes()


def test_nothing_but_plain_data_is_written(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        with pytest.raises(TypeError, match="Path"):
            dump({"a": tmp_path}, file)
        with pytest.raises(ValueError, match="8 bytes are missing"):
            dump(Blocks((2, 1), np.dtype(np.float64), [np.zeros(1)]), file)


def test_what_the_system_says_of_a_file_is_said_in_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trisent.i18n._language", "zh")
    with pytest.raises(DataError) as told:
        load(tmp_path / "a.pkl")
    assert str(told.value) == f"{tmp_path / 'a.pkl'} 无法读取：没有这个文件或文件夹"
