"""The guide's folder of npz files: what is read, what is refused, and in which words."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from trisent.data.npz import GUIDE_DIMS, read_npz, settle_preset, write_sample
from trisent.errors import DataError, UsageError

DIMS = {"text": 4, "audio": 3, "video": 5}


def arrays(n: int = 6, **changes: object) -> dict[str, object]:
    random = np.random.default_rng(n)
    made = {f"{m}_features": random.standard_normal((n, dim)).astype(np.float32) for m, dim in DIMS.items()}
    return {k: v for k, v in {**made, "labels": np.arange(n) % 7, **changes}.items() if v is not None}


def write(folder: Path, **changes: object) -> Path:
    """Write a small set; `changes` go into val.npz."""
    folder.mkdir(exist_ok=True)
    np.savez(folder / "train.npz", **arrays())
    np.savez(folder / "val.npz", **arrays(**changes))
    np.savez(folder / "test.npz", **arrays())
    return folder


def test_class_labels_become_sentiment(tmp_path: Path):
    data = read_npz(write(tmp_path, labels=np.array([0, 1, 2, 3, 5, 6])))
    assert data.valid.labels.tolist() == [-3, -2, -1, 0, 2, 3]
    assert data.valid.labels.dtype == np.float32


def test_floating_point_labels_are_sentiment_already(tmp_path: Path):
    labels = np.array([-3, -1 / 3, 0, 1 / 3, 2, 3])
    assert read_npz(write(tmp_path, labels=labels)).valid.labels == pytest.approx(labels)


def test_widths_come_from_the_data(tmp_path: Path):
    data = read_npz(write(tmp_path))
    assert data.dims == DIMS
    assert (data.provenance, data.synthetic, data.preset) == (None, False, None)


def test_valid_npz_is_another_name_for_val_npz(tmp_path: Path):
    (write(tmp_path) / "val.npz").rename(tmp_path / "valid.npz")
    assert len(read_npz(tmp_path).valid) == 6


def test_a_modality_may_be_missing_from_all_files(tmp_path: Path):
    for name in ("train", "val", "test"):
        np.savez(tmp_path / f"{name}.npz", **arrays(video_features=None))
    assert set(read_npz(tmp_path).dims) == {"text", "audio"}


def test_a_modality_missing_from_one_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"val\.npz has features .* same modalities and widths"):
        read_npz(write(tmp_path, video_features=None))


def test_rows_with_nan_or_inf_count_as_absent_and_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    audio = np.ones((6, 3))
    audio[1, 0], audio[4, 2], audio[5, 0] = np.nan, np.inf, 1e300
    data = read_npz(write(tmp_path, audio_features=audio))
    assert data.valid.masks["audio"].tolist() == [True, False, True, True, False, False]
    assert data.valid.masks["text"].all()
    assert np.isfinite(data.valid.features["audio"]).all()
    assert "3 of 6 rows of audio_features" in caplog.text


def test_a_batch_holds_the_rows_asked_for_in_that_order(tmp_path: Path):
    split = read_npz(write(tmp_path)).train
    batch = split.batch(torch.tensor([4, 0]))
    assert batch.values["video"].shape == (2, 1, 5)
    assert batch.masks["video"].shape == (2, 1)
    assert np.array_equal(batch.values["text"][:, 0].numpy(), split.features["text"][[4, 0]])
    assert batch.labels is not None
    assert batch.labels.tolist() == [1.0, -3.0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": np.array([0, 1, 2, 3, 4, 7])}, r"1 of 6 labels .*: 7\. .*0\.\.6"),
        ({"labels": np.array([0, -1, 2, 3, 4, -2])}, r"2 of 6 labels .*: -2, -1\."),
        ({"labels": np.array([0, 1, 2, 3, 4, 3.5])}, r"1 of 6 labels .*: 4\.0|2 of 6 labels .*: 3\.5, 4\.0"),
        ({"labels": np.array([0, 1, 2, 3, np.nan, 1])}, r"1 of 6 labels .*: nan"),
        ({"labels": np.zeros((6, 1))}, r"labels must hold numbers of shape \[n\].*float64 \[6, 1\]"),
        ({"labels": np.array(["a"] * 6)}, "labels must hold numbers"),
        ({"labels": None}, r"lacks labels \(found: audio_features"),
        ({"audio_features": np.zeros((5, 3))}, r"audio_features must hold numbers of shape \[6, width\].*\[5, 3\]"),
        ({"audio_features": np.zeros((6, 2, 3))}, r"audio_features must .*\[6, 2, 3\]"),
        ({"audio_features": np.zeros((6, 9))}, "same modalities and widths"),
        ({"audio_features": np.array([[1], [1, 2], 3, 4, 5, 6], dtype=object)}, "Python objects"),
    ],
)
def test_a_wrong_array_is_refused_in_words_that_name_it(tmp_path: Path, changes: dict[str, object], words: str):
    with pytest.raises(DataError, match=words) as caught:
        read_npz(write(tmp_path, **changes))
    assert "val.npz" in str(caught.value)


def test_a_missing_folder_and_a_missing_file_name_the_command_that_shows_one(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere is not a folder.*trisent data sample"):
        read_npz(tmp_path / "nowhere")
    (write(tmp_path) / "test.npz").unlink()
    with pytest.raises(DataError, match=r"has no test\.npz \(found: train\.npz, val\.npz\).*trisent data sample"):
        read_npz(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_what_is_not_an_npz_is_refused(tmp_path: Path, content: bytes):
    (write(tmp_path) / "train.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.npz cannot be read as \.npz"):
        read_npz(tmp_path)


def test_a_torn_npz_and_a_bare_array_are_refused(tmp_path: Path):
    path = write(tmp_path) / "train.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train\.npz cannot be read"):
        read_npz(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        read_npz(tmp_path)


def test_features_json_tells_provenance_preset_and_synthetic(tmp_path: Path):
    bert = {"extractor": "bert", "weights": "tiny", "digest": "ab", "layers": [1, 2], "preprocessing": "none"}
    facts = {"synthetic": True, "preset": "embedded", "extractors": {"text": bert}}
    (write(tmp_path) / "features.json").write_text(json.dumps(facts), encoding="utf-8")
    data = read_npz(tmp_path)
    assert (data.synthetic, data.preset) == (True, "embedded")
    assert data.provenance is not None
    assert data.provenance["text"].layers == (1, 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"extractors": {"text": {}}}', '{"extractors": {"smell": {}}}'])
def test_a_broken_features_json_is_refused(tmp_path: Path, text: str):
    (write(tmp_path) / "features.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"features\.json cannot be read.*optional"):
        read_npz(tmp_path)


def test_the_sample_is_synthetic_says_so_and_can_be_read(tmp_path: Path):
    write_sample(tmp_path / "s", rows=(40, 10, 12))
    data = read_npz(tmp_path / "s")
    assert data.dims == GUIDE_DIMS
    assert (len(data.train), len(data.valid), len(data.test), data.synthetic) == (40, 10, 12, True)
    assert "SYNTHETIC" in (tmp_path / "s" / "README.txt").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_writes_the_same_sample(tmp_path: Path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_sample(tmp_path / name, seed=seed, rows=(8, 2, 2))
    a, b, c = (read_npz(tmp_path / name).train.features["text"] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_sample_overwrites_nothing(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="not an empty folder"):
        write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_preset_is_taken_from_the_request_but_not_against_the_data(tmp_path: Path):
    (write(tmp_path) / "features.json").write_text('{"preset": "embedded"}', encoding="utf-8")
    data = read_npz(tmp_path)
    assert settle_preset(data, None) == "embedded"
    with pytest.raises(UsageError, match="contradicts"):
        settle_preset(data, "pretrained")
    with pytest.raises(UsageError, match="no preset is called 'best'; there are: embedded, pretrained"):
        settle_preset(data, "best")
