"""Parts and shards as bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trisent.errors import DataError
from trisent.features.part import DTYPES, Dtype, Failure, Part, check_storable, pack, unpack
from trisent.features.shards import MappedShard, write_shard
from trisent.features.store import Entry, FeatureStore, Track, write_store
from trisent.types import MODALITIES, Features, Modality, Provenance, Utterance
from unit.features.small_store import FAILURES, features, same, small_features

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["一 二", " ", "a/b", 'q", "path": "\\', "\n\u2028"]
)


@st.composite
def some_features(draw: st.DrawFn, dim: int) -> Features:
    steps = draw(st.integers(0, 5))
    values = draw(hnp.arrays(np.float32, (steps, dim), elements=st.floats(-65504, 65504, width=32)))
    times = draw(hnp.arrays(np.float32, steps, elements=st.floats(width=32, allow_infinity=False, allow_nan=True)))
    mask = draw(hnp.arrays(np.bool_, steps) | st.just(np.zeros(steps, np.bool_)))
    return Features(values, times, mask)


@st.composite
def tracks(draw: st.DrawFn) -> dict[str, Features]:
    dim = draw(st.integers(1, 7))
    return draw(st.dictionaries(ids, some_features(dim), min_size=1, max_size=6))


def as_stored(one: Features, dtype: Dtype) -> Features:
    return Features(one.values.astype(DTYPES[dtype]).astype(np.float32), one.times, one.mask)


failures = st.builds(Failure, ids, ids, st.none() | st.sampled_from(MODALITIES), st.text(max_size=20))


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(MODALITIES), tracks()),
    st.lists(failures, max_size=3),
    st.sampled_from(["fp16", "fp32"]),
)
def test_a_part_comes_back_from_its_bytes(held: Any, failed: list[Failure], dtype: Any) -> None:
    back = unpack(pack(Part(held, tuple(failed)), dtype=dtype))
    assert back.failures == tuple(failed)
    assert {m: list(of) for m, of in back.features.items()} == {m: list(held[m]) for m in MODALITIES if m in held}
    for m, of in held.items():
        assert all(same(back.features[m][i], as_stored(one, dtype)) for i, one in of.items())
    assert pack(back, dtype=dtype) == pack(Part(held, tuple(failed)), dtype=dtype)


@settings(deadline=None, max_examples=40)
@given(held=tracks(), cut=st.integers(1, 6), order=st.randoms(use_true_random=False))
def test_a_store_of_random_content_comes_back(tmp_path_factory: Any, held: Any, cut: int, order: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("store")
    shuffled = list(held)
    order.shuffle(shuffled)
    shards = tuple(
        write_shard(folder, k, modality="video", key="k", ids=some, features=[held[i] for i in some])
        for k, some in enumerate(shuffled[first : first + cut] for first in range(0, len(shuffled), cut))
    )
    dim = next(iter(held.values())).values.shape[1]
    track = Track("k", Provenance("resnet", "w", "d", (-1,), ""), dim, "fp16", {}, shards)
    write_store(folder, tracks={"video": track}, entries=[Entry(Utterance(i, 0.0, 1.0), i) for i in held])
    store = FeatureStore(folder)
    assert store.ids == tuple(held)
    assert all(same(store.features(i, "video"), as_stored(held[key], "fp16")) for i, key in enumerate(held))
    rows, present = store.pooled("video")
    for i, key in enumerate(held):
        expected = as_stored(held[key], "fp16").pooled()
        assert present[i] == (expected is not None)
        assert np.array_equal(rows[i], np.zeros(dim) if expected is None else expected)


def test_packing_the_same_part_in_other_processes_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from unit.features.small_store import FAILURES, small_features;"
        "from trisent.features.part import Part, pack;"
        "print(hashlib.sha256(pack(Part(small_features(), FAILURES))).hexdigest())"
    )
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root / "tests")])
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3", "4")
    }  # fmt: skip
    assert len(digests) == 1


def test_the_bytes_do_not_tell_one_nan_from_another() -> None:
    def with_times(bits: int) -> Part:
        times = np.array([bits], np.uint32).view(np.float32)
        return Part({"text": {"a": Features(np.ones((1, 2), np.float32), times, np.ones(1, np.bool_))}})

    assert pack(with_times(0x7FC00000)) == pack(with_times(0xFFC00001))


def test_safetensors_itself_reads_a_shard(tmp_path: Path) -> None:
    held = small_features()["text"]
    shard = write_shard(tmp_path, 3, modality="text", key="k", ids=list(held), features=held.values())
    assert shard.file == f"text/00003-{shard.sha256[:12]}.safetensors"
    assert shard.utterances == 5
    arrays = safetensors.numpy.load_file(tmp_path / shard.file)
    assert set(arrays) == {"values", "offsets", "times", "mask"}
    assert arrays["offsets"].tolist() == [0, 3, 4, 4, 8, 10]
    assert np.array_equal(arrays["values"], np.concatenate([one.values for one in held.values()]).astype(np.float16))


def test_a_shard_made_of_unpacked_parts_equals_one_made_at_once(tmp_path: Path) -> None:
    held = small_features()["text"]
    halves = [dict(list(held.items())[:2]), dict(list(held.items())[2:])]
    back = {i: one for half in halves for i, one in unpack(pack(Part({"text": half}))).features["text"].items()}
    facts: dict[str, Any] = {"modality": "text", "key": "k", "ids": list(held)}
    at_once = write_shard(tmp_path / "a", 0, features=held.values(), **facts)
    assert write_shard(tmp_path / "b", 0, features=back.values(), **facts) == at_once


def test_a_shard_can_be_written_where_reading_is_not_limited_to_its_owner(tmp_path: Path) -> None:
    held = small_features()["text"]
    shard = write_shard(tmp_path, 0, modality="text", key="k", ids=list(held), features=held.values())
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / shard.file).stat().st_mode == (tmp_path / "plain").stat().st_mode


def changed(**what: Any) -> Features:
    one = features(3)
    return Features(**{"values": one.values, "times": one.times, "mask": one.mask, **what})


def with_value(value: float) -> Features:
    values = features(3).values.copy()
    values[2, 1] = value
    return changed(values=values, mask=np.zeros(3, np.bool_))  # masked steps are stored as well


UNSTORABLE = {
    "NaN": (with_value(np.nan), "1 of 18 values are NaN or inf"),
    "infinity": (with_value(-np.inf), "1 of 18 values are NaN or inf"),
    "beyond fp16": (with_value(-65520), "they reach 65520, fp16 holds at most 65504"),
    "just beyond fp16": (with_value(np.nextafter(np.float32(65504), np.float32(np.inf))), "fp16 holds at most 65504"),
    "infinite times": (changed(times=np.array([0, np.inf, 1], np.float32)), "times are infinite"),
    "too few times": (changed(times=np.zeros(2, np.float32)), "3 steps have times [2]"),
    "mask of numbers": (changed(mask=np.ones(3, np.float32)), "a mask of float32"),
    "a single row": (changed(values=np.zeros(3, np.float32)), "float32 [3]"),
    "whole numbers": (changed(values=np.zeros((3, 6), np.int64)), "int64 [3, 6]"),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_features_that_would_change_in_the_store_are_refused_by_name(tmp_path: Path, case: str) -> None:
    one, reason = UNSTORABLE[case]
    facts: dict[str, Any] = {"modality": "audio", "key": "k", "ids": ["good", "clip 7"]}
    for store in (
        lambda: check_storable(one, "fp16", utterance="clip 7", modality="audio"),
        lambda: pack(Part({"audio": {"good": features(2), "clip 7": one}})),
        lambda: write_shard(tmp_path, 0, features=[features(2), one], **facts),
    ):
        with pytest.raises(DataError) as caught:
            store()
        assert "the audio features of clip 7 cannot be stored" in str(caught.value)
        assert reason in str(caught.value)
    assert not list(tmp_path.rglob("*.*"))


def test_what_fp16_cannot_hold_fp32_can() -> None:
    one = with_value(-65520)
    back = unpack(pack(Part({"audio": {"a": one}}), dtype="fp32")).features["audio"]["a"]
    assert same(back, one)


def test_the_largest_number_of_fp16_is_stored_as_it_is() -> None:
    back = unpack(pack(Part({"audio": {"a": with_value(65504)}}))).features["audio"]["a"]
    assert back.values[2, 1] == 65504


def test_features_of_another_width_are_refused(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"modality": "text", "key": "k", "ids": ["a", "b"]}
    with pytest.raises(DataError, match="features of b cannot be stored: they have width 5, those before them 6"):
        write_shard(tmp_path, 0, features=[features(1, 6), features(1, 5)], **facts)


def test_an_utterance_may_not_come_twice_in_a_shard(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"modality": "text", "key": "k", "ids": ["a", "b", "a"]}
    with pytest.raises(DataError, match="a comes twice"):
        write_shard(tmp_path, 0, features=[features(1)] * 3, **facts)


def test_a_part_that_was_cut_off_or_is_something_else_is_refused() -> None:
    content = pack(Part(small_features(), FAILURES))
    foreign = safetensors.numpy.save({"values": np.zeros(3)}, metadata={"format": "pt"})
    cuts = [content[:length] for length in range(0, len(content), 37)]
    for bad in [*cuts, content + b"\0", foreign, b"PK\3\4" * 50, safetensors.numpy.save({"values": np.zeros(3)})]:
        with pytest.raises(DataError, match=r"PART is damaged.*run the same trisent extract command again"):
            unpack(bad, where="PART")


def test_a_part_whose_offsets_lead_outside_is_refused() -> None:
    good = Part({"text": {"a": features(2), "b": features(3)}})
    arrays = safetensors.numpy.load(pack(good))
    content = pack(good)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    for offsets in ([0, 2, 6], [0, 6, 5], [1, 2, 5], [0, 5]):
        wrong = arrays | {"text.offsets": np.array(offsets)}
        with pytest.raises(DataError, match="offsets"):
            unpack(safetensors.numpy.save(wrong, metadata=header["__metadata__"]))


def test_a_shard_is_not_taken_for_another_tracks(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 0, modality="text", key="k1", ids=["a"], features=[features(2)])
    facts: dict[str, Any] = {"modality": "text", "key": "k1", "dtype": "fp16", "dim": 6}
    MappedShard(tmp_path / shard.file, **facts)
    modality: Modality = "audio"
    for other in ({"key": "k2"}, {"modality": modality}, {"dtype": "fp32"}, {"dim": 7}):
        with pytest.raises(DataError, match=r"store\.json says"):
            MappedShard(tmp_path / shard.file, **{**facts, **other})
