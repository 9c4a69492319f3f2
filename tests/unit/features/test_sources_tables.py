"""What people write into tables: the field's label.csv, and lists of stretches of long videos."""

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest

import media_files
from trisent.errors import DataError
from trisent.features.sources import Found, find_sources
from trisent.types import Utterance


def clips(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / "Raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def utterances(found: Found) -> list[Utterance]:
    return [u for source in found.sources for u in source.utterances or ()]


# label.csv beside Raw/


def test_the_fields_layout_gives_a_source_a_clip_with_label_text_and_split(tmp_path: Path) -> None:
    (tmp_path / "Raw/video_0001").mkdir(parents=True)
    media_files.talk(tmp_path / "Raw/video_0001/0001.mp4", seconds=0.2)
    clips(tmp_path, "video_0001/0002.mp4", "aqgy 3/1.MKV")
    (tmp_path / "label.csv").write_text(
        "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
        "video_0001,0001,我很高兴,0.8,1.0,0.6,0.8,Positive,train\n"
        'video_0001,0002,"no, not at all",-1,0,0,0,Negative,valid\n'
        "aqgy 3,1,,0.0,,,,Neutral,test\n",
        encoding="utf-8",
    )
    found = find_sources([tmp_path])
    assert found.failures == ()
    assert [(s.id, s.path.relative_to(tmp_path / "Raw").as_posix(), dict(s.splits)) for s in found.sources] == [
        ("video_0001$_$0001", "video_0001/0001.mp4", {"video_0001$_$0001": "train"}),
        ("video_0001$_$0002", "video_0001/0002.mp4", {"video_0001$_$0002": "valid"}),
        ("aqgy 3$_$1", "aqgy 3/1.MKV", {"aqgy 3$_$1": "test"}),
    ]
    assert utterances(found) == [
        Utterance("video_0001$_$0001", 0.0, math.inf, "我很高兴", sentiment=0.8),
        Utterance("video_0001$_$0002", 0.0, math.inf, "no, not at all", sentiment=-1.0),
        Utterance("aqgy 3$_$1", 0.0, math.inf, "", sentiment=0.0),
    ]
    assert find_sources([tmp_path / "label.csv"]) == found


def test_clip_numbers_are_found_with_and_without_their_zeros(tmp_path: Path) -> None:
    clips(tmp_path, "v/0001.mp4", "v/2.mp4", "0007/10.mp4")
    (tmp_path / "label.csv").write_text("video_id,clip_id,text,label\nv,1,a,0\nv,0002,b,0\n7,10,c,0\n")
    found = find_sources([tmp_path])
    assert [(s.id, s.path.relative_to(tmp_path / "Raw").as_posix()) for s in found.sources] == [
        ("v$_$1", "v/0001.mp4"),
        ("v$_$0002", "v/2.mp4"),
        ("7$_$10", "0007/10.mp4"),
    ]


def test_a_number_that_fits_two_clips_takes_neither(tmp_path: Path) -> None:
    clips(tmp_path, "v/01.mp4", "v/001.mp4")
    (tmp_path / "label.csv").write_text("video_id,clip_id,text\nv,1,a\nv,01,b\n")
    found = find_sources([tmp_path])
    assert [s.id for s in found.sources] == ["v$_$01"]
    assert [f.id for f in found.failures] == ["v$_$1"]


def test_a_video_goes_before_sound_of_the_same_name(tmp_path: Path) -> None:
    clips(tmp_path, "v/1.wav", "v/1.mkv", "v/1.txt")
    (tmp_path / "label.csv").write_text("video_id,clip_id,text\nv,1,a\n")
    assert [s.path.name for s in find_sources([tmp_path]).sources] == ["1.mkv"]


def test_a_row_without_its_clip_is_a_failure_with_its_line(tmp_path: Path) -> None:
    clips(tmp_path, "v/1.mp4")
    (tmp_path / "label.csv").write_text("video_id,clip_id,text,label\nv,1,a,0\nv,2,b,0\nw,1,c,0\n")
    found = find_sources([tmp_path])
    assert [s.id for s in found.sources] == ["v$_$1"]
    assert [f.id for f in found.failures] == ["v$_$2", "w$_$1"]
    assert "label.csv, line 3" in found.failures[0].reason
    assert str(tmp_path / "Raw/v/2.mp4") in found.failures[0].reason


def test_clips_without_a_row_are_counted_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips(tmp_path, "v/1.mp4", "v/2.mp4", "w/10.mp4", "w/notes.txt")
    (tmp_path / "label.csv").write_text("video_id,clip_id,text\nv,1,a\n")
    with caplog.at_level(logging.WARNING, "trisent"):
        find_sources([tmp_path])
    assert "left out: 2, such as" in caplog.text
    assert "v/2.mp4" in caplog.text


def test_val_and_dev_mean_valid_and_another_split_is_a_failure(tmp_path: Path) -> None:
    clips(tmp_path, *(f"v/{k}.mp4" for k in range(5)))
    modes = ["val", "DEV", "test", "", "testing"]
    rows = "".join(f"v,{k},a,{mode}\n" for k, mode in enumerate(modes))
    (tmp_path / "label.csv").write_text("video_id,clip_id,text,mode\n" + rows)
    found = find_sources([tmp_path])
    assert [s.splits.get(s.id) for s in found.sources] == ["valid", "valid", "test", None]
    assert "column mode: expected train, valid or test, got testing" in found.failures[0].reason


@pytest.mark.parametrize("name", ["label.csv", "texts.tsv", "texts.jsonl"])
def test_texts_without_videos_are_sources_without_files(tmp_path: Path, name: str) -> None:
    rows = [("v", "1", "good", "1.0", "train"), ("v", "2", "bad", "-1.0", "train"), ("w", "1", "so", "0", "valid")]
    header = ("video_id", "clip_id", "text", "label", "mode")
    if name.endswith(".jsonl"):
        lines = [json.dumps(dict(zip(header, row, strict=True))) for row in rows]
    else:
        delimiter = "\t" if name.endswith(".tsv") else ","
        lines = [delimiter.join(row) for row in (header, *rows)]
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    found = find_sources([tmp_path if name == "label.csv" else tmp_path / name])
    assert not found.failures
    assert [(s.media, [u.text for u in s.utterances or ()]) for s in found.sources] == [
        (False, ["good", "bad"]),
        (False, ["so"]),
    ]
    assert [u.id for s in found.sources for u in s.utterances or ()] == ["v$_$1", "v$_$2", "w$_$1"]
    assert [u.sentiment for s in found.sources for u in s.utterances or ()] == [1.0, -1.0, 0.0]
    assert found.sources[1].splits == {"w$_$1": "valid"}


# a table of stretches


def videos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def table(folder: Path, text: str, *, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_of_one_file_are_one_source_with_stretches_in_order_of_time(tmp_path: Path) -> None:
    videos(tmp_path, "long talk.mp4", "b/other.mp4")
    rows = (
        "path,start,end,text,label,split\n"
        "long talk.mp4,0:01:02.5,1:00:00,second,-1.5,test\n"
        "b/other.mp4,,,whole,,\n"
        "long talk.mp4,3,7.25,first,3,train\n"
    )
    found = find_sources([table(tmp_path, rows)])
    assert found.failures == ()
    assert [(s.id, s.path) for s in found.sources] == [
        ("long talk", tmp_path / "long talk.mp4"),
        ("other", tmp_path / "b/other.mp4"),
    ]
    assert utterances(found) == [
        Utterance("long talk$_$1", 3.0, 7.25, "first", sentiment=3.0),
        Utterance("long talk$_$0", 62.5, 3600.0, "second", sentiment=-1.5),
        Utterance("other$_$0", 0.0, math.inf, "whole"),
    ]
    assert found.sources[0].splits == {"long talk$_$0": "test", "long talk$_$1": "train"}


@pytest.mark.parametrize(
    "header",
    [
        "path,start,end,text,label,id,split",
        "Video_Path,START_TIME,End_Time,Transcript,Sentiment,ID,Mode",
        " file , begin , stop ,text,label,utterance_id,mode",
    ],
)
def test_headers_have_synonyms_in_any_case(tmp_path: Path, header: str) -> None:
    videos(tmp_path, "a.mp4")
    found = find_sources([table(tmp_path, f"{header}\na.mp4,1,2,hello,0.5,mine,dev\n")])
    assert utterances(found) == [Utterance("mine", 1.0, 2.0, "hello", sentiment=0.5)]
    assert found.sources[0].splits == {"mine": "valid"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_spreadsheets_way_of_writing_is_read(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    videos(tmp_path, "视频/会议 1.mp4")
    lines = ["path,start,end,text", "视频/会议 1.mp4,1,2,很好", "", '视频/会议 1.mp4,3,4,"他说""好"""', ",,,"]
    text = end.join(line.replace(",", delimiter) for line in lines)
    found = find_sources([table(tmp_path, text, encoding=encoding)])
    assert [u.text for u in utterances(found)] == ["很好", '他说"好"']
    assert found.failures == ()


def test_a_decimal_comma_is_read_where_semicolons_part_the_fields(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    found = find_sources([table(tmp_path, "path;start;end;text;label\na.mp4;1,5;2,75;so, so;-0,5\n")])
    assert utterances(found) == [Utterance("a$_$0", 1.5, 2.75, "so, so", sentiment=-0.5)]


def test_a_quoted_text_may_go_over_lines_and_line_numbers_stay_right(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    rows = 'path,start,end,text\na.mp4,1,2,"one\ntwo\nthree"\na.mp4,x,4,bad\n'
    found = find_sources([table(tmp_path, rows)])
    assert [u.text for u in utterances(found)] == ["one\ntwo\nthree"]
    assert "line 5, column start: expected seconds or H:MM:SS, got x" in found.failures[0].reason


BAD_ROWS = {
    "end before start": ("a.mp4,5,4,t,0,", "column End: expected a time after the start, 5 s, got 4"),
    "end at start": ("a.mp4,5,5,t,0,", "column End"),
    "negative start": ("a.mp4,-1,4,t,0,", "column Start: expected seconds or H:MM:SS, got -1"),
    "61 seconds": ("a.mp4,0:61,90,t,0,", "column Start"),
    "endless": ("a.mp4,0,inf,t,0,", "column End"),
    "no number": ("a.mp4,0,1,t,good,", "column Label: expected a number from -3 to 3, got good"),
    "NaN": ("a.mp4,0,1,t,nan,", "column Label"),
    "too large": ("a.mp4,0,1,t,3.5,", "column Label"),
    "no such file": ("b.mp4,0,1,t,0,", "column Path: expected a file"),
    "a folder": (".,0,1,t,0,", "column Path: expected a file"),
    "no path": (",0,1,t,0,", "column Path: expected the name of a file, got nothing"),
    "a comma too many": ("a.mp4,0,1,well, yes,0,id,more", "expected 6 fields as in the header, got 8"),
    "an id used before": ("a.mp4,0,1,t,0,good", "good comes twice"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_a_failure_and_the_good_ones_stay(tmp_path: Path, name: str) -> None:
    videos(tmp_path, "a.mp4")
    row, reason = BAD_ROWS[name]
    found = find_sources(
        [table(tmp_path, f"Path,Start,End,Text,Label,Id\na.mp4,0,1,t,0,good\n{row}\na.mp4,2,3,t,0,\n")]
    )
    assert [u.id for u in utterances(found)] == ["good", "a$_$2" if row.startswith("a.mp4") else "a$_$1"]
    (failure,) = found.failures
    assert reason in failure.reason
    assert "comes twice" in reason or f"{tmp_path / 'list.csv'}, line 3" in failure.reason


UNUSABLE = {
    "no column path": (b"start,end\n1,2\n", "line 1: expected the names of the columns.*path | file.*got start, end"),
    "no header": (b"a.mp4,1,2\n", "line 1"),
    "no rows": (b"path,start\n", "no rows"),
    "nothing": (b"", "line 1"),
    "quotes that do not end": (b'path,text\na.mp4,"well\na.mp4,no\n', "line 2: its quotes do not match"),
    "an Excel workbook": (b"PK\x03\x04\x14\x00", "workbook"),
    "no text": (bytes(range(128, 256)) * 9, "no text in UTF-8"),
    "UTF-16 cut in the middle": ("path\n会议.mp4".encode("utf-16")[:-1], "no text in UTF-8"),
}


def test_failures_of_one_id_stay_apart_from_each_other_and_from_the_good_row(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    rows = "path,start,end,id\na.mp4,2,1,x\na.mp4,0,1,x\na.mp4,3,4,x\na.mp4,1,0,y\na.mp4,1,0,y\n"
    found = find_sources([table(tmp_path, rows)])
    assert [u.id for u in utterances(found)] == ["x"]
    assert [f.id for f in found.failures] == ["x (list.csv:2)", "x (list.csv:4)", "y", "y (list.csv:6)"]


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_table_that_makes_no_sense_is_refused_whole(tmp_path: Path, name: str) -> None:
    content, reason = UNUSABLE[name]
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        find_sources([tmp_path / "list.csv"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_damaged_tables_are_read_or_refused_and_nothing_else(tmp_path: Path, encoding: str) -> None:
    videos(tmp_path, "视频.mp4")
    rows = (
        'path,start,end,text,label,id,split\n视频.mp4,1,2,"很好, 真的",0.5,a,train\n视频.mp4,0:01,0:02.5,好,-3,,dev\n'
    )
    whole = rows.encode(encoding)
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(0, len(damaged), random.integers(1, 4)):
            damaged[at] = random.integers(0, 256)
        path = tmp_path / "list.csv"
        path.write_bytes(damaged[: random.integers(1, len(damaged) + 1)] if random.random() < 0.3 else damaged)
        try:
            found = find_sources([path])
        except DataError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert all(0 <= u.start < u.end and u.id for u in utterances(found))
    assert outcomes == {"refused", "read"}


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        find_sources([tmp_path / "list.tsv"])


def test_mending_a_row_does_not_rename_the_others(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    broken = find_sources([table(tmp_path, "path,start,end\na.mp4,0,1\na.mp4,9,2\na.mp4,3,4\n")])
    mended = find_sources([table(tmp_path, "path,start,end\na.mp4,0,1\na.mp4,1,2\na.mp4,3,4\n")])
    assert [u.id for u in utterances(broken)] == ["a$_$0", "a$_$2"]
    assert set(utterances(broken)) < set(utterances(mended))


def test_a_file_that_a_table_describes_is_not_listened_to_as_well(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4", "b.mp4")
    path = table(tmp_path, "path,start,end,text\na.mp4,0,1,hello\n")
    found = find_sources([tmp_path, path])
    assert [(s.id, s.utterances is None) for s in found.sources] == [("a", False), ("b", True)]


def test_two_tables_may_share_a_file(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    train = table(tmp_path, "path,start,end,split\na.mp4,0,1,train\n", name="train.csv")
    test = table(tmp_path, "path,start,end,split\na.mp4,5,6,test\n", name="test.csv")
    (source,) = find_sources([train, test]).sources
    assert source.splits == {"a$_$0": "train", "a$_$1": "test"}


def test_equal_stems_in_a_table_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    videos(tmp_path, "x/1.mp4", "y/1.mp4", "y/2.mp4")
    found = find_sources([table(tmp_path, "path\nx/1.mp4\ny/1.mp4\ny/2.mp4\n")])
    assert [u.id for u in utterances(found)] == ["x/1$_$0", "y/1$_$0", "2$_$0"]


def test_paths_written_on_windows_and_absolute_ones_are_found(tmp_path: Path) -> None:
    videos(tmp_path, "clips/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "tables").mkdir()
    rows = f"path,text\n..\\clips\\a.mp4,x\n{tmp_path / 'elsewhere/b.mp4'},y\n"
    found = find_sources([table(tmp_path / "tables", rows)])
    assert [u.text for u in utterances(found)] == ["x", "y"]


def test_a_table_without_text_says_what_that_means(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos(tmp_path, "a.mp4")
    with caplog.at_level(logging.WARNING, "trisent"):
        find_sources([table(tmp_path, "path,start,end\na.mp4,0,1\n")])
    assert "no column called text" in caplog.text
