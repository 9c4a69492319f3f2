"""The guide's folder of npz files: what is read, what is refused, and in which words."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import Dataset, sequences
from trisent.data.formats.npz import read, recognises
from trisent.data.formats.npz import write as write_npz
from trisent.data.provenance import settle_preset
from trisent.data.sample import GUIDE_DIMS, write_sample
from trisent.errors import DataError, UsageError
from trisent.types import Features, Provenance

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
    data = read(write(tmp_path, labels=np.array([0, 1, 2, 3, 5, 6])))
    assert data.split("valid").sentiment.tolist() == [-3, -2, -1, 0, 2, 3]
    assert data.split("valid").sentiment.dtype == np.float32


def test_floating_point_labels_are_sentiment_already(tmp_path: Path):
    labels = np.array([-3, -1 / 3, 0, 1 / 3, 2, 3])
    assert read(write(tmp_path, labels=labels)).split("valid").sentiment == pytest.approx(labels)


def test_widths_come_from_the_data(tmp_path: Path):
    data = read(write(tmp_path))
    assert data.dims == DIMS
    assert (data.provenance, data.synthetic, data.preset) == ({}, False, None)


def test_valid_npz_is_another_name_for_val_npz(tmp_path: Path):
    (write(tmp_path) / "val.npz").rename(tmp_path / "valid.npz")
    assert len(read(tmp_path).split("valid")) == 6


def test_a_modality_may_be_missing_from_all_files(tmp_path: Path):
    for name in ("train", "val", "test"):
        np.savez(tmp_path / f"{name}.npz", **arrays(video_features=None))
    assert set(read(tmp_path).dims) == {"text", "audio"}


def test_a_modality_missing_from_one_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"val\.npz has features .* same modalities and widths"):
        read(write(tmp_path, video_features=None))


def test_rows_with_nan_or_inf_are_kept_as_they_are_and_told(tmp_path: Path):
    audio = np.ones((6, 3))
    audio[1, 0], audio[4, 2], audio[5, 0] = np.nan, np.inf, 1e300
    data = read(write(tmp_path, audio_features=audio))
    bad = ~np.isfinite(data.split("valid").features["audio"].values)
    assert np.argwhere(bad).tolist() == [[1, 0], [4, 2], [5, 0]]
    assert "3 of 6 rows of audio_features" in data.notes[0]
    assert "val.npz" in data.notes[0]


def test_a_row_of_nan_alone_says_that_the_utterance_has_none_of_the_modality(tmp_path: Path):
    audio = np.arange(18.0).reshape(6, 3)
    audio[2] = np.nan
    rows = read(write(tmp_path, audio_features=audio)).split("valid").features["audio"]
    assert rows.lengths.tolist() == [1, 1, 0, 1, 1, 1]
    assert rows.of(3).values.tolist() == [[9, 10, 11]]


def test_only_a_folder_with_the_guides_names_is_recognised(tmp_path: Path):
    assert not recognises(tmp_path)
    assert not recognises(tmp_path / "nowhere")
    assert recognises(write(tmp_path / "s"))
    assert not recognises(tmp_path / "s" / "train.npz")


def small(**changes: object) -> Dataset:
    """Make six utterances, two a split: steps of several lengths, one without sound, one never seen."""

    def steps(*rows: list[float], mask: list[bool] | None = None) -> Features:
        visible = np.ones(len(rows), np.bool_) if mask is None else np.array(mask)
        return Features(np.array(rows, np.float32).reshape(-1, 2), np.zeros(len(rows), np.float32), visible)

    text = [steps([1, 2], [3, 4]), steps([5, 6]), steps([7, 8], [9, 9], mask=[True, False]), *[steps([0, 1])] * 3]
    audio = [steps([1, 1]), steps(), steps([2, 2], mask=[False]), *[steps([3, 3])] * 3]
    known = Provenance("bert", "tiny", "ab", (1, 2), "none")
    made = {
        "name": "small",
        "format": "made",
        "ids": tuple(f"v{i // 2}$_${i}" for i in range(6)),
        "splits": ("train", "train", "valid", "valid", "test", "test"),
        "labels": {"sentiment": np.float32([-2.5, 1 / 3, 0.5, 1.5, 2.5, -0.5])},
        "features": {"text": sequences(text, 2), "audio": sequences(audio, 2)},
        "videos": tuple(f"v{i // 2}" for i in range(6)),
        "provenance": {"text": known},
        "preset": "embedded",
        "synthetic": True,
    }
    return Dataset(**{**made, **changes})


def test_what_is_written_holds_the_guides_classes_and_averages(tmp_path: Path):
    lost = write_npz(small(), tmp_path / "w")
    with np.load(tmp_path / "w" / "train.npz", allow_pickle=False) as train, np.load(tmp_path / "w" / "val.npz") as val:
        assert train["labels"].dtype.kind == "i"
        assert train["labels"].tolist() == [round(-2.5) + 3, round(1 / 3) + 3] == [1, 3]
        assert val["labels"].tolist() == [round(0.5) + 3, round(1.5) + 3] == [3, 5]
        assert train["text_features"].tolist() == [[2, 3], [5, 6]]
        assert val["text_features"].tolist() == [[7, 8], [0, 1]]  # the masked step does not count
        assert train["audio_features"][0].tolist() == [1, 1]
        assert np.isnan(train["audio_features"][1]).all()
    assert lost == (
        "text: of the steps of an utterance only the average is kept",
        "audio: times are not kept",
    )


def test_what_is_written_comes_back_with_ids_videos_exact_sentiment_and_provenance(tmp_path: Path):
    before = small()
    write_npz(before, tmp_path / "w")
    after = read(tmp_path / "w")
    for name in ("ids", "splits", "videos", "scale", "provenance", "preset", "synthetic"):
        assert getattr(after, name) == getattr(before, name), name
    assert np.array_equal(after.sentiment, before.sentiment)
    assert after.features["audio"].lengths.tolist() == [1, 0, 0, 1, 1, 1]
    write_npz(after, tmp_path / "again")
    for file in ("train.npz", "val.npz", "test.npz"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "w" / file).read_bytes()


def test_sentiment_of_sims_is_stretched_to_the_seven_classes_and_kept_as_it_was(tmp_path: Path):
    labels = {"sentiment": np.float32([-1, -0.4, 0, 0.2, 0.6, 1])}
    write_npz(small(labels=labels, scale=(-1.0, 1.0)), tmp_path / "w")
    with np.load(tmp_path / "w" / "test.npz") as test:
        assert test["labels"].tolist() == [5, 6]
    after = read(tmp_path / "w")
    assert (after.scale, after.sentiment.tolist()) == ((-1.0, 1.0), labels["sentiment"].tolist())


def test_utterances_without_sentiment_or_split_are_left_out_and_counted(tmp_path: Path):
    labels = {"sentiment": np.float32([np.nan, 1, 1, 1, 1, 1]), "anger": np.zeros(6, np.float32)}
    splits = ("train", "train", "valid", "", "test", "test")
    lost = write_npz(small(labels=labels, splits=splits, texts=("hm",) * 6), tmp_path / "w")
    assert read(tmp_path / "w").ids == ("v0$_$1", "v1$_$2", "v2$_$4", "v2$_$5")
    assert lost[0] == "2 utterances without sentiment or split are left out"
    assert lost[-2:] == ("texts are not kept", "of the labels only sentiment is kept, not anger")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"splits": ("train",) * 6}, r"no labelled utterance in valid, and val\.npz"),
        (
            {"labels": {"sentiment": np.float32([0, 0, 0, 4, 0, 0])}},
            r"1 labels are outside \[-3, 3\], first of v1\$_\$3",
        ),
        ({"features": {}}, "no features"),
    ],
)
def test_what_the_guides_folder_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, object], words: str
):
    with pytest.raises(DataError, match=words):
        write_npz(small(**changes), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_labels_that_are_not_the_classes_of_the_sentiment_beside_them_are_refused(tmp_path: Path):
    sentiment = np.array([-3, -2, -1, 0, 1, 2.6])
    with pytest.raises(DataError, match=r"val\.npz: labels are not the classes of sentiment"):
        read(write(tmp_path, sentiment=sentiment))
    assert read(write(tmp_path, sentiment=sentiment - [0, 0, 0, 0, 0, 0.2])).split("valid").sentiment[
        5
    ] == pytest.approx(2.4)


def test_ids_of_bytes_are_read_as_text(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "val", "test"):
        ids = np.array([f"{split}$_${i}".encode() for i in range(6)])
        np.savez(folder / f"{split}.npz", **arrays(ids=ids))
    assert read(folder).ids[:2] == ("train$_$0", "train$_$1")


def test_what_is_not_of_the_format_is_passed_over_whatever_it_holds(tmp_path: Path):
    plain, more = (
        write(tmp_path / "plain"),
        write(tmp_path / "more", raw_text=np.array(["well", None] * 3, dtype=object)),
    )
    assert np.array_equal(read(more).sentiment, read(plain).sentiment)


def test_ids_that_two_files_share_are_not_taken(tmp_path: Path):
    write(tmp_path, ids=np.arange(6))
    assert read(tmp_path).ids[:2] == ("train/0", "train/1")


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
        ({"audio_features": np.array([[1], [1, 2], 3, 4, 5, 6], dtype=object)}, "audio_features holds Python"),
        ({"ids": np.array(["a", "b", "c", "d", "e", None], dtype=object)}, "ids holds Python objects; save a plain"),
    ],
)
def test_a_wrong_array_is_refused_in_words_that_name_it(tmp_path: Path, changes: dict[str, object], words: str):
    with pytest.raises(DataError, match=words) as caught:
        read(write(tmp_path, **changes))
    assert "val.npz" in str(caught.value)


def test_a_missing_folder_and_a_missing_file_name_the_command_that_shows_one(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere is not a folder.*trisent data sample"):
        read(tmp_path / "nowhere")
    (write(tmp_path) / "test.npz").unlink()
    with pytest.raises(DataError, match=r"has no test\.npz \(found: train\.npz, val\.npz\).*trisent data sample"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_what_is_not_an_npz_is_refused(tmp_path: Path, content: bytes):
    (write(tmp_path) / "train.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.npz cannot be read as \.npz"):
        read(tmp_path)


def test_a_torn_npz_and_a_bare_array_are_refused(tmp_path: Path):
    path = write(tmp_path) / "train.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train\.npz cannot be read"):
        read(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        read(tmp_path)


def test_features_json_tells_provenance_preset_and_synthetic(tmp_path: Path):
    bert = {"extractor": "bert", "weights": "tiny", "digest": "ab", "layers": [1, 2], "preprocessing": "none"}
    facts = {"synthetic": True, "preset": "embedded", "extractors": {"text": bert}}
    (write(tmp_path) / "features.json").write_text(json.dumps(facts), encoding="utf-8")
    data = read(tmp_path)
    assert (data.synthetic, data.preset) == (True, "embedded")
    assert data.provenance["text"].layers == (1, 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"extractors": {"text": {}}}', '{"extractors": {"smell": {}}}'])
def test_a_broken_features_json_is_refused(tmp_path: Path, text: str):
    (write(tmp_path) / "features.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"features\.json cannot be read.*optional"):
        read(tmp_path)


def test_the_sample_is_synthetic_says_so_and_can_be_read(tmp_path: Path):
    write_sample(tmp_path / "s", rows=(40, 10, 12))
    data = read(tmp_path / "s")
    assert data.dims == GUIDE_DIMS
    assert (*(len(data.index(s)) for s in ("train", "valid", "test")), data.synthetic) == (40, 10, 12, True)
    assert "SYNTHETIC" in (tmp_path / "s" / "README.txt").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_writes_the_same_sample(tmp_path: Path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_sample(tmp_path / name, seed=seed, rows=(8, 2, 2))
    a, b, c = (read(tmp_path / name).features["text"].values for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_sample_overwrites_nothing(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="not an empty folder"):
        write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_preset_is_taken_from_the_request_but_not_against_the_data(tmp_path: Path):
    (write(tmp_path) / "features.json").write_text('{"preset": "embedded"}', encoding="utf-8")
    data = read(tmp_path)
    assert settle_preset(data, None) == "embedded"
    with pytest.raises(UsageError, match="contradicts"):
        settle_preset(data, "pretrained")
    with pytest.raises(UsageError, match="no preset is called 'best'; there are: embedded, pretrained"):
        settle_preset(data, "best")


def test_an_array_that_claims_more_than_any_memory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    header = io.BytesIO()
    claimed = {"descr": "<f4", "fortran_order": False, "shape": (10**8, 10**8)}
    np.lib.format.write_array_header_1_0(header, claimed)
    with zipfile.ZipFile(tmp_path / "train.npz", "w") as archive:
        archive.writestr("text_features.npy", header.getvalue())
    for name in ("val", "test"):
        np.savez(tmp_path / f"{name}.npz", labels=np.zeros(1))
    with pytest.raises(DataError, match=r"train\.npz cannot be read as \.npz: .*allocate"):
        read(tmp_path)
