"""The pages on data: their commands run as written, and both languages have the same ones."""

import csv
import io
import json
import pickle
import re
import shlex
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import media_files
from commands.conftest import ROOT, Run, run_in_bash
from trisent.data.inspection import inspect
from trisent.data.readers import FORMATS
from trisent.features.layouts import SPLIT_NAMES
from trisent.features.sources import find_sources
from trisent.samples import TALK

PAGES = ("data", "formats", "own-data")
CLIP_S = 4


def text_of(page: str, language: str = "en") -> str:
    return (ROOT / "docs" / language / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str, *, language: str = "en") -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", text_of(page, language), re.MULTILINE | re.DOTALL)


def bash(page: str) -> str:
    return "".join(block for kind, block in blocks(page) if kind == "bash")


def commands(page: str) -> list[str]:
    return [line.partition("#")[0].strip() for line in bash(page).splitlines() if line.strip()]


def write_pickle(path: Path) -> None:
    """Write a small set as MMSA does: 40 videos of three utterances, features of noise."""
    random = np.random.default_rng(0)
    words = [f"word{k}" for k in range(500)]

    def split(videos: range) -> dict[str, Any]:
        n = 3 * len(videos)
        shapes = {"text": (n, 6, 8), "audio": (n, 9, 5), "vision": (n, 7, 4)}
        sentiment = random.integers(-9, 10, n) / 3
        return {
            "id": [f"v{video}$_${clip}" for video in videos for clip in range(3)],
            "raw_text": [" ".join(random.choice(words, 6)) for _ in range(n)],
            "regression_labels": sentiment.astype(np.float32),
            "annotations": ["Positive" if value > 0 else "Negative" for value in sentiment],
            "audio_lengths": [9] * n,
            "vision_lengths": [7] * n,
            **{key: random.normal(size=shape).astype(np.float32) for key, shape in shapes.items()},
        }

    sets = {"train": range(24), "valid": range(24, 30), "test": range(30, 40)}
    path.write_bytes(pickle.dumps({name: split(videos) for name, videos in sets.items()}))


def read_talk() -> tuple[list[NDArray[np.uint8]], NDArray[np.float32], int]:
    """Return the pictures and the sound of the sample clip, and the rate of the sound."""
    with av.open(str(TALK)) as file:
        pictures = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in file.decode(video=0)]
        file.seek(0)
        sound = np.concatenate([frame.to_ndarray().astype(np.float32) for frame in file.decode(audio=0)], axis=1)
        return pictures, sound[0], file.streams.audio[0].rate


