"""The feature store, written again, written by halves, and damaged."""

import json
import multiprocessing
import os
import random
import re
import shutil
import time
from pathlib import Path

import pytest

from trisent.errors import DataError
from trisent.features import index as store_index
from trisent.features.index import finish_writing
from trisent.features.store import Entry, FeatureStore, damaged_files, read_index, write_store
from trisent.types import Utterance, Word
from unit.features.small_store import ENTRIES, FAILURES, features, small_features, write_small_store, write_track


def test_writing_the_same_store_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_small_store(tmp_path / name)
    contents = [
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a", "b")
    ]
    assert contents[0] == contents[1]
    assert FeatureStore(tmp_path / "a").digest() == FeatureStore(tmp_path / "b").digest()


def test_the_digest_tells_features_and_utterances_apart_but_not_ledgers(tmp_path: Path) -> None:
    held = small_features()["text"]
    track = write_track(tmp_path, "text", held)
    write_store(tmp_path, tracks={"text": track}, entries=ENTRIES)
    first = FeatureStore(tmp_path).digest()
    write_small_store(tmp_path)
    other_tracks = FeatureStore(tmp_path).digest()
    write_store(tmp_path, tracks={"text": write_track(tmp_path, "text", held)}, entries=ENTRIES[::-1])
    other_order = FeatureStore(tmp_path).digest()
    failed = [store_index.Failure("x", "x.mp4", None, "why")]
    write_store(tmp_path, tracks={"text": write_track(tmp_path, "text", held)}, entries=ENTRIES, failures=failed)
    assert FeatureStore(tmp_path).digest() == first
    assert len({first, other_tracks, other_order}) == 3


def test_replacing_a_store_leaves_no_shard_behind_and_other_files_alone(tmp_path: Path) -> None:
    write_small_store(tmp_path, key="k1")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "job.safetensors").write_bytes(b"work in progress")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_small_store(tmp_path, key="k2")
    named = {shard.file for track in read_index(tmp_path).tracks.values() for shard in track.shards}
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    lines = {"store.json", "utterances.jsonl", "words.jsonl", "failures.jsonl"}
    assert there == named | lines | {"parts/job.safetensors", "notes.txt"}


def test_a_reader_keeps_its_view_while_the_store_is_replaced(tmp_path: Path) -> None:
    held = write_small_store(tmp_path)
    store = FeatureStore(tmp_path)
    entry = Entry(Utterance("new", 0.0, 1.0, "so", (Word(0.0, 0.5, "so"),)), "new.mp4")
    track = write_track(
        tmp_path, "text", {"new": features(2)} | {i: features(1, seed=5) for i in held["text"]}, key="k2"
    )
    write_store(tmp_path, tracks={"text": track}, entries=[entry, *ENTRIES])
    values = store.features(0, "text")
    assert values is not None
    assert (values.values == held["text"][store.ids[0]].values).all()
    assert len(store) == 5
    assert len(FeatureStore(tmp_path)) == 6
    with pytest.raises(DataError, match=r"words\.jsonl is damaged.*not the file that store\.json names"):
        store.words(0)


def _die_writing(folder: Path, renames: int) -> None:
    """Write another store, but end like after kill -9 when `renames` of its files have their places."""
    replace, left = Path.replace, [renames]

    def die(self: Path, target: Path) -> Path:
        if target.suffix in {".json", ".jsonl"}:
            if not left[0]:
                os._exit(9)
            left[0] -= 1
        return replace(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", die)
        track = write_track(folder, "text", small_features()["text"], key="k2")
        write_store(folder, tracks={"text": track}, entries=ENTRIES[1:], failures=FAILURES[:1])


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_a_writer_that_is_killed_between_renames_leaves_a_store_or_a_clear_error_and_its_work_is_completed(
    tmp_path: Path, renames: int
) -> None:
    write_small_store(tmp_path, key="k1")
    before = FeatureStore(tmp_path).digest()
    writer = multiprocessing.get_context("spawn").Process(target=_die_writing, args=(tmp_path, renames))
    writer.start()
    writer.join(timeout=60)
    assert writer.exitcode == 9
    if renames == 3:  # words, failures, utterances: the last of them is what a reader looks at
        with pytest.raises(DataError, match="run the same trisent extract command again"):
            FeatureStore(tmp_path)
    else:
        assert FeatureStore(tmp_path).digest() == before
    finish_writing(tmp_path)
    store = FeatureStore(tmp_path)
    store.verify()
    assert (len(store), list(store.dims), len(store.failures())) == (4, ["text"], 1)
    assert not list(tmp_path.glob("*.part"))
    finish_writing(tmp_path)
    assert FeatureStore(tmp_path).digest() == store.digest()


@pytest.mark.parametrize("cut", ["store.json", "utterances.jsonl", "failures.jsonl"])
def test_a_writer_that_was_killed_before_all_was_on_the_disk_has_changed_nothing(tmp_path: Path, cut: str) -> None:
    write_small_store(tmp_path, key="k1")
    before = FeatureStore(tmp_path).digest()
    writer = multiprocessing.get_context("spawn").Process(target=_die_writing, args=(tmp_path, 0))
    writer.start()
    writer.join(timeout=60)
    part = tmp_path / f"{cut}.part"
    part.write_bytes(part.read_bytes()[:-9])
    finish_writing(tmp_path)
    FeatureStore(tmp_path).verify()
    assert FeatureStore(tmp_path).digest() == before


def _write_again_and_again(folder: Path, times: int) -> None:
    for k in range(times):
        held = {entry.utterance.id: features(1 + k % 3, seed=k) for entry in ENTRIES[: 3 + k % 3]}
        entries = [Entry(Utterance(i, float(k), k + 1.0), "v.mp4") for i in held]
        write_store(folder, tracks={"text": write_track(folder, "text", held, key=f"k{k}")}, entries=entries)


def test_readers_meet_one_store_or_the_next_while_it_is_replaced_without_pause(tmp_path: Path) -> None:
    _write_again_and_again(tmp_path, 1)
    writer = multiprocessing.get_context("spawn").Process(target=_write_again_and_again, args=(tmp_path, 150))
    writer.start()
    seen = set()
    deadline = time.monotonic() + 120
    try:
        while writer.is_alive():
            assert time.monotonic() < deadline, "the writer neither ends nor goes on"
            store = FeatureStore(tmp_path)
            k = int(store.utterance(0).start)
            assert len(store) == 3 + k % 3
            for i in range(len(store)):
                expected, got = features(1 + k % 3, seed=k), store.features(i, "text")
                assert got is not None
                assert (got.values == expected.values).all()
            seen.add(k)
    finally:
        writer.join(timeout=60)
    assert writer.exitcode == 0
    assert len(seen) > 1


def test_an_utterance_may_not_come_twice_in_a_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"utterance v\$_\$1 comes twice"):
        write_store(tmp_path, tracks={}, entries=[ENTRIES[1], ENTRIES[1]])


