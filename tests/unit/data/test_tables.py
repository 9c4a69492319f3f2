"""Tables of text and label that people have: CSV, TSV, JSON lines."""

import json
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import EMOTIONS, Dataset
from trisent.data.formats import tables
from trisent.errors import DataError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_tsv_of_the_field_is_read(tmp_path: Path):
    text = 'vid\tstart\tstop\tlabel\tcid\ttext\nabc\t1.5\t0:03\t-0.3333\t4\tWell, "no"\n'
    data = tables.read(write(tmp_path / "train.tsv", text))
    assert (data.ids, data.videos, data.texts) == (("abc$_$4",), ("abc",), ('Well, "no"',))
    assert data.spans.tolist() == [[1.5, 3.0]]
    assert data.sentiment.tolist() == [np.float32(-0.3333)]
    assert (data.name, data.splits) == ("train", ("",))


def test_text_alone_is_enough_and_rows_are_named_by_their_number(tmp_path: Path):
    data = tables.read(write(tmp_path / "mine.csv", "Text\nhello\nworld\n"))
    assert data.ids == ("mine/0", "mine/1")
    assert np.isnan(data.sentiment).all()


def test_a_table_as_excel_writes_it_in_china_or_in_germany_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    chinese = tables.read(write(tmp_path / "a.csv", "text,label\n今天很开心,1.5\n", "gb18030"))
    german = tables.read(write(tmp_path / "b.csv", "text;label\nschön;-0,5\n", "utf-16"))
    assert (chinese.texts, chinese.sentiment.tolist()) == (("今天很开心",), [1.5])
    assert (german.texts, german.sentiment.tolist()) == (("schön",), [-0.5])
    assert "GB 18030" in caplog.text


def test_a_decimal_comma_is_read_wherever_no_comma_parts_the_fields(tmp_path: Path):
    unicode_text = tables.read(write(tmp_path / "excel.csv", "text\tstart\tlabel\nso, so\t1,25\t-0,5\n", "utf-16"))
    assert (unicode_text.sentiment.tolist(), unicode_text.spans[0, 0]) == ([-0.5], 1.25)
    assert unicode_text.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_json_lines_may_be_in_the_encodings_of_other_tables(tmp_path: Path, encoding: str):
    assert tables.read(write(tmp_path / "d.jsonl", '{"text": "今天很开心"}\n', encoding)).texts == ("今天很开心",)


def test_a_scale_that_is_told_by_the_values_of_labels_is_said(tmp_path: Path):
    said = "labels are multiples of 0.2 from -1 to 1: taken for those of CH-SIMS"
    assert tables.read(write(tmp_path / "sims.csv", "text,label\na,-1\nb,0.4\n")).notes == (said,)
    assert tables.read(write(tmp_path / "mosi.csv", "text,label\na,-1\nb,1.4\n")).notes == ()


def test_json_lines_are_read_with_numbers_and_nothing(tmp_path: Path):
    lines = [
        {"id": "a", "text": " two\nlines ", "label": 0.5, "split": "dev", "video": "v", "start": 1, "end": 2.5},
        {"ID": "b", "Text": "x", "label": None, "happy": 3, "other": {"what": "ever"}},
    ]
    data = tables.read(write(tmp_path / "d.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n"))
    assert (data.ids, data.texts) == (("a", "b"), (" two\nlines ", "x"))
    assert data.splits == ("valid", "")
    assert np.array_equal(data.sentiment, np.float32([0.5, np.nan]), equal_nan=True)
    assert data.labels["happiness"][1] == 3
    assert data.spans[0].tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "name,age\nx,3\n", r"expected a column called text or label .*found: name, age"),
        ("a.jsonl", '{"text": "a"}\n{"text": ', r"a\.jsonl, line 2: cannot be read"),
        ("a.jsonl", '["a"]\n', r"line 1: cannot be read \(expected an object\)"),
        ("a.jsonl", "[" * 100_000, r"line 1: cannot be read"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.csv", "text,label\n", "a header and no rows"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_the_place(tmp_path: Path, name: str, text: str, words: str):
    with pytest.raises(DataError, match=words):
        tables.read(write(tmp_path / name, text))


def test_times_that_run_backwards_are_left_to_the_audit(tmp_path: Path):
    data = tables.read(write(tmp_path / "a.csv", "text,start,end\na,-2,1\nb,5,4\nc,soon,\n"))
    assert data.spans[:2].tolist() == [[-2, 1], [5, 4]]
    assert np.isnan(data.spans[2]).all()
    assert "1 cells of start make no sense and count as unknown, first a.csv:4: 'soon'" in data.notes[0]


def made() -> Dataset:
    rng = np.random.default_rng(0)
    names = ("sentiment", "text", "audio", "video", *EMOTIONS)
    labels = {name: rng.uniform(-1, 1, 4).astype(np.float32) for name in names}
    labels["anger"][2] = np.nan
    return Dataset(
        "made",
        "",
        ("a$_$0", "b", "c", "今"),
        ("train", "valid", "test", ""),
        labels,
        {},
        texts=('quote " comma, tab\t', "line\nline", "", "很好"),
        videos=("a", "v.mp4", "", ""),
        spans=np.float32([[0, 1], [1 / 3, 2], [np.nan, np.nan], [5, 4]]),
        scale=(-1.0, 1.0),
    )


@pytest.mark.parametrize("name", ["w.csv", "w.tsv", "w.jsonl"])
def test_what_is_written_comes_back_whole(tmp_path: Path, name: str):
    before = made()
    lost = tables.write(before, tmp_path / name)
    after = tables.read(tmp_path / name)
    assert lost == (() if name == "w.jsonl" else ("blanks at the ends of texts are not kept",))
    for field in ("ids", "splits", "videos", "scale", "notes"):
        assert getattr(after, field) == getattr(before, field), field
    texts = before.texts if name == "w.jsonl" else tuple(text.strip() for text in before.texts)
    assert after.texts == texts
    assert after.labels.keys() == before.labels.keys()
    assert all(np.array_equal(after.labels[k], v, equal_nan=True) for k, v in before.labels.items())
    assert np.array_equal(after.spans, before.spans, equal_nan=True)


def test_what_no_table_keeps_is_said(tmp_path: Path):
    labels = {"sentiment": np.zeros(1, np.float32), "arousal": np.zeros(1, np.float32)}
    data = Dataset("d", "", ("a ",), ("",), labels, {}, scale=(-1.0, 1.0), synthetic=True)
    assert tables.write(data, tmp_path / "d.csv") == (
        "that the data are synthetic is not kept",
        "that sentiment goes from -1 to 1 is not kept",
        "labels that have no column are not kept: arousal",
        "blanks at the ends of ids are not kept",
    )


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_a_carriage_return_inside_a_text_ends_no_line(tmp_path: Path, name: str):
    text = "of a Mac\rfrom 1999"
    data = Dataset("d", "made", ("a", "b"), ("train", "test"), {"sentiment": np.float32([1, 2])}, {}, (text, "plain"))
    tables.write(data, tmp_path / name)
    back = tables.read(tmp_path / name)
    assert (back.ids, back.texts, back.splits) == (data.ids, data.texts, data.splits)
    assert back.notes == ()


def test_another_suffix_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="name a table"):
        tables.write(made(), tmp_path / "w.parquet")