def lay_out_own_data(folder: Path) -> list[dict[str, str]]:
    """Write the page's table and, where it says, a stretch of the sample clip for every video; return its rows."""
    table = next(block for kind, block in blocks("own-data") if kind == "csv")
    (folder / "stretches.csv").write_text(table)
    rows = list(csv.DictReader(io.StringIO(table)))
    pictures, sound, rate = read_talk()
    for k, name in enumerate(dict.fromkeys(row["path"] for row in rows)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        first = k * CLIP_S
        frames = pictures[first * media_files.FPS : (first + CLIP_S) * media_files.FPS]
        samples = sound[first * rate : (first + CLIP_S) * rate]
        media_files.write(path, pictures=frames, sound=samples, rate=rate)
    return rows


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_blocks(page: str) -> None:
    assert blocks(page) == blocks(page, language="zh")
    assert commands(page)


@pytest.mark.parametrize("page", ["formats", "own-data"])
def test_both_languages_name_the_same_things_and_numbers(page: str) -> None:
    for what in (r"`([^`\n]+)`", r"\d[\d,.]*\d"):
        assert set(re.findall(what, text_of(page))) == set(re.findall(what, text_of(page, "zh")))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_link_of_the_pages_leads_to_a_heading(language: str) -> None:
    for page in PAGES:
        for target, _, anchor in re.findall(r"\]\(([\w-]+\.md)(#([^)]+))?\)", text_of(page, language)):
            text = text_of(target.removesuffix(".md"), language)
            titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert not anchor or anchor in anchors, (page, target, anchor)


@pytest.mark.parametrize("page", PAGES)
def test_every_option_of_the_pages_exists(page: str, trisent: Run) -> None:
    offered: dict[tuple[str, ...], str] = {}
    inline = re.findall(r"`(trisent [^`\n]*)`", text_of(page))
    for line in (*commands(page), *inline):
        words = shlex.split(line)[1:]
        verb = tuple(words[: 2 if words[0] == "data" else 1])
        if verb not in offered:
            done = trisent(*verb, "--help", COLUMNS="200")
            assert done.returncode == 0, line
            offered[verb] = done.stdout
        assert [word for word in words if word.startswith("--") and word not in offered[verb]] == []


@pytest.mark.slow
def test_the_commands_of_the_page_on_data_run_as_written(tmp_path: Path) -> None:
    write_pickle(tmp_path / "unaligned_50.pkl")
    (tmp_path / "mine").mkdir()
    rows = [
        f"v{v},{c},a film {v} {c},{(v + c) % 5 - 2},{'test' if v > 8 else 'train'}" for v in range(12) for c in (1, 2)
    ]
    (tmp_path / "mine" / "label.csv").write_text("\n".join(["video_id,clip_id,text,label,mode", *rows]) + "\n")
    done = run_in_bash(bash("data"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in (tmp_path / "clean").glob("*.npz")) == ["test.npz", "train.npz", "val.npz"]
    splits = {
        row["video_id"]: row["mode"]
        for row in csv.DictReader((tmp_path / "resplit/label.csv").read_text().splitlines())
    }
    assert set(splits.values()) == {"train", "valid", "test"}


def test_every_format_has_a_section_and_those_that_are_written_say_so() -> None:
    for language, never in (("en", "Not written."), ("zh", "不可写出。")):
        text = text_of("formats", language)
        sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
        assert sections.keys() == FORMATS.keys()
        assert [name for name, f in FORMATS.items() if f.writable] == [n for n in FORMATS if never not in sections[n]]


@pytest.mark.slow
def test_what_is_written_is_recognised_and_its_arrays_are_named_on_the_page(tmp_path: Path) -> None:
    write_pickle(tmp_path / "mine.pkl")
    done = run_in_bash(bash("formats"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text_of("formats"), re.MULTILINE | re.DOTALL))
    for line in commands("formats"):
        *_, out, _, format = shlex.split(line)
        found = inspect(tmp_path / out).to_json()
        assert found["format"] == format
        named = set(re.findall(r"[\w.]+", sections[format]))
        if format in ("npz", "mmsa"):
            assert {part["name"].split("/")[-1] for file in found["files"] for part in file["parts"]} - {
                "trisent"
            } <= named
        elif (tmp_path / out).is_dir():
            assert {p.name for p in (tmp_path / out).iterdir() if p.is_file() and p.stat().st_size} <= named
        else:
            assert set((tmp_path / out).read_text().splitlines()[0].split(",")) <= named


def test_a_table_that_was_split_is_read_by_extract_with_no_video_in_two_parts(tmp_path: Path) -> None:
    rows = lay_out_own_data(tmp_path)
    line = next(line for line in commands("own-data") if line.startswith("trisent data split"))
    done = run_in_bash(line, tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = list(csv.DictReader((tmp_path / "split.csv").read_text().splitlines()))
    assert {row["split"] for row in drawn} == set(SPLIT_NAMES.values())
    assert len({(row["video"], row["split"]) for row in drawn}) == len({row["path"] for row in rows})
    found = find_sources([tmp_path / "split.csv"])
    assert found.failures == ()
    spoken = [u.text for source in found.sources for u in source.utterances or ()]
    assert sorted(spoken) == sorted(row["text"] for row in rows)


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_from_videos_and_a_table_to_a_judged_video(trisent: Run, tmp_path: Path) -> None:
    rows = lay_out_own_data(tmp_path)
    done = run_in_bash(bash("own-data"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads(trisent("data", "describe", "features", "--json").stdout)
    assert described["utterances"] == len(rows)
    assert set(described["modalities"]) == {"text", "audio", "video"}
    assert (tmp_path / "audit.html").is_file()
    bundle = json.loads((tmp_path / "runs/mine/bundle.json").read_text())
    assert (bundle["preset"], bundle["data"]["split_sha256"]) == ("embedded", described["digest"])
    judged = json.loads((tmp_path / "runs/anna/predictions.json").read_text())
    assert len(judged["videos"]) == 1
    assert (tmp_path / "runs/anna/report.html").is_file()


def test_the_other_beginnings_of_the_page_run(trisent: Run, tmp_path: Path) -> None:
    write_pickle(tmp_path / "any.pkl")
    done = trisent("data", "convert", "any.pkl", "features", "--to", "store")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"`(trisent data [^`\n]*)`", text_of("own-data"))
    assert len(lines) == 2
    done = run_in_bash("\n".join(lines), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert inspect(tmp_path / "mine.pkl").format == "mmsa"
