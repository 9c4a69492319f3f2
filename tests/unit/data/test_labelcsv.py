"""label.csv as MMSA, M-SENA and MMSA-FET write it, beside emotions.csv."""

import csv
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import Dataset
from trisent.data.formats import labelcsv
from trisent.errors import DataError

MOSEI = """video_id,clip_id,text,label,annotation,mode,label_by
-3g5yACwYnA,10,"Key is part, of ""it"" again",1.0,Positive,train,0
-3g5yACwYnA,13,"two
lines",0.6666666865348816,Positive,valid,0
7,2,,-2.3333332538604736,Negative,test,0
"""
EMOTIONS = """vid,start,stop,sentiment_mmsa,cid,mode,segment_id,sentiment,happy,sad,anger,surprise,disgust,fear
-3g5yACwYnA,82.753,100.555,1.0,10,train,0.0,1.0,0.6666667,0.5,0.0,0.0,0.0,0.3333333
7,1.5,2.5,-2.3,2,test,1.0,-2.3,,,,,,
"""
SIMS = """video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode
video_0001,0001,我不想嫁给李茶,-1.0,-1.0,-0.8,-0.6,Negative,train
video_0001,0002,还可以,0.2,0.0,0.4,,Positive,test
"""


def write(folder: Path, labels: str, emotions: str = "") -> Path:
    (folder / "label.csv").write_text(labels, encoding="utf-8")
    if emotions:
        (folder / "emotions.csv").write_text(emotions, encoding="utf-8")
    return folder


def test_a_row_is_an_utterance_called_video_and_clip(tmp_path: Path):
    data = labelcsv.read(write(tmp_path, MOSEI))
    assert data.ids == ("-3g5yACwYnA$_$10", "-3g5yACwYnA$_$13", "7$_$2")
    assert data.videos == ("-3g5yACwYnA", "-3g5yACwYnA", "7")
    assert data.splits == ("train", "valid", "test")
    assert data.texts == ('Key is part, of "it" again', "two\nlines", "")
    assert data.sentiment.tolist() == [1.0, np.float32(2 / 3), np.float32(-7 / 3)]
    assert (data.features, data.notes, data.scale) == ({}, (), (-3.0, 3.0))
    assert list(data.labels) == ["sentiment"]


def test_emotions_and_times_come_from_the_table_beside(tmp_path: Path):
    data = labelcsv.read(write(tmp_path, MOSEI, EMOTIONS))
    assert data.labels["happiness"][0] == np.float32(2 / 3)
    assert data.labels["sadness"][0] == 0.5
    assert np.isnan(data.labels["fear"][1:]).all()
    assert data.spans[[0, 2]].tolist() == [[np.float32(82.753), np.float32(100.555)], [1.5, 2.5]]
    assert np.isnan(data.spans[1]).all()
    assert len(data.notes) == 1
    assert "has no row for 1 of 3 utterances" in data.notes[0]


def test_sims_has_labels_of_each_modality_alone_and_a_scale_of_its_own(tmp_path: Path):
    data = labelcsv.read(write(tmp_path, SIMS))
    assert data.scale == (-1.0, 1.0)
    assert data.labels["text"].tolist() == [-1.0, 0.0]
    assert data.labels["audio"].tolist() == [np.float32(-0.8), np.float32(0.4)]
    assert np.isnan(data.labels["video"][1])
    assert data.ids[0] == "video_0001$_$0001"


def test_labels_beyond_the_scale_are_left_to_the_audit(tmp_path: Path):
    data = labelcsv.read(write(tmp_path, "video_id,clip_id,label\nv,1,7.5\nv,2,-30\n"))
    assert data.sentiment.tolist() == [7.5, -30]


