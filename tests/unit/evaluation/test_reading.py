"""Prediction files as people have them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from trisent.errors import DataError
from trisent.evaluation.reading import read_predictions


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header", ["id,prediction,label", "ID,y_pred,y_true", "utterance_id;Preds;Truth", "ids\tyhat\tgold", "﻿id,pred,y"]
)
def test_a_csv_is_read_whatever_it_calls_its_columns(tmp_path: Path, header: str) -> None:
    between = next(c for c in ";\t," if c in header)
    path = written(tmp_path / "p.csv", f"{header}\na[0]{between}0.5{between}1\n\na[1]{between}-1e-1{between}0\n")
    read = read_predictions(path)
    assert (read.predicted.tolist(), read.truth.tolist()) == ([0.5, -0.1], [1, 0])
    assert (read.ids, read.videos) == (("a[0]", "a[1]"), ("a", "a"))


def test_mmsas_video_and_clip_name_the_utterance(tmp_path: Path) -> None:
    read = read_predictions(
        written(tmp_path / "p.csv", 'video_id,clip_id,text,pred,label\nv,1,"a, b",0,0\nv,2,c,1,1\n')
    )
    assert read.ids == ("v$_$1", "v$_$2")
    assert read.videos == ("v", "v")
    assert read.columns == {"clip_id": ("1", "2"), "text": ("a, b", "c")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_spreadsheets_encoding_does_not_matter(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "p.csv").write_bytes("id,pred,label,text\nv[0],0.5,1,这部电影很好看\n".encode(encoding))
    assert read_predictions(tmp_path / "p.csv").columns == {"text": ("这部电影很好看",)}


def test_where_semicolons_part_the_cells_a_comma_is_the_decimal_point(tmp_path: Path) -> None:
    read = read_predictions(written(tmp_path / "p.csv", "id;pred;label\na;-0,5;1,25\nb;2;-1.5\n"))
    assert (read.predicted.tolist(), read.truth.tolist()) == ([-0.5, 2], [1.25, -1.5])


def test_a_list_of_objects_and_an_object_of_lists_are_read_from_json(tmp_path: Path) -> None:
    rows = [{"id": "v[0]", "prediction": 1.5, "label": 2}, {"id": "v[1]", "prediction": [0.5], "label": -1}]
    columns = {"id": ["v[0]", "v[1]"], "prediction": [1.5, 0.5], "label": [2, -1]}
    for document in (rows, columns):
        read = read_predictions(written(tmp_path / "p.json", json.dumps(document)))
        assert (read.predicted.tolist(), read.truth.tolist(), read.videos) == ([1.5, 0.5], [2, -1], ("v", "v"))
    for wrong, reason in (("{oops", "not JSON"), ('{"pred": 1}', "expected a list"), ('[{"pred": 1}, 2]', "index 1")):
        with pytest.raises(DataError, match=reason):
            read_predictions(written(tmp_path / "p.json", wrong))


def test_ids_that_numpy_saved_as_bytes_are_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", pred=np.zeros(2), label=np.zeros(2), ids=np.array([b"v$_$0", "视$_$1".encode()]))
    assert read_predictions(tmp_path / "p.npz").ids == ("v$_$0", "视$_$1")


def test_beside_an_id_the_utterance_is_what_was_said(tmp_path: Path) -> None:
    read = read_predictions(written(tmp_path / "p.csv", "id,Utterance,pred,label\na,hello,1,1\nb,hello,0,1\n"))
    assert (read.ids, read.columns) == (("a", "b"), {"utterance": ("hello", "hello")})


def test_a_folder_is_no_file_of_predictions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        read_predictions(tmp_path)


def test_seven_columns_p0_to_p6_are_class_probabilities(tmp_path: Path) -> None:
    row = [0.1] * 5 + [0.3, 0.2]
    text = f"pred,label,{','.join(f'p{i}' for i in range(7))}\n1,2,{','.join(map(str, row))}\n"
    read = read_predictions(written(tmp_path / "p.csv", text))
    assert read.probabilities is not None
    assert read.probabilities.tolist() == [row]


def test_json_lines_are_read(tmp_path: Path) -> None:
    rows = [{"id": f"v[{i}]", "prediction": i / 2, "label": i, "probs": [1, 0, 0, 0, 0, 0, 0]} for i in range(3)]
    read = read_predictions(written(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)) + "\n"))
    assert read.predicted.tolist() == [0, 0.5, 1]
    assert read.probabilities is not None


def test_an_npz_of_two_arrays_is_read_also_with_a_last_axis_of_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", preds=np.array([[0.5], [1.0]], np.float32), labels=np.array([1, 0]))
    read = read_predictions(tmp_path / "p.npz")
    assert (read.predicted.tolist(), read.truth.tolist(), read.ids) == ([0.5, 1], [1, 0], None)


def test_labels_in_as_many_brackets_as_mult_keeps_them_in_are_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", preds=np.float32([[0.5], [1]]), labels=np.float32([[[1]], [[-2]]]))
    (tmp_path / "a.json").write_text('{"preds": [[0.5], 1], "labels": [[[1]], -2]}', encoding="utf-8")
    for name in ("a.npz", "a.json"):
        read = read_predictions(tmp_path / name)
        assert (read.predicted.tolist(), read.truth.tolist()) == ([0.5, 1.0], [1.0, -2.0])


def test_an_npz_may_hold_other_arrays_beside(tmp_path: Path) -> None:
    others = {"features": np.zeros((2, 5)), "classes": np.array(["a", "b", "c"]), "speaker": np.array(["x", "y"])}
    np.savez(tmp_path / "p.npz", pred=np.zeros(2), label=np.zeros(2), ids=np.array(["u[0]", "u[1]"]), **others)
    read = read_predictions(tmp_path / "p.npz")
    assert read.columns == {"speaker": ("x", "y")}
    assert read.videos == ("u", "u")


def test_a_column_of_another_name_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "id,M,Sent\na,1,2\n")
    assert read_predictions(path, prediction="M", label="sent").truth.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,pred,label\na,1,2\nb,nan,1\n", "line 3: pred is 'nan'"),
        ("id,pred,label\na,1,\n", "line 2: label is ''"),
        ("id,pred,label\na,inf,1\n", "line 2: pred is 'inf'"),
        ("id,pred,label\na,1\n", "line 2 has 2 cells, the header has 3"),
        ("id,pred\na,1\n", "no column label .*--label"),
        ("id,pred,prediction,label\na,1,1,1\n", "which of prediction, pred is the prediction"),
        ("id,pred,pred,label\na,1,1,1\n", "two columns have one name"),
        ("id,pred,label,p0\na,1,1,1\n", "there are only p0"),
        ("id,pred,label\na,1,1\na,1,1\n", "more than once: a"),
        ("id,pred,label\n", "at least one; got 0 and 0"),
        ("", "no column prediction"),
    ],
)
def test_what_is_wrong_in_a_csv_is_said_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"p.csv: .*{reason}"):
        read_predictions(written(tmp_path / "p.csv", text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"pred": 1, "label": 1}\n{"pred": 1}\n', "line 2 does not hold the same names"),
        ('{"pred": 1, "label": 1}\n{oops\n', "line 2 is not a JSON object"),
        ("[1, 2]\n", "line 1 does not hold"),
        ('{"pred": true, "label": 1}\n', "pred is 'True'"),
        ('{"pred": null, "label": 1}\n', "pred is 'None'"),
    ],
)
def test_what_is_wrong_in_json_lines_is_said_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_predictions(written(tmp_path / "p.jsonl", text))


def test_an_npz_that_would_have_to_be_unpickled_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", pred=np.array([{}], object), label=np.array([1.0]))
    with pytest.raises(DataError, match="plain arrays"):
        read_predictions(tmp_path / "p.npz")


def test_an_npz_whose_arrays_differ_in_length_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", pred=np.zeros(3), label=np.zeros(2))
    with pytest.raises(DataError, match="got 3 and 2"):
        read_predictions(tmp_path / "p.npz")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match=r"not from '\.pkl'"):
        read_predictions(tmp_path / "p.pkl")
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "p.csv").write_bytes(b"id,pred,label\n\xff\xfe,1,1\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_predictions(tmp_path / "p.csv")
