"""The feature store as a data set, and a data set as a feature store."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import Dataset, Sequences, sequences
from trisent.data.formats import store
from trisent.errors import DataError
from trisent.features.store import Entry, FeatureStore, write_store
from trisent.types import Features, Provenance, Utterance
from unit.features import small_store


def test_a_store_of_several_shards_comes_as_one_array_a_modality_in_the_order_of_the_utterances(tmp_path: Path):
    held = small_store.write_small_store(tmp_path)
    data = store.read(tmp_path)
    ids = [entry.utterance.id for entry in small_store.ENTRIES]
    assert data.ids == tuple(ids)
    for modality, features in held.items():
        assert data.features[modality].values.dtype == np.float16
        for i, id in enumerate(ids):
            if id in features:
                assert small_store.same(data.features[modality].of(i), features[id])
    assert data.features["audio"].lengths.tolist() == [5, 5, 5, 5, 0]


def test_what_a_store_knows_of_utterances_comes_along(tmp_path: Path):
    small_store.write_small_store(tmp_path)
    data = store.read(tmp_path)
    assert data.splits == ("train", "", "test", "valid", "train")
    assert np.array_equal(data.sentiment, np.float32([2, np.nan, -0.6, 0, 3]), equal_nan=True)
    assert data.texts[1] == "line one\nline two\u2028three"
    assert data.videos == ("视频 一", "v", "v", "v", "v")
    assert data.spans[1:3].tolist() == [[1.5, pytest.approx(math.nan, nan_ok=True)], [3.0, 4.0]]
    assert data.provenance == dict.fromkeys(("text", "audio"), small_store.PROVENANCE)
    assert data.preset is None
    assert data.notes == ("the times of words stay in the store",)


def test_a_store_that_is_larger_than_the_memory_allows_is_mapped_with_the_same_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    small_store.write_small_store(tmp_path, dtype="fp32")
    in_memory = store.read(tmp_path)
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 0)
    mapped = store.read(tmp_path)
    assert isinstance(mapped.features["text"].values, np.memmap)
    assert not isinstance(in_memory.features["text"].values, np.memmap)
    for m in ("text", "audio"):
        assert np.array_equal(mapped.features[m].values, in_memory.features[m].values)


def test_a_full_disk_is_told_with_the_folder_it_is_full_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Full:
        def write(self, content: bytes) -> int:
            raise OSError(28, "No space left on device", str(len(content)))

    small_store.write_small_store(tmp_path)
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with pytest.raises(DataError, match=r"text features do not fit into .*No space.*TMPDIR"):
        store.read(tmp_path)


@pytest.mark.parametrize(
    ("weights", "layers", "preset"),
    [("minilm-l6", (3, 6), "embedded"), ("minilm-l6", (6,), None), ("bert-base-uncased", (-1,), "pretrained")],
)
def test_the_preset_is_told_by_extractor_weights_and_layers(
    tmp_path: Path, weights: str, layers: tuple[int, ...], preset: str | None
):
    held = small_store.small_features()["text"]
    track = replace(
        small_store.write_track(tmp_path, "text", held),
        provenance=Provenance("bert", weights, "d" * 64, layers, "WordPiece"),
    )
    write_store(tmp_path, tracks={"text": track}, entries=small_store.ENTRIES)
    assert store.read(tmp_path).preset == preset


def test_the_times_of_a_clip_that_is_a_file_of_its_own_are_not_taken_for_times_in_the_video(tmp_path: Path):
    entries = [Entry(Utterance(f"v$_${k}", 0.0, 2.0 + k), f"Raw/v/{k}.mp4") for k in range(2)]
    entries.append(Entry(Utterance("own", 1.0, 2.0), "talk.mp4"))
    write_store(tmp_path, tracks={}, entries=entries)
    data = store.read(tmp_path)
    assert data.videos == ("v", "v", "talk.mp4")
    assert np.isnan(data.spans[:2]).all()
    assert data.spans[2].tolist() == [1.0, 2.0]


def made(**changes: object) -> Dataset:
    rng = np.random.default_rng(0)
    n = 600
    steps = [int(k) for k in rng.integers(0, 4, n)]
    values = [rng.standard_normal((k, 3)).astype(np.float32) for k in steps]
    features = {
        "text": sequences([Features(v, np.full(len(v), 0.5, np.float32), np.ones(len(v), bool)) for v in values], 3)
    }
    parts = {
        "name": "made",
        "format": "mmsa",
        "ids": tuple(f"v{i // 3}$_${i}" for i in range(n)),
        "splits": ("train", "valid", "test") * (n // 3),
        "labels": {"sentiment": rng.uniform(-3, 3, n).astype(np.float32)},
        "features": features,
        "texts": tuple(f"text {i}\n" for i in range(n)),
        "videos": tuple(f"v{i // 3}" for i in range(n)),
        "spans": np.stack([np.arange(n), np.arange(n) + 1], axis=1).astype(np.float32),
    }
    return Dataset(**{**parts, **changes})


def test_what_is_written_is_a_store_and_comes_back_whole(tmp_path: Path):
    before = made()
    assert store.write(before, tmp_path / "s") == ()
    FeatureStore(tmp_path / "s").verify()
    after = store.read(tmp_path / "s")
    for name in ("ids", "splits", "texts", "videos", "scale", "provenance", "preset"):
        assert getattr(after, name) == getattr(before, name), name
    for name in ("values", "offsets", "times", "mask"):
        assert np.array_equal(getattr(after.features["text"], name), getattr(before.features["text"], name)), name
    assert after.features["text"].values.dtype == np.float32
    assert np.array_equal(after.sentiment, before.sentiment)
    assert np.array_equal(after.spans, before.spans)
    assert len(list((tmp_path / "s" / "text").iterdir())) > 1


def test_values_that_half_precision_holds_are_written_in_half_precision(tmp_path: Path):
    before = made()
    s = before.features["text"]
    halves = Sequences(s.values.astype(np.float16).astype(np.float32), s.offsets, s.times, s.mask)
    store.write(made(features={"text": halves}), tmp_path / "s")
    after = store.read(tmp_path / "s").features["text"]
    assert after.values.dtype == np.float16
    assert np.array_equal(after.values.astype(np.float32), halves.values)


def test_a_masked_step_that_is_no_number_is_written_as_zero_and_a_visible_one_is_refused(tmp_path: Path):
    s = made().features["text"]
    s.values[4], s.mask[4] = np.nan, False
    store.write(made(features={"text": s}), tmp_path / "s")
    after = store.read(tmp_path / "s").features["text"]
    assert after.values[4].tolist() == [0, 0, 0]
    assert not after.mask[4]
    s.mask[4] = True
    with pytest.raises(DataError, match=r"cannot be stored: 3 of \d+ values are NaN"):
        store.write(made(features={"text": s}), tmp_path / "t")
    assert not store.recognises(tmp_path / "t")


def test_what_a_store_cannot_keep_is_said(tmp_path: Path):
    n = 600
    labels = {"sentiment": np.zeros(n, np.float32), "audio": np.zeros(n, np.float32)}
    lost = store.write(made(labels=labels, scale=(-1.0, 1.0), synthetic=True), tmp_path / "s")
    assert lost == (
        "of the labels only sentiment is kept, not audio",
        "that sentiment goes from -1 to 1 is not kept",
        "that the data are synthetic is not kept",
    )


def test_utterances_without_times_labels_and_videos_come_back_without(tmp_path: Path):
    n = 600
    nothing = {"videos": (), "spans": np.zeros((0, 2), np.float32), "ids": tuple(f"a.{i}" for i in range(n))}
    store.write(made(**nothing, labels={"sentiment": np.full(n, np.nan, np.float32)}), tmp_path / "s")
    after = store.read(tmp_path / "s")
    assert set(after.videos) == {""}
    assert np.isnan(after.spans).all()
    assert np.isnan(after.sentiment).all()


def test_a_label_that_is_infinite_becomes_unknown_and_that_is_said(tmp_path: Path):
    data = made()
    labels = np.where(np.arange(len(data)) == 0, np.float32(np.inf), data.sentiment)
    lost = store.write(replace(data, labels={"sentiment": labels}), tmp_path / "s")
    assert "1 labels that are infinite are unknown from now on" in lost
    assert np.isnan(store.read(tmp_path / "s").sentiment[0])


def test_times_come_back_where_no_video_is_known(tmp_path: Path):
    data = made()
    n = len(data)
    ids, spans = tuple(f"u{i}" for i in range(n)), np.stack([np.arange(n), np.arange(n) + 1.5], 1).astype(np.float32)
    store.write(replace(data, ids=ids, videos=("",) * n, spans=spans), tmp_path / "s")
    back = store.read(tmp_path / "s")
    assert back.videos == ("",) * n
    np.testing.assert_array_equal(back.spans, spans)


def test_a_store_that_is_written_again_while_it_is_read_comes_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = made()

    class Overtaken(FeatureStore):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            store.write(replace(data, name="another", features={}), folder)

    store.write(data, tmp_path / "s")
    expected = store.read(tmp_path / "s")
    monkeypatch.setattr(store, "FeatureStore", Overtaken)
    read = store.read(tmp_path / "s")
    assert read.ids == expected.ids
    for m in read.features:
        np.testing.assert_array_equal(read.features[m].values, expected.features[m].values)


def test_what_is_no_store_is_not_recognised(tmp_path: Path):
    assert not store.recognises(tmp_path)
    assert not store.recognises(tmp_path / "nowhere")
    store.write(made(), tmp_path / "s")
    assert store.recognises(tmp_path / "s")