def test_an_utterance_in_two_shards_of_a_track_is_refused(tmp_path: Path) -> None:
    held = small_features()["text"]
    track = write_track(tmp_path, "text", held)
    twice = write_track(tmp_path, "text", dict(list(held.items())[1:]))
    both = store_index.Track("k1", track.provenance, 6, "fp16", {}, track.shards + twice.shards)
    write_store(tmp_path, tracks={"text": both}, entries=ENTRIES)
    with pytest.raises(DataError, match="come twice"):
        FeatureStore(tmp_path)


def test_utterances_of_a_shard_that_the_store_does_not_list_are_passed_over(tmp_path: Path) -> None:
    held = small_features()["text"]
    write_store(tmp_path, tracks={"text": write_track(tmp_path, "text", held)}, entries=ENTRIES[1:3])
    store = FeatureStore(tmp_path)
    assert store.ids == tuple(entry.utterance.id for entry in ENTRIES[1:3])
    assert store.features(0, "text").values.shape == (1, 6)  # type: ignore[union-attr]
    assert store.pooled("text")[1].tolist() == [held[store.ids[0]].mask.any(), False]


def test_a_store_with_nothing_in_it_is_a_store(tmp_path: Path) -> None:
    write_store(tmp_path, tracks={}, entries=[])
    store = FeatureStore(tmp_path)
    assert (len(store), store.dims, store.failures(), store.labels.tolist()) == (0, {}, [], [])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_whose_name_is_no_text_comes_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    write_store(tmp_path, tracks={}, entries=[Entry(Utterance(name, 0.0, 1.0), name)])
    store = FeatureStore(tmp_path)
    assert (store.ids[0], os.fsencode(store.path(0))) == (name, b"caf\xe9.mp4")


def test_a_folder_that_is_no_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no feature store: it has no store\.json\. To make one: trisent extract"):
        FeatureStore(tmp_path)


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    facts = json.loads((tmp_path / "store.json").read_bytes())
    (tmp_path / "store.json").write_text(json.dumps(facts | {"format": 2}), encoding="utf-8")
    with pytest.raises(DataError, match=r"has format 2, trisent .* reads format 1\. Upgrade"):
        FeatureStore(tmp_path)


def test_verifying_names_the_files_in_which_a_single_bit_changed(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    FeatureStore(tmp_path).verify()
    assert damaged_files(tmp_path) == []
    shard = read_index(tmp_path).tracks["audio"].shards[1].file
    content = bytearray((tmp_path / shard).read_bytes())
    content[-1] ^= 1
    (tmp_path / shard).write_bytes(content)
    (tmp_path / "words.jsonl").unlink()
    assert sorted(damaged_files(tmp_path)) == sorted([shard, "words.jsonl"])
    with pytest.raises(DataError, match=f"words.jsonl, {shard}"):
        FeatureStore(tmp_path).verify()


def test_any_file_of_a_store_that_is_cut_or_scrambled_gives_a_data_error_or_is_found_by_verifying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trisent.features.store._PAUSE_S", 0)
    write_small_store(tmp_path / "good")
    rng = random.Random(7)
    files = sorted(p.relative_to(tmp_path / "good") for p in (tmp_path / "good").rglob("*") if p.is_file())
    named = [name for name in files if name.name != "store.json"]  # nothing holds the digest of store.json itself
    for round_ in range(150):
        bad = tmp_path / str(round_)
        shutil.copytree(tmp_path / "good", bad)
        name = named[round_ % len(named)]
        content = bytearray((bad / name).read_bytes())
        match round_ // len(named) % 3:
            case 0:
                del content[rng.randrange(len(content)) :]
            case 1:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            case _:
                content = bytearray(rng.randbytes(len(content)))
        (bad / name).write_bytes(content)
        assert damaged_files(bad) == [name.as_posix()]
        assert re.search(r"trisent extract|^$", read_everything(bad))
    for round_ in range(150):
        bad = tmp_path / f"json {round_}"
        shutil.copytree(tmp_path / "good", bad)
        content = bytearray((bad / "store.json").read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (bad / "store.json").write_bytes(content)
        assert re.search(r"trisent extract|pip install -U trisent|^$", read_everything(bad))


def read_everything(folder: Path) -> str:
    """Return the message of a DataError, "" when all could be read."""
    try:
        store = FeatureStore(folder)
        for i in range(len(store)):
            _ = store.utterance(i), store.words(i), store.split(i), store.path(i)
            for modality in store.dims:
                _ = store.features(i, modality), store.pooled(modality), store.failures()
    except DataError as error:
        return str(error)
    return ""
