"""Which format a path is, and what is said when it is none."""

import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import Dataset, sequences
from trisent.data.readers import FORMATS, read, recognise, write
from trisent.errors import DataError, UsageError
from trisent.types import Features


def small() -> Dataset:
    """Make nine utterances of three steps, three a split."""
    rng = np.random.default_rng(0)
    steps = np.arange(3, dtype=np.float32), np.ones(3, np.bool_)
    features = {
        m: sequences([Features(rng.standard_normal((3, dim)).astype(np.float32), *steps) for _ in range(9)], dim)
        for m, dim in (("text", 4), ("audio", 3), ("video", 2))
    }
    return Dataset(
        "small",
        "",
        tuple(f"v{i // 3}$_${i % 3}" for i in range(9)),
        ("train",) * 3 + ("valid",) * 3 + ("test",) * 3,
        {"sentiment": rng.uniform(-3, 3, 9).astype(np.float32)},
        features,
        texts=tuple(f"text {i}" for i in range(9)),
        videos=tuple(f"v{i // 3}" for i in range(9)),
    )


WRITABLE = [name for name, format in FORMATS.items() if format.writable]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_written_if_its_module_writes(name: str):
    module = importlib.import_module(f"trisent.data.formats.{FORMATS[name].module}")
    assert hasattr(module, "write") == FORMATS[name].writable


def test_what_each_format_writes_is_recognised_as_that_format_and_has_the_same_utterances(tmp_path: Path):
    suffixes = {"mmsa": ".pkl", "tables": ".jsonl"}
    for name in WRITABLE:
        path = tmp_path / f"{name}{suffixes.get(name, '')}"
        write(small(), path, format=name)
        assert recognise(path) == FORMATS[name], name
        data = read(path)
        assert (data.format, sorted(data.ids)) == (name, sorted(small().ids)), name
        assert dict(zip(data.ids, data.splits, strict=True)) == dict(zip(small().ids, small().splits, strict=True)), (
            name
        )


def test_a_store_with_a_label_csv_in_it_is_a_store(tmp_path: Path):
    write(small(), tmp_path / "s", format="store")
    (tmp_path / "s" / "label.csv").write_text("video_id,clip_id,label\nv,1,1\n", encoding="utf-8")
    assert recognise(tmp_path / "s") == FORMATS["store"]


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    for path in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(DataError, match="is there already, and nothing is overwritten"):
            write(small(), path, format="npz")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_format_that_is_not_written_is_refused_with_those_that_are(tmp_path: Path):
    for name in ("mag", "xml"):
        with pytest.raises(UsageError, match=rf"'{name}'; there are: store, npz, csd, mmsa, labelcsv, tables"):
            write(small(), tmp_path / "w", format=name)


def test_a_path_that_is_not_there_names_the_command_that_shows_a_data_set(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere is not there.*trisent data sample DIR"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"text\n"])
def test_what_is_no_data_set_is_refused_with_what_is_there_and_what_could_be(tmp_path: Path, content: bytes):
    (tmp_path / "notes.xyz").write_bytes(content)
    for path in (tmp_path, tmp_path / "notes.xyz"):
        with pytest.raises(DataError, match=r"\(found: notes\.xyz\)\. Expected one of: store \(store\.json\); npz"):
            read(path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="found: nothing"):
        read(tmp_path)


def test_a_pickle_that_was_cut_off_says_so(tmp_path: Path) -> None:
    content = pickle.dumps({"train": {"text": list(range(1000))}})
    (tmp_path / "aligned_50.pkl").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"ends too early.*copy it again"):
        read(tmp_path / "aligned_50.pkl")
