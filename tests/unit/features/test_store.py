"""The feature store, read."""

import json
import math
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisent.errors import DataError
from trisent.features.part import Failure
from trisent.features.store import Entry, FeatureStore, write_store
from trisent.types import Modality, Utterance
from unit.features.small_store import (
    ENTRIES,
    FAILURES,
    PROVENANCE,
    WORD,
    features,
    same,
    write_small_store,
    write_track,
)

IDS = tuple(entry.utterance.id for entry in ENTRIES)


def parse(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """Read a safetensors file by its specification: 8 bytes of length, JSON, data."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    kinds = {"F16": "<f2", "F32": "<f4", "I64": "<i8", "BOOL": "?"}
    arrays = {}
    for name, facts in header.items():
        first, last = (8 + length + offset for offset in facts["data_offsets"])
        arrays[name] = np.frombuffer(content[first:last], kinds[facts["dtype"]]).reshape(facts["shape"])
    return arrays, metadata


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_what_was_written_comes_back(tmp_path: Path, dtype: Any) -> None:
    held = write_small_store(tmp_path, dtype=dtype)
    store = FeatureStore(tmp_path)
    assert store.ids == IDS
    assert len(store) == 5
    for modality in held:
        for i, utterance in enumerate(store.ids):
            assert same(store.features(i, modality), held[modality].get(utterance)), (modality, utterance)


def test_the_reader_gives_what_the_bytes_of_the_shards_say(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    store, seen = FeatureStore(tmp_path), 0
    for path in tmp_path.glob("*/*.safetensors"):
        modality: Modality = path.parent.name  # type: ignore[assignment]
        arrays, metadata = parse(path)
        facts = json.loads(metadata["trisent"])
        assert facts["key"] == "k1"
        assert arrays["values"].dtype == np.float16
        for k, utterance in enumerate(facts["ids"]):
            rows = slice(arrays["offsets"][k], arrays["offsets"][k + 1])
            got = store.features(store.ids.index(utterance), modality)
            assert got is not None
            assert np.array_equal(got.values, arrays["values"][rows].astype(np.float32))
            assert np.array_equal(got.times, arrays["times"][rows], equal_nan=True)
            assert np.array_equal(got.mask, arrays["mask"][rows])
            seen += 1
    assert seen == 5 + 4


def test_features_that_were_changed_by_the_reader_stay_as_they_were_in_the_store(tmp_path: Path) -> None:
    held = write_small_store(tmp_path, dtype="fp32")
    store = FeatureStore(tmp_path)
    got = store.features(0, "text")
    assert got is not None
    got.values[:] = 7
    assert same(store.features(0, "text"), held["text"][IDS[0]])


def test_what_is_known_of_an_utterance_comes_back(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    store = FeatureStore(tmp_path)
    for i, entry in enumerate(ENTRIES):
        assert store.utterance(i) == replace(entry.utterance, words=())
        assert (store.path(i), store.split(i)) == (entry.path, entry.split)
    assert store.utterance(1).end == math.inf
    assert store.words(0) == (WORD,)
    assert store.words(1) == ()
    assert store.provenance == {"text": PROVENANCE, "audio": PROVENANCE}
    assert store.dims == {"text": 6, "audio": 4}


def test_an_unknown_sentiment_is_nan_among_the_labels(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    labels = FeatureStore(tmp_path).labels
    assert labels.dtype == np.float32
    assert np.array_equal(labels, np.array([2.0, np.nan, -0.6, 0.0, 3.0], np.float32), equal_nan=True)


def test_the_ledger_comes_back_with_reasons_of_one_line(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    assert FeatureStore(tmp_path).failures() == [Failure("v$_$4", "v.mp4", "audio", "no audio stream"), FAILURES[1]]


def test_pooled_rows_are_the_means_of_the_visible_steps(tmp_path: Path) -> None:
    held = write_small_store(tmp_path)["text"]
    rows, present = FeatureStore(tmp_path).pooled("text")
    for i, utterance in enumerate(IDS):
        visible = [row for row, seen in zip(held[utterance].values, held[utterance].mask, strict=True) if seen]
        assert present[i] == bool(visible)
        expected = [math.fsum(column) / len(visible) for column in zip(*visible, strict=True)] if visible else 0.0
        assert np.allclose(rows[i], expected, rtol=1e-6, atol=0)
    assert not present[2]  # no steps
    assert not present[3]  # all masked


def test_an_utterance_without_a_modality_is_absent_from_the_pooled_rows(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    rows, present = FeatureStore(tmp_path).pooled("audio")
    assert present.tolist() == [True, True, True, True, False]
    assert (rows[4] == 0).all()


def test_pooling_shards_longer_than_one_read_gives_the_same_rows(tmp_path: Path) -> None:
    held = {f"v{k}": features(steps, seed=k) for k, steps in enumerate((0, 200, 60, 1, 700, 0, 256, 3))}
    entries = [Entry(Utterance(i, 0.0, 1.0), "v.mp4") for i in sorted(held)]
    write_store(tmp_path, tracks={"text": write_track(tmp_path, "text", held)}, entries=entries)
    rows, present = FeatureStore(tmp_path).pooled("text")
    for i, one in enumerate(held.values()):
        assert present[i] == one.mask.any()
        expected = one.values[one.mask].astype(np.float64).mean(axis=0) if one.mask.any() else 0.0
        assert np.allclose(rows[i], expected, rtol=1e-6, atol=1e-8)


def test_layers_are_cut_where_the_encoder_put_them_side_by_side(tmp_path: Path) -> None:
    held = write_small_store(tmp_path)
    store = FeatureStore(tmp_path)
    layers = store.layers(0, "text")  # two layers of three
    assert layers is not None
    assert layers.shape == (3, 2, 3)
    assert np.array_equal(layers[:, 1], held["text"][IDS[0]].values[:, 3:])
    assert store.layers(2, "text").shape == (0, 2, 3)  # type: ignore[union-attr]
    assert store.layers(4, "audio") is None


def test_asking_for_a_modality_that_was_never_extracted_says_how_to_add_it(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    with pytest.raises(DataError, match=r"has no video features, only text, audio.*trisent extract"):
        FeatureStore(tmp_path).features(0, "video")


def _digest_of(store: FeatureStore) -> tuple[str, float]:
    values = store.features(0, "text")
    assert values is not None
    return store.digest(), float(values.values.sum())


def test_a_store_may_be_handed_to_another_process(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    store = FeatureStore(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_digest_of, (store,)) == _digest_of(store)


def test_a_store_that_changed_on_the_way_to_another_process_is_refused(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    handed = pickle.dumps(FeatureStore(tmp_path))
    write_small_store(tmp_path, key="k2")
    with pytest.raises(DataError, match="was replaced"):
        pickle.loads(handed)


def test_reading_a_store_imports_no_torch(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    code = (
        "import sys; from trisent.features.store import FeatureStore; s = FeatureStore(sys.argv[1]);"
        "s.features(0, 'text'), s.pooled('text'), s.verify();"
        "print([m for m in ('torch', 'transformers', 'av', 'h5py') if m in sys.modules])"
    )
    source = str(Path(__file__).parents[3] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.stdout.strip() == "[]"
