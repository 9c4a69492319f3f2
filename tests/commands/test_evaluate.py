"""`trisent evaluate` as a person runs it, and `trisent compare` on run folders."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands.conftest import ROOT, Run

PAGES = [ROOT / "docs" / language / "evaluation.md" for language in ("en", "zh")]
FILES = {"predictions-{}.csv", "evaluation-{}.json", "report-{}.html", "table-{}.tex"}


def write_data(folder: Path, *, n: int = 90, seed: int = 0) -> Path:
    """Write a folder in the guide's format, with features that know the label."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    for name in ("train", "val", "test"):
        labels = random.integers(0, 7, n)
        features = {f"{m}_features": random.normal(size=(n, 8)).astype(np.float32) for m in ("text", "audio", "video")}
        features["text_features"][:, 0] += labels - 3
        np.savez(folder / f"{name}.npz", **features, labels=labels)
    return folder


def train(trisent: Run, data: Path, out: Path, *words: object) -> Path:
    done = trisent("train", data, "--out", out, "--epochs", 2, "--lr", "1e-2", *words)
    assert done.returncode == 0, done.stderr
    return out


def test_evaluate_writes_its_four_files_and_score_finds_the_same_figures(trisent: Run, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    run = train(trisent, data, tmp_path / "run")
    done = trisent("evaluate", run, data, "--bootstrap", 100)
    assert done.returncode == 0, done.stderr
    assert "text-only ridge" in done.stdout
    assert {path.name for path in run.iterdir()} >= {name.format("valid") for name in FILES}
    assert not (run / "test_log.jsonl").exists()
    said = json.loads((run / "evaluation-valid.json").read_text(encoding="utf-8"))
    scored = json.loads(trisent("score", run / "predictions-valid.csv", "--json").stdout)
    for key, figure in scored["figures"].items():
        assert figure["value"] == said["figures"][key]["value"], key
    assert said["statements"] == []
    assert len(said["robustness"]["missing"]) == 10


def test_test_is_counted_said_and_logged_and_json_is_the_file(trisent: Run, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    run = train(trisent, data, tmp_path / "run")
    words = ("evaluate", run, data, "--split", "test", "--bootstrap", 0, "--no-robustness", "--json")
    first, second = trisent(*words), trisent(*words)
    assert [json.loads(done.stdout)["test_opened"] for done in (first, second)] == [1, 2]
    assert json.loads(second.stdout) == json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert len((run / "test_log.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert "test opened 2 times with this model" in (run / "report-test.html").read_text(encoding="utf-8")
    assert json.loads(second.stdout)["robustness"] is None


def test_seeds_get_a_summary_and_runs_are_compared_by_their_folders(trisent: Run, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    for seed in (0, 1):
        train(trisent, data, tmp_path / "many" / f"seed-{seed}", "--seed", seed)
    one = train(trisent, data, tmp_path / "one", "--seed", 7, "--model", "lf_dnn")
    quick = ("--bootstrap", 100, "--no-robustness")
    done = trisent("evaluate", "many", data, *quick, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["seeds"] == ["seed-0", "seed-1"]
    values = summary["figures"]["mae"]["seeds"]
    assert summary["figures"]["mae"]["mean"] == pytest.approx(sum(values) / 2)
    assert r"$\pm$" in (tmp_path / "many" / "table-valid.tex").read_text(encoding="utf-8")
    assert trisent("evaluate", one, data, *quick).returncode == 0
    compared = trisent("compare", "many", "one", "--bootstrap", 100, "--json")
    assert compared.returncode == 0, compared.stderr
    (said,) = json.loads(compared.stdout)["comparisons"]
    assert (said["first"]["seeds"], said["second"]["seeds"]) == (2, 1)
    assert said["figures"]["mae"]["first"]["mean"] == pytest.approx(sum(values) / 2)
    other = write_data(tmp_path / "other", seed=5)
    assert trisent("evaluate", one, other, *quick).returncode == 0
    assert trisent("compare", "many", "one", "--bootstrap", 100).returncode == 0  # what was there is untouched
    refused = trisent("compare", "many", "one/on-other", "--bootstrap", 100)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "another data set" in refused.stderr


def test_another_data_set_is_named_generalisation(trisent: Run, tmp_path: Path) -> None:
    run = train(trisent, write_data(tmp_path / "data"), tmp_path / "run")
    other = write_data(tmp_path / "other", seed=1)
    done = trisent("evaluate", run, other, "--out", "elsewhere", "--bootstrap", 0, "--no-robustness")
    assert done.returncode == 0, done.stderr
    assert "other is not the data set that the model was trained on: this measures generalisation" in done.stdout
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {name.format("valid") for name in FILES}


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("evaluate", "none", "data"), 1, "is not a bundle"),
        (("evaluate", "embedded", "data"), 2, "--out DIR"),
        (
            ("evaluate", "embedded", "data", "--out", "data/train.npz/x"),
            2,
            "train.npz is a file; say in which folder",
        ),
        (("evaluate", "none", "data", "--split", "train"), 2, "valid, test"),
        (("evaluate", "none", "data", "--seed", "-1"), 2, "seed must be at least 0"),
        (("evaluate", "none", "data", "--bootstrap", "3"), 2, "at least 100"),
    ],
)
def test_wrong_use_is_one_clean_line(
    trisent: Run, tmp_path: Path, words: tuple[str, ...], code: int, reason: str
) -> None:
    write_data(tmp_path / "data")
    done = trisent(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.parent.name)
def test_the_commands_of_the_page_of_evaluation_work_as_written(trisent: Run, tmp_path: Path, page: Path) -> None:
    data = write_data(tmp_path / "DATA")
    write_data(tmp_path / "OTHER", seed=2)
    train(trisent, data, tmp_path / "runs" / "gated")
    train(trisent, data, tmp_path / "runs" / "concat", "--model", "lf_dnn")
    for seed in (0, 1):
        train(trisent, data, tmp_path / "runs" / "five" / f"seed-{seed}", "--seed", seed)
    commands = re.findall(r"^    trisent (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        done = trisent(*command.split())
        assert done.returncode == 0, (command, done.stderr)
    with (tmp_path / "runs" / "gated" / "predictions-valid.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 90
