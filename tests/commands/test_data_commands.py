"""trisent data inspect, describe, audit, convert, split, sample: as a person runs them."""

import hashlib
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from commands.conftest import ROOT, Run
from trisent.data.readers import FORMATS

LABELS = "video_id,clip_id,text,label,annotation,mode\n" + "".join(
    f"v{v},{clip},{words} {v},{label},Neutral,{mode}\n"
    for v in range(12)
    for clip, (words, label) in enumerate((("a fine film", 1.0), ("not for me at all", -1.5), ("it is a film", 0.0)))
    for mode in ["train" if v < 8 else "valid" if v < 10 else "test"]
)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "label.csv").write_text(LABELS)
    return folder


@pytest.fixture
def sample(trisent: Run, tmp_path: Path) -> Path:
    assert trisent("data", "sample", "sample", "--json").returncode == 0
    return tmp_path / "sample"


@pytest.mark.parametrize("verb", ["inspect", "describe", "audit", "convert", "split", "sample"])
def test_every_verb_offers_json_and_help_in_both_languages(trisent: Run, verb: str) -> None:
    for language in ("en", "zh"):
        done = trisent("data", verb, "--help", TRISENT_LANG=language, COLUMNS="200")
        assert done.returncode == 0
        assert "--json" in done.stdout


def test_inspect_lists_arrays_without_reading_them_and_says_the_sum(trisent: Run, sample: Path) -> None:
    done = trisent("data", "inspect", "sample", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["format"] == "npz"
    train = next(f for f in found["files"] if f["name"] == "train.npz")
    assert train["sha256"] == hashlib.sha256((sample / "train.npz").read_bytes()).hexdigest()
    assert {"name": "video_features", "shape": [512, 2048], "dtype": "float32"} in train["parts"]


def test_inspect_of_what_no_reader_knows_exits_with_1(trisent: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    done = trisent("data", "inspect", "notes.txt")
    assert done.returncode == 1
    assert "no format" in done.stdout
    assert trisent("data", "inspect", "nowhere").returncode == 1


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("open('ran', 'w')",))


def test_inspect_refuses_a_pickle_that_runs_commands_and_does_not_run_them(trisent: Run, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"train": Evil()}))
    done = trisent("data", "inspect", "evil.pkl")
    assert done.returncode == 1
    assert "exec" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_describe_counts(trisent: Run, labels: Path) -> None:
    done = trisent("data", "describe", labels, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["utterances"], found["videos"]) == (36, 12)
    assert {s: f["utterances"] for s, f in found["splits"].items()} == {"train": 24, "valid": 6, "test": 6}
    assert found["splits"]["test"]["classes"] == [0, 2, 0, 2, 2, 0, 0]  # -1.5 rounds to -2
    assert "36 utterances of 12 videos" in trisent("data", "describe", labels).stdout


def test_audit_exits_with_0_on_warnings_and_with_1_on_errors(trisent: Run, labels: Path) -> None:
    done = trisent("data", "audit", labels, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["error"] == 0
    (labels / "label.csv").write_text(LABELS + "v0,9,seen in training already,1.0,Positive,test\n")
    done = trisent("data", "audit", labels)
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("ERROR split.videos")
    assert "v0$_$9" in done.stdout


def test_audit_writes_a_page_in_the_language_asked_for(trisent: Run, labels: Path, tmp_path: Path) -> None:
    done = trisent("data", "audit", labels, "--html", "report.html", TRISENT_LANG="zh")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    assert "<svg" in page


def test_a_sample_has_no_error(trisent: Run, sample: Path) -> None:
    done = trisent("data", "audit", sample, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"error": 0, "warning": 0, "note": 3}


def test_convert_writes_another_format_with_the_same_split_and_says_what_is_lost(trisent: Run, sample: Path) -> None:
    done = trisent("data", "convert", sample, "sample.pkl", "--to", "mmsa", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert written["lost"]
    back = json.loads(trisent("data", "describe", "sample.pkl", "--json").stdout)
    assert back["format"] == "mmsa"
    assert back["digest"] == written["digest"]
    assert back["modalities"]["video"]["dim"] == 2048


def test_convert_says_the_sizes_and_the_digest_of_what_it_wrote(trisent: Run, tmp_path: Path) -> None:
    splits = {}
    for split in ("train", "valid", "test"):
        ids = [f"{split}$_${i}" for i in range(3)]
        labels = np.array([np.nan, 1.5, -2], np.float32)
        splits[split] = {"id": ids, "regression_labels": labels, "audio": np.ones((3, 2, 4), np.float32)}
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(splits))
    said = json.loads(trisent("data", "convert", "mine.pkl", "smaller", "--to", "npz", "--json").stdout)
    assert said["utterances"] == {"train": 2, "valid": 2, "test": 2}
    assert said["digest"] == json.loads(trisent("data", "describe", "smaller", "--json").stdout)["digest"]


@pytest.mark.parametrize(("format", "name"), [("labelcsv", "out"), ("mmsa", "out.pkl"), ("store", "out")])
def test_the_digest_that_convert_says_is_that_of_what_is_read_again_though_ids_change(
    trisent: Run, tmp_path: Path, format: str, name: str
) -> None:
    splits = {}
    for split in ("train", "valid", "test"):
        labels = np.array([1, 1.5, -2], np.float32)
        splits[split] = {"id": [f"{split} v{i}[{i}]" for i in range(3)], "regression_labels": labels,
                         "audio": np.ones((3, 2, 4), np.float32)}  # fmt: skip
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(splits))
    said = json.loads(trisent("data", "convert", "mine.pkl", name, "--to", format, "--json").stdout)
    assert said["digest"] == json.loads(trisent("data", "describe", name, "--json").stdout)["digest"]


