"""`trisent train` as people type it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from commands.conftest import ROOT, Run
from trisent.fusion.registry import fusion_models
from trisent.training.settings import read_settings


@pytest.fixture
def data(trisent: Run) -> str:
    assert trisent("data", "sample", "data").returncode == 0
    return "data"


def lines(done: subprocess.CompletedProcess[str], start: str) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith(start)]


def test_without_a_terminal_every_epoch_is_a_line_and_the_scores_are_those_of_valid(trisent: Run, data: str) -> None:
    done = trisent("train", data, "--epochs", 2, "--device", "cpu", "--out", "run", "--set", "train.schedule=linear")
    assert done.returncode == 0, done.stderr
    assert len(lines(done, "epoch ")) == 2
    assert "0:00 left at most" in lines(done, "epoch 2/2")[0]
    assert "valid" in done.stdout
    assert "best constant" in done.stdout
    assert "trisent evaluate run DATA --split test" in done.stdout


def test_a_config_file_an_option_and_seeds_work_together(trisent: Run, data: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[train]\nepochs = 9\n[model]\nname = "lf_dnn"\nhidden = 8\n', encoding="utf-8")
    words = ("train", data, "--config", "c.toml", "--epochs", 1, "--seeds", 2, "--device", "cpu", "--out", "runs")
    done = trisent(*words, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["model"], summary["seeds"], summary["runs"]) == ("lf_dnn", [0, 1], ["seed-0", "seed-1"])
    assert len(summary["valid"]["mae"]["values"]) == 2
    again = trisent(*words)
    assert [*map(str.strip, lines(again, "runs/seed-"))] == [f"runs/seed-{i}: finished earlier" for i in (0, 1)]
    assert "standard deviation" in again.stdout


def test_a_model_that_says_the_same_of_all_is_told_after_training(trisent: Run, data: str) -> None:
    words = ("train", data, "--epochs", 1, "--device", "cpu", "--lr", 1e-9, "--out", "still", "--model", "lf_dnn")
    done = trisent(*words)
    assert done.returncode == 0, done.stderr
    assert "NEARLY CONSTANT" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "train.select=test"), "select must be one of mae, corr"),
        (("--model", "nope"), "no fusion model is called 'nope'"),
        (("--seeds", 0), "--seeds must be at least 1"),
        (("--log", "paper"), "--log must be one of tensorboard, trackio, wandb"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_wrong_use(trisent: Run, words: tuple[object, ...], told: str) -> None:
    done = trisent("train", "data", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_fusion_model_is_listed_without_a_data_set(trisent: Run) -> None:
    done = trisent("train", "--list-models")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in fusion_models())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_file_in_the_docs_says_what_holds_anyway(language: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / language / "training.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "c.toml").write_text(block, encoding="utf-8")
    assert read_settings(tmp_path / "c.toml") == read_settings()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_fusion_model_of_the_docs_trains_like_any_other(
    language: str, trisent: Run, data: str, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / language / "training.md").read_text(encoding="utf-8")
    [module] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [entry] = re.findall(r"^    (sum = .*)$", text, re.MULTILINE)
    package = tmp_path / "site" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model.py").write_text(module, encoding="utf-8")
    info = tmp_path / "site" / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[trisent.fusion_models]\n" + entry.replace('"', ""), encoding="utf-8")
    words = (
        "train",
        data,
        "--model",
        "sum",
        "--epochs",
        1,
        "--device",
        "cpu",
        "--set",
        "model.hidden=8",
        "--out",
        "run",
    )
    done = trisent(*words, PYTHONPATH=os.pathsep.join([str(ROOT / "src"), str(tmp_path / "site")]))
    assert done.returncode == 0, done.stderr
    assert '"hidden": 8' in (tmp_path / "run/bundle.json").read_text(encoding="utf-8")
