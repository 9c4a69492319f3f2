"""From a folder of clips to a feature store: what is in it, and what is done again when something changes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import filelock
import numpy as np
import pytest

import media_files as media
from trisent.data.readers import read
from trisent.errors import DataError, UsageError
from trisent.extractors.text import BERTTextExtractor
from trisent.features import assembly
from trisent.features.extract import Summary, extract
from trisent.features.plan import plan
from trisent.features.store import FeatureStore
from trisent.media.clips import Pictures, read_clips
from trisent.types import MODALITIES
from unit.features.corpus import corpus, read_labels, settings, write_labels


@pytest.fixture
def data(clips: Path, tmp_path: Path) -> Path:
    """Copy the clips, to change them."""
    return Path(shutil.copytree(clips, tmp_path / "data"))


def shards(summary: Summary) -> dict[str, list[str]]:
    """List the shards of each track by name; the name holds a part of the digest."""
    return {m: sorted(p.name for p in (summary.out / m).glob("*.safetensors")) for m in MODALITIES}


def test_every_clip_has_what_the_extractors_give_for_it(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    store = FeatureStore(extract([clips], tmp_path / "out", settings(named, dtype="fp32")).out)
    assert len(store) == 12
    assert store.ids[:4] == ("video 0$_$0000", "video 0$_$0001", "video 0$_$0002", "video 1$_$0000")
    assert store.labels.tolist() == [(k % 7) - 3 for k in range(12)]
    assert store.splits[:3] == ("train", "valid", "test")
    bert = BERTTextExtractor(named["text"].removeprefix("bert:"), device="cpu", precision="fp32")
    for i in (0, 7, 11):
        (expected,) = bert.extract([store.utterance(i).text])
        found = store.features(i, "text")
        assert found is not None
        np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
        (clip,) = read_clips(Path(store.path(i)), [store.utterance(i)], pictures=Pictures())
        assert clip.waveform is not None
        sound, pictures = store.features(i, "audio"), store.features(i, "video")
        assert sound is not None
        assert pictures is not None
        assert len(sound.values) == (len(clip.waveform) - 400) // 320 + 1  # wav2vec 2.0's own arithmetic
        assert len(pictures.values) == int(np.ceil(store.utterance(i).end * 2))
        assert np.isfinite(pictures.values).all()
        assert pictures.mask.all()


def test_the_summary_tells_how_many_utterances_have_nothing_of_a_modality(
    data: Path, named: dict[str, str], tmp_path: Path
) -> None:
    rows = read_labels(data)
    rows[4][2] = " "
    write_labels(data, rows)
    for row in rows[:3]:
        media.write(data / "Raw" / str(row[0]) / f"{row[1]}.mp4", sound=media.tone(1.0))
    summary = extract([data], tmp_path / "out", settings(named))
    assert (summary.failures, dict(summary.unseen)) == ((), {"text": 1, "audio": 0, "video": 3})


def test_two_processes_give_the_same_bytes_as_one(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    one = extract([clips], tmp_path / "one", settings(named))
    two = extract([clips], tmp_path / "two", settings(named, workers=2))
    assert one.digest == two.digest
    assert shards(one) == shards(two)


def test_nothing_is_done_twice(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    first = extract([clips], tmp_path / "out", settings(named))
    again = extract([clips], tmp_path / "out", settings(named))
    assert (first.extracted, again.extracted) == (12, 0)
    assert again.digest == first.digest


def test_added_clips_alone_are_extracted(data: Path, named: dict[str, str], tmp_path: Path) -> None:
    rows = read_labels(data)
    write_labels(data, rows[:7])
    for row in rows[7:]:
        (data / "Raw" / str(row[0]) / f"{row[1]}.mp4").rename(data / f"{row[0]} {row[1]}")
    first = extract([data], tmp_path / "out", settings(named))
    for row in rows[7:]:
        (data / f"{row[0]} {row[1]}").rename(data / "Raw" / str(row[0]) / f"{row[1]}.mp4")
    write_labels(data, rows)
    second = extract([data], tmp_path / "out", settings(named))
    assert (first.extracted, second.extracted, second.utterances) == (7, 5, 12)
    assert all(set(shards(first)[m]) <= set(shards(second)[m]) for m in MODALITIES)
    assert FeatureStore(second.out).ids == tuple(f"{r[0]}$_${r[1]}" for r in rows)


def test_another_frame_rate_touches_the_pictures_alone(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    before = extract([clips], tmp_path / "out", settings(named))
    files = shards(before)
    after = extract([clips], tmp_path / "out", settings(named, fps=5.0))
    assert after.extracted == 12
    assert {m: shards(after)[m] == files[m] for m in MODALITIES} == {"text": True, "audio": True, "video": False}
    pictures = FeatureStore(after.out).features(0, "video")
    assert pictures is not None
    assert len(pictures.values) == 4  # 0.8 s at 5 a second


def test_a_modality_that_is_added_leaves_the_others_alone(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    extract([clips], tmp_path / "out", settings(named, audio="none", video="none"))
    after = extract([clips], tmp_path / "out", settings(named, text="none", video="none"))
    assert FeatureStore(after.out).dims == {"text": 16, "audio": 16}


def test_a_replaced_file_is_extracted_again_in_every_modality(
    data: Path, named: dict[str, str], tmp_path: Path
) -> None:
    extract([data], tmp_path / "out", settings(named))
    before = FeatureStore(tmp_path / "out")
    shutil.copy(data / "Raw" / "video 1" / "0001.mp4", data / "Raw" / "video 0" / "0000.mp4")
    summary = extract([data], tmp_path / "out", settings(named))
    after = FeatureStore(tmp_path / "out")
    assert summary.extracted == 1
    assert after.ids == before.ids
    twin, changed = after.features(4, "audio"), after.features(0, "audio")
    assert twin is not None
    assert changed is not None
    np.testing.assert_array_equal(twin.values, changed.values)
    kept, same = before.features(5, "audio"), after.features(5, "audio")
    assert kept is not None
    assert same is not None
    np.testing.assert_array_equal(kept.values, same.values)


def test_new_labels_and_splits_cost_no_extraction(data: Path, named: dict[str, str], tmp_path: Path) -> None:
    extract([data], tmp_path / "out", settings(named))
    write_labels(data, [[*row[:3], 1.5, "train"] for row in read_labels(data)])
    again = extract([data], tmp_path / "out", settings(named))
    store = FeatureStore(again.out)
    assert again.extracted == 0
    assert set(store.labels.tolist()) == {1.5}
    assert set(store.splits) == {"train"}


def test_what_cannot_be_read_is_in_the_ledger_until_it_is_mended(
    data: Path, named: dict[str, str], tmp_path: Path
) -> None:
    victim = data / "Raw" / "video 2" / "0001.mp4"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    (data / "Raw" / "video 3" / "0000.mp4").unlink()
    broken = extract([data], tmp_path / "out", settings(named))
    assert {f.id for f in broken.failures} == {"video 2$_$0001", "video 3$_$0000"}
    assert "cut off" in next(f.reason for f in broken.failures if f.id == "video 2$_$0001")
    assert broken.utterances == 10
    victim.write_bytes(whole)
    mended = extract([data], tmp_path / "out", settings(named))
    assert {f.id for f in mended.failures} == {"video 3$_$0000"}
    assert (mended.extracted, mended.utterances) == (1, 11)


def test_a_damaged_shard_is_extracted_again(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    whole = extract([clips], tmp_path / "out", settings(named))
    (shard,) = (whole.out / "audio").glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-100])
    mended = extract([clips], tmp_path / "out", settings(named))
    assert mended.digest == whole.digest


def test_a_shard_is_published_as_soon_as_it_is_full(
    clips: Path, named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_UTTERANCES_A_SHARD", 4)
    monkeypatch.setattr("trisent.features.extract.JOB", 2)
    seen: list[int] = []
    out = tmp_path / "out"

    def look(_: object) -> None:
        seen.append(len(FeatureStore(out)) if (out / "store.json").exists() else 0)

    whole = extract([clips], out, settings(named), on_extract=look)
    assert seen == [0, 4, 4, 8, 8, 12]
    assert [len(names) for names in shards(whole).values()] == [3, 3, 3]
    assert not (out / "parts").exists()


def test_an_extraction_that_stops_midway_goes_on_and_ends_the_same(
    clips: Path, named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_UTTERANCES_A_SHARD", 4)
    monkeypatch.setattr("trisent.features.extract.JOB", 2)
    whole = extract([clips], tmp_path / "whole", settings(named))
    done: list[int] = []

    def stop(_: object) -> None:
        done.append(1)
        if len(done) in (1, 4, 5):
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            extract([clips], tmp_path / "out", settings(named), on_extract=stop)
    again = extract([clips], tmp_path / "out", settings(named), on_extract=stop)
    assert again.digest == whole.digest
    assert len(done) == 6  # six jobs, none of them twice


def test_texts_without_videos_give_text_features_and_only_new_ones_are_extracted(
    named: dict[str, str], tmp_path: Path
) -> None:
    table, text_only = tmp_path / "texts.csv", {**named, "audio": "none", "video": "none"}
    table.write_text("id,text,label,split\na,i love the film,2,train\nb,bad,-1,valid\n", encoding="utf-8")
    first = extract([table], tmp_path / "out", settings(text_only, dtype="fp32"))
    assert (first.utterances, first.extracted, first.failures, first.hours) == (2, 2, (), 0.0)
    with table.open("a", encoding="utf-8") as file:
        file.write("c,good,1,test\n")
    assert plan([table], tmp_path / "out", settings(text_only, dtype="fp32")).todo == {"text": 1}
    assert extract([table], tmp_path / "out", settings(text_only, dtype="fp32")).extracted == 1
    store = FeatureStore(tmp_path / "out")
    assert (store.ids, store.splits) == (("a", "b", "c"), ("train", "valid", "test"))
    bert = BERTTextExtractor(named["text"].removeprefix("bert:"), device="cpu", precision="fp32")
    for i, text in enumerate(("i love the film", "bad", "good")):
        got = store.features(i, "text")
        assert got is not None
        np.testing.assert_allclose(got.values, bert.extract([text])[0].values, atol=1e-6)
    data = read(tmp_path / "out")
    assert np.isnan(data.spans).all()
    assert data.sentiment.tolist() == [2.0, -1.0, 1.0]


def test_sound_and_pictures_of_texts_without_videos_are_refused(named: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\ngood,1\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"names no videos.*--audio none --video none"):
        extract([tmp_path / "texts.csv"], tmp_path / "out", settings(named))
    assert not (tmp_path / "out").exists()


def test_two_extractions_into_one_folder_are_refused(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (
        filelock.FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(DataError, match="another extraction is at work there"),
    ):
        extract([clips], tmp_path / "out", settings(named))


def test_what_is_taken_away_from_the_sources_stays_and_is_told(
    data: Path, named: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = extract([data], tmp_path / "out", settings(named, video="none"))
    assert "not in these sources" not in caplog.text
    write_labels(data, read_labels(data)[2:])
    after = extract([data], tmp_path / "out", settings(named, video="none"))
    assert (before.utterances, after.utterances, after.extracted) == (12, 12, 0)
    assert "also holds 2 utterances that are not in these sources, such as video 0$_$0000; they stay" in caplog.text


@pytest.mark.parametrize("doing", [extract, plan])
def test_a_file_where_the_store_should_be_is_refused_and_left_alone(
    clips: Path, named: dict[str, str], tmp_path: Path, doing: Callable[..., object]
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="out is a file; say in which folder"):
        doing([clips], tmp_path / "out", settings(named))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_file_that_is_not_there_makes_no_store(named: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing to extract: .*talk\.mp4"):
        extract([tmp_path / "talk.mp4"], tmp_path / "out", settings(named))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes on Windows")
def test_a_pipe_among_the_videos_is_told_and_nobody_waits_for_it(named: dict[str, str], tmp_path: Path) -> None:
    media.talk(tmp_path / "data.mp4", seconds=0.4)
    (tmp_path / "videos").mkdir()
    os.mkfifo(tmp_path / "videos" / "pipe.mp4")
    (tmp_path / "list.csv").write_text("path,start,end\ndata.mp4,0,0.4\n")
    paths, text_less = [tmp_path / "videos", tmp_path / "list.csv"], settings({**named, "text": "none"})
    assert plan(paths, tmp_path / "out", text_less).to_listen == 1
    summary = extract(paths, tmp_path / "out", text_less)
    assert summary.extracted == 1
    assert [(f.id, f.reason) for f in summary.failures] == [("pipe", "cannot be read (is no file)")]


def test_steps_can_be_averaged_to_a_rate(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    fine = FeatureStore(extract([clips], tmp_path / "fine", settings(named, dtype="fp32")).out)
    coarse = FeatureStore(extract([clips], tmp_path / "coarse", settings(named, dtype="fp32", rate_hz=2.0)).out)
    every, half = fine.features(1, "audio"), coarse.features(1, "audio")
    assert every is not None
    assert half is not None
    first = every.values[every.times < 0.5].mean(axis=0)
    np.testing.assert_allclose(half.values[0], first, rtol=1e-4, atol=1e-5)
    assert half.times.tolist() == [0.25, 0.75]


def test_a_track_in_fp32_added_to_one_in_fp16_loses_nothing(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    text, video = {**named, "audio": "none", "video": "none"}, {**named, "text": "none", "audio": "none"}
    extract([clips], tmp_path / "both", settings(text))
    both = FeatureStore(extract([clips], tmp_path / "both", settings(video, dtype="fp32")).out)
    alone = FeatureStore(extract([clips], tmp_path / "alone", settings(video, dtype="fp32")).out)
    assert set(both.dims) == {"text", "video"}
    got, expected = both.features(0, "video"), alone.features(0, "video")
    assert got is not None
    assert expected is not None
    assert (got.values == expected.values).all()
    assert (expected.values != expected.values.astype(np.float16)).any()


def test_the_plan_says_what_is_left_and_writes_nothing(data: Path, named: dict[str, str], tmp_path: Path) -> None:
    write_labels(data, read_labels(data)[:9])
    extract([data], tmp_path / "out", settings(named))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    write_labels(data, [*read_labels(data), ["video 3", "0000", "good", 1, "train"]])
    planned = plan([data], tmp_path / "out", settings(named))
    assert (planned.files, planned.utterances, planned.done) == (10, 10, 9)
    assert planned.todo == {"text": 1, "audio": 1, "video": 1}
    assert planned.sample == 1
    assert planned.hours * 3600 == pytest.approx(1.6, abs=0.1)
    assert planned.bytes
    assert planned.seconds
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}


def test_the_plan_of_a_finished_extraction_is_to_do_nothing(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    extract([clips], tmp_path / "out", settings(named))
    planned = plan([clips], tmp_path / "out", settings(named))
    assert (planned.done, planned.todo, planned.hours) == (12, {"text": 0, "audio": 0, "video": 0}, 0.0)
    assert (planned.bytes, planned.seconds) == (0, 0.0)


def test_without_weights_the_plan_names_them_and_measures_nothing(
    clips: Path, named: dict[str, str], tmp_path: Path
) -> None:
    planned = plan([clips], tmp_path / "out", settings({**named, "text": "bert-base-uncased"}))
    assert planned.weights_absent == ("bert-base-uncased",)
    assert planned.seconds is None


def test_the_index_is_readable_json(clips: Path, named: dict[str, str], tmp_path: Path) -> None:
    out = extract([clips], tmp_path / "out", settings(named)).out
    lines = (out / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["text"] == "i love the film"
    assert json.loads((out / "store.json").read_bytes())["tracks"]["text"]["provenance"]["extractor"] == "bert"


def test_a_larger_set_ends_in_the_order_of_its_table(named: dict[str, str], tmp_path: Path) -> None:
    data = corpus(tmp_path / "data", clips=40)
    rows = read_labels(data)
    write_labels(data, rows[::-1])
    store = FeatureStore(extract([data], tmp_path / "out", settings(named, video="none")).out)
    assert store.ids == tuple(f"{r[0]}$_${r[1]}" for r in rows[::-1])