def test_convert_cleans_with_what_train_says_and_keeps_that(trisent: Run, sample: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(sample / "train.npz"))
    arrays["audio_features"][:, 3] = 5.0
    np.savez(sample / "train.npz", **arrays)
    done = trisent("data", "convert", sample, "clean", "--to", "npz", "--clean")
    assert done.returncode == 0, done.stderr
    train = np.load(tmp_path / "clean" / "train.npz")
    assert train["audio_features"].shape == (512, 767)
    assert np.abs(train["text_features"].mean(axis=0)).max() < 0.05
    assert np.abs(np.load(tmp_path / "clean" / "test.npz")["text_features"]).max() <= 3
    kept = json.loads((tmp_path / "clean" / "cleaning.json").read_text())
    assert kept["columns"]["audio"]["dropped"] == {"constant": [3]}


def test_convert_pools_steps_to_their_mean(trisent: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def part(name: str, n: int) -> dict[str, object]:
        return {
            "id": [f"{name}{i}$_$0" for i in range(n)],
            "raw_text": ["words"] * n,
            "text": random.standard_normal((n, 4, 5)).astype(np.float32),
            "regression_labels": np.linspace(-1, 1, n, dtype=np.float32),
        }

    splits = {name: part(name, n) for name, n in (("train", 6), ("valid", 3), ("test", 3))}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(splits))
    done = trisent("data", "convert", "a.pkl", "pooled", "--to", "store", "--pool", "--json")
    assert done.returncode == 0, done.stderr
    described = json.loads(trisent("data", "describe", "pooled", "--json").stdout)
    assert (described["modalities"]["text"]["steps"], described["modalities"]["text"]["longest"]) == (12, 1)


def test_convert_to_an_unknown_format_is_wrong_use_and_nothing_is_overwritten(trisent: Run, labels: Path) -> None:
    assert trisent("data", "convert", labels, "out", "--to", "parquet").returncode == 2
    done = trisent("data", "convert", labels, labels, "--to", "labelcsv")
    assert done.returncode == 1
    assert "overwritten" in done.stderr


def test_split_keeps_videos_whole_and_says_the_digest_that_describe_says(trisent: Run, labels: Path) -> None:
    done = trisent("data", "split", labels, "new", "--valid", "0.25", "--test", "0.25", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert written["utterances"] == {"train": 18, "valid": 9, "test": 9}
    described = json.loads(trisent("data", "describe", "new", "--json").stdout)
    assert described["digest"] == written["digest"]
    assert trisent("data", "audit", "new").returncode == 0  # no video is in two splits


def test_split_without_valid_and_with_shares_that_make_no_sense(trisent: Run, labels: Path) -> None:
    done = trisent("data", "split", labels, "two", "--valid", "0", "--test", "0.5", "--json")
    assert json.loads(done.stdout)["utterances"] == {"train": 18, "valid": 0, "test": 18}
    done = trisent("data", "split", labels, "none", "--valid", "0.7", "--test", "0.7")
    assert done.returncode == 2
    assert "sum to 1" in done.stderr


PAGES = [ROOT / "docs" / language / "data.md" for language in ("en", "zh")]


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_page_names_every_format_every_verb_and_only_options_that_exist(trisent: Run, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"`{name}`" not in text] == []
    options = set()
    for verb in ("inspect", "describe", "audit", "convert", "split", "sample"):
        assert f"trisent data {verb}" in text
        options |= set(re.findall(r"--[a-z-]+", trisent("data", verb, "--help", COLUMNS="200").stdout))
    said = set(re.findall(r"(?<!\w)--[a-z][a-z-]*", text))
    assert said <= options | {"--out"}


def test_every_code_of_a_finding_is_on_both_pages() -> None:
    sources = (ROOT / "src" / "trisent" / "data" / "audit").glob("*.py")
    pattern = r'"((?:split|label|balance|text|feature|time|align|ids|leak|file|baseline)\.[a-z_0-9]+)"'
    codes = {code for path in sources for code in re.findall(pattern, path.read_text(encoding="utf-8"))}
    assert len(codes) > 35
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert sorted(c for c in codes if f"`{c}`" not in text) == []