def test_what_makes_no_sense_is_unknown_or_left_out_and_told(tmp_path: Path):
    table = "video_id,clip_id,text,label,mode\n"
    table += "v,1,a,good,train\nv,2,b,1,train\nv,2,again,1,test\n,3,c,1,test\nv,4,d,1,wherever\nv,5,e,1,test,too many\n"
    data = labelcsv.read(write(tmp_path, table))
    assert data.ids == ("v$_$1", "v$_$2", "v$_$4")
    assert data.texts[1] == "b"
    assert np.isnan(data.sentiment[0])
    assert data.splits == ("train", "train", "")
    told = " | ".join(data.notes)
    assert "1 cells of label make no sense and count as unknown, first label.csv:2: 'good'" in told
    assert "1 cells of split make no sense and count as unknown, first label.csv:6: 'wherever'" in told
    assert "3 rows are left out, first label.csv:4 (the id v$_$2 comes twice)" in told


def test_a_table_of_which_no_row_can_be_used_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"no row of 1 can be used, first label\.csv:2"):
        labelcsv.read(write(tmp_path, "video_id,clip_id\n,1\n"))


def test_a_table_without_the_two_names_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="expected the names of the columns, with one called clip_id"):
        labelcsv.read(write(tmp_path, "video_id,text\nv,hello\n"))


def test_the_file_and_its_folder_are_recognised_whatever_the_case(tmp_path: Path):
    (tmp_path / "Label.CSV").write_text(MOSEI, encoding="utf-8")
    assert labelcsv.recognises(tmp_path)
    assert labelcsv.recognises(tmp_path / "Label.CSV")
    assert len(labelcsv.read(tmp_path / "Label.CSV")) == 3
    assert not labelcsv.recognises(tmp_path / "nowhere")


@pytest.mark.parametrize(("labels", "emotions"), [(MOSEI, EMOTIONS), (MOSEI, ""), (SIMS, "")])
def test_what_is_written_comes_back_whole(tmp_path: Path, labels: str, emotions: str):
    before = labelcsv.read(write(tmp_path, labels, emotions))
    assert labelcsv.write(before, tmp_path / "w") == ()
    after = labelcsv.read(tmp_path / "w")
    for name in ("ids", "splits", "texts", "videos", "scale"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.labels.keys() == before.labels.keys()
    assert all(np.array_equal(after.labels[k], v, equal_nan=True) for k, v in before.labels.items())
    assert np.array_equal(after.spans, before.spans, equal_nan=True)


def test_what_is_written_is_what_mmsa_fet_reads(tmp_path: Path):
    labelcsv.write(labelcsv.read(write(tmp_path, SIMS)), tmp_path / "w")
    with (tmp_path / "w" / "label.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode"]
    assert [row["annotation"] for row in rows] == ["Negative", "Positive"]
    assert [float(row["label_A"]) for row in rows] == [-0.8, 0.4]
    assert rows[0]["clip_id"] == "0001"


def test_ids_of_another_kind_get_two_parts_and_that_is_said(tmp_path: Path):
    data = Dataset(
        "d", "", ("talk", "v[3]"), ("train", "test"), {"sentiment": np.zeros(2, np.float32)}, {}, videos=("", "v")
    )
    lost = labelcsv.write(data, tmp_path / "w")
    assert lost == ("2 utterances get ids of video_id and clip_id: talk becomes talk$_$talk",)
    assert labelcsv.read(tmp_path / "w").ids == ("talk$_$talk", "v$_$v[3]")


def test_videos_that_ids_contradict_and_blanks_in_ids_are_told(tmp_path: Path):
    data = Dataset(
        "d", "", ("v$_$1", "w$_$ 2"), ("train", "test"), {"sentiment": np.zeros(2, np.float32)}, {}, videos=("x", "w")
    )
    lost = labelcsv.write(data, tmp_path / "w")
    assert lost[0] == "1 utterances are of another video from now on, the one in their id: v$_$1 of v, not x"
    assert "blanks at the ends of ids are not kept" in lost
    assert labelcsv.read(tmp_path / "w").ids == labelcsv.written_ids(data)
