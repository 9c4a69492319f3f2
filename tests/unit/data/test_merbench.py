"""MERBench's folders."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisent.data import readers
from trisent.data.formats import merbench
from trisent.data.safe_pickle import UnsafePickleError
from trisent.errors import DataError

CLIPS = {"train": ("-3g5yACwYnA_10", "-3g5yACwYnA_13"), "val": ("a_b_0",), "test": ("c_2", "d_0")}
VALUES = {"-3g5yACwYnA_10": 1.0, "-3g5yACwYnA_13": -2 / 3, "a_b_0": 0.0, "c_2": 3.0, "d_0": -3.0}


def folder(path: Path, *, values: dict[str, Any] = VALUES) -> Path:
    """A folder as MERBench's preprocess/cmumosei.py makes it: numpy pickles the dictionaries into label.npz."""
    path.mkdir()
    corpora: dict[str, Any] = {
        f"{split}_corpus": {name: {"emo": 0, "val": values[name]} for name in names} for split, names in CLIPS.items()
    }
    np.savez_compressed(path / "label.npz", **corpora)
    lines = [f'{name},"said, {i}",译{i}' for i, name in enumerate(VALUES)]
    (path / "transcription-engchi-polish.csv").write_text("\n".join(["name,english,chinese", *lines]), encoding="utf-8")
    return path


def features(path: Path, name: str, *, steps: int | None, dim: int, but: str = "") -> None:
    """Features as the extractors save them: one .npy a clip, [dim] for UTT and [steps, dim] for FRA."""
    (path / "features" / name).mkdir(parents=True)
    for i, clip in enumerate(VALUES):
        if clip != but:
            shape = (dim,) if steps is None else (steps + i, dim)
            np.save(path / "features" / name / f"{clip}.npy", np.full(shape, i + 1, np.float32))


def test_labels_texts_and_features_are_joined_by_clip(tmp_path: Path) -> None:
    path = folder(tmp_path / "cmumosei-process")
    features(path, "bert-base-uncased-UTT", steps=None, dim=4)
    features(path, "chinese-hubert-large-FRA", steps=3, dim=2, but="c_2")
    frames = path / "features" / "clip-vit-large-patch14-FRA"
    for i, clip in enumerate(VALUES):  # faces are a folder a clip, a file a frame
        (frames / clip).mkdir(parents=True)
        for frame in range(i + 1):
            np.save(frames / clip / f"{frame:04d}.npy", np.full((1, 3), frame, np.float32))
    found = readers.recognise(path)
    assert found is not None
    assert found.name == "merbench"
    dataset = merbench.read(path)
    assert dataset.ids == tuple(VALUES)
    assert dataset.splits == ("train", "train", "valid", "test", "test")
    assert dataset.videos == ("-3g5yACwYnA", "-3g5yACwYnA", "a_b", "c", "d")
    np.testing.assert_allclose(dataset.sentiment, list(VALUES.values()), rtol=1e-6)
    assert dataset.texts[1] == "said, 1"
    assert dataset.features["text"].lengths.tolist() == [1] * 5
    assert dataset.features["audio"].lengths.tolist() == [3, 4, 5, 0, 7]
    assert dataset.features["video"].of(2).values.tolist() == [[0.0] * 3, [1.0] * 3, [2.0] * 3]
    assert "audio: 1 of 5 clips have no file in chinese-hubert-large-FRA, first c_2" in dataset.notes


def test_the_chinese_that_is_said_goes_before_its_translation(tmp_path: Path) -> None:
    path = folder(tmp_path / "sims-process", values={name: v / 3 for name, v in VALUES.items()})
    (path / "transcription-engchi-polish.csv").write_text("name,chinese,english\nc_2,你好,hello\n", encoding="utf-8")
    dataset = merbench.read(path)
    assert dataset.texts == ("", "", "", "你好", "")
    assert dataset.scale == (-1.0, 1.0)


def test_clips_without_a_value_are_of_unknown_sentiment(tmp_path: Path) -> None:
    path = tmp_path / "mer2023-dataset-process"
    path.mkdir()
    corpora: dict[str, Any] = {
        "train_corpus": {"x_1": {"emo": "happy", "val": ""}},
        "test3_corpus": {"x_2": {"emo": "sad"}},
        "whole_corpus": {"x_3": {"emo": "sad", "val": np.float64(1.5)}},
    }
    np.savez(path / "label.npz", **corpora)
    dataset = merbench.read(path)
    np.testing.assert_array_equal(dataset.sentiment, np.array([np.nan, np.nan, 1.5], np.float32))
    assert dataset.splits == ("train", "test", "")
    assert any("(emo) are not kept: happy, sad" in note for note in dataset.notes)


def test_two_features_of_one_modality_are_not_chosen_between(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    features(path, "wavlm-base-UTT", steps=None, dim=2)
    features(path, "whisper-base-UTT", steps=None, dim=2)
    with pytest.raises(DataError, match="several features of audio: wavlm-base-UTT, whisper-base-UTT"):
        merbench.read(path)


def test_a_folder_of_an_unknown_encoder_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    features(path, "mine-UTT", steps=None, dim=2)
    with pytest.raises(DataError, match="mine-UTT: its name tells no encoder"):
        merbench.read(path)


def npy_of(payload: bytes) -> bytes:
    """Wrap a pickle in an .npy file of objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array({}, object), allow_pickle=True)
    return buffer.getvalue()[:128] + payload


def test_a_call_hidden_in_the_labels_is_refused(tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return eval, ("1",)

    with zipfile.ZipFile(tmp_path / "label.npz", "w") as archive:
        archive.writestr("train_corpus.npy", npy_of(pickle.dumps(np.array({"a": Call()}, object))))
    assert merbench.recognises(tmp_path)
    with pytest.raises(UnsafePickleError, match=r"train_corpus\.npy asks for builtins\.eval"):
        merbench.read(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "a\\b"])
def test_a_clip_that_lies_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path / "a")
    features(path, "bert-UTT", steps=None, dim=2)
    corpus: Any = {name: {"emo": 0, "val": 1.0}}
    np.savez(path / "label.npz", train_corpus=corpus)
    with pytest.raises(DataError, match="would lie elsewhere"):
        merbench.read(path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    features(path, "bert-UTT", steps=None, dim=2)
    content = (path / "label.npz").read_bytes()
    (path / "label.npz").write_bytes(content[:90] + b"\0\0\0\0" + content[94:])
    with pytest.raises(DataError, match=r"label\.npz"):
        merbench.read(path)
    (path / "label.npz").write_bytes(content[:100])
    assert not merbench.recognises(path)
    (path / "label.npz").write_bytes(content)
    (path / "features" / "bert-UTT" / "c_2.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"c_2\.npy cannot be read"):
        merbench.read(path)


def test_a_label_that_is_no_dictionary_is_unknown_and_told(tmp_path: Path) -> None:
    path = tmp_path / "cmumosi-process"
    path.mkdir()
    corpora: dict[str, Any] = {"train_corpus": {"x_1": {"emo": 0, "val": 1.0}, "x_2": 2.5}, "val_corpus": {"x_3": "0"}}
    np.savez(path / "label.npz", **corpora)
    dataset = merbench.read(path)
    np.testing.assert_array_equal(dataset.sentiment, np.array([1.0, np.nan, np.nan], np.float32))
    told = [note for note in dataset.notes if "count as unknown" in note]
    assert len(told) == 1
    assert told[0].startswith("2 of 3 labels are not written as")
    assert told[0].endswith("first that of x_2")
