"""The guide's commands for the fusion module and for training, as written, from a tree that is not installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trisent.checkpoint import load_bundle

ROOT = Path(__file__).resolve().parents[2]
RULE = "=" * 70
TRAIN = ("--epochs", "2", "--batch-size", "32", "--lr", "1e-4")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree with a guide's folder of made-up features in it."""
    root = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.part")
    shutil.copytree(ROOT / "src", root / "src", ignore=ignored)
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    data = root / "data" / "mosei" / "processed_cleaned_correct"
    data.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, n in (("train", 64), ("val", 16), ("test", 16)):
        features = {
            f"{m}_features": random.normal(size=(n, dim)) for m, dim in (("text", 768), ("audio", 768), ("video", 2048))
        }
        np.savez(data / f"{name}.npz", **features, labels=random.integers(0, 7, n))
    return root


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TRISENT_LANG")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**environment, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize("flags", [[], ["-I"]], ids=["as written", "isolated"])
def test_the_fusion_module_tests_itself_with_the_banners_of_the_guide(tree: Path, tmp_path: Path, flags: list[str]):
    script = str(tree / "src" / "models" / "fusion_module_v2.py") if flags else "src/models/fusion_module_v2.py"
    done = run(*flags, script, cwd=tmp_path if flags else tree)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[:3] == [RULE, "多模态融合模块 v2 测试（预训练编码器版本）", RULE]
    assert lines[-3:] == [RULE, "所有测试通过!", RULE]
    assert done.stderr == ""


def test_the_guide_s_training_command_trains_and_leaves_a_bundle(tree: Path):
    arguments = ("--data-dir", "data/mosei/processed_cleaned_correct", *TRAIN, "--device", "cuda")
    done = run("scripts/train_pretrained.py", *arguments, cwd=tree)
    assert done.returncode == 0, done.stderr
    bundle, _ = load_bundle(tree / "runs" / "concat")
    assert (bundle.preset, bundle.synthetic) == ("pretrained", False)
    assert "Acc-7 (clip to ±3, np.round: half to even)" in done.stdout
    assert f"trisent predict --bundle {Path('runs') / 'concat'} VIDEO" in done.stdout
    assert sum("2" in line and "MAE" in line for line in done.stderr.splitlines()) >= 1
    import torch

    if not torch.cuda.is_available():
        assert len([line for line in done.stderr.splitlines() if "--device cpu" in line]) == 1


def test_training_runs_isolated_from_another_folder(tree: Path, tmp_path: Path):
    data = tree / "data" / "mosei" / "processed_cleaned_correct"
    script = str(tree / "scripts" / "train_pretrained.py")
    done = run(
        "-I", script, "--data-dir", str(data), *TRAIN, "--device", "cpu", "--out", str(tmp_path / "run"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert load_bundle(tmp_path / "run")[0].data["rows"] == {"train": 64, "valid": 16, "test": 16}


def test_a_missing_data_folder_fails_in_one_line_that_names_the_next_command(tree: Path, tmp_path: Path):
    done = run(str(tree / "scripts" / "train_pretrained.py"), "--data-dir", "nowhere", *TRAIN, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr
    assert "trisent data sample" in done.stderr


def test_a_setting_that_makes_no_sense_ends_with_exit_code_2(tree: Path):
    done = run("scripts/train_pretrained.py", "--epochs", "0", cwd=tree)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("entry", ["src/models/fusion_module_v2.py", "scripts/train_pretrained.py"])
def test_an_entry_file_is_at_most_twenty_lines_and_defines_nothing(entry: str):
    text = (ROOT / entry).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    assert "def " not in text
    assert "class " not in text
