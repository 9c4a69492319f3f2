"""Every command of the README runs as written; the Chinese README has the same ones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands.conftest import ROOT, run_in_bash
from media_files import one_sentence
from trisent.samples import TALK
from unit.extractors import tiny

CI_COMMAND = 'pip install -c constraints.txt -e ".[test]" && pytest'
FIRST_COMMAND = "pip install -c constraints.txt -e . && trisent demo"


def blocks(language: str, *, readme: str = "README.md") -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block(needle: str, *, language: str = "bash") -> str:
    found = [b for b in blocks(language) if needle in b]
    assert len(found) == 1, needle
    return found[0]


def bare(commands: str) -> list[str]:
    """Return commands without their comments."""
    return [line.split("   #")[0].rstrip() for line in commands.splitlines() if line.strip()]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a clip, a data set of the guide's format, and tiny weights where the guide puts them."""
    private = shutil.ignore_patterns("__pycache__", "*.part", ".*", "v", "venv")
    root = tmp_path / "trisent"

    def ignored(folder: str, names: list[str]) -> set[str]:
        return private(folder, names) | ({"runs"} if Path(folder) == ROOT else set())

    shutil.copytree(ROOT, root, ignore=ignored)
    one_sentence(root / "talk.mp4")
    tiny.bert(root / "models" / "bert-base-uncased")
    tiny.wav2vec(root / "models" / "wav2vec2-base")
    tiny.resnet(root / "models" / "resnet50")
    data = root / "data" / "mosei" / "processed_cleaned_correct"
    data.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, n in (("train", 64), ("val", 16), ("test", 16)):
        widths = {"text": 768, "audio": 768, "video": 2048}
        features = {f"{m}_features": random.normal(size=(n, d)).astype(np.float32) for m, d in widths.items()}
        np.savez(data / f"{name}.npz", **features, labels=random.integers(0, 7, n))
    return root


def test_every_block_of_commands_is_run_by_a_test_of_this_file() -> None:
    covered = [
        FIRST_COMMAND,
        CI_COMMAND,
        "trisent predict",
        "trisent extract",
        "trisent data sample",
        "export HF_ENDPOINT",
    ]
    assert [next(c for c in covered if c in b) for b in blocks("bash")] == covered


def test_the_chinese_readme_has_the_same_commands() -> None:
    english, chinese = blocks("bash"), blocks("bash", readme="README.zh-CN.md")
    assert [bare(b) for b in english] == [bare(b) for b in chinese]
    assert len(blocks("python")) == len(blocks("python", readme="README.zh-CN.md"))


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert block("pytest").strip() == CI_COMMAND
    assert lines[-1] == CI_COMMAND
    assert not any("pytest" in line or "ruff" in line for line in lines[:-1])


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_judging_a_video(tree: Path) -> None:
    done = run_in_bash(block("trisent predict talk.mp4"), tree, source=tree / "src")
    assert done.returncode == 0, done.stderr
    assert (tree / "runs/mine/report.html").is_file()
    assert (tree / "runs/mine/predictions.json").is_file()


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_extracting_features_and_reading_them(tree: Path) -> None:
    python = block("FeatureStore", language="python")
    (tree / "block.py").write_text(python, encoding="utf-8")
    done = run_in_bash(block("trisent extract") + "python block.py", tree, source=tree / "src")
    assert done.returncode == 0, done.stderr
    assert re.search(r"I watched the new space film .* \(\d+, 768\)$", done.stdout.strip())


def test_training_on_a_sample(tree: Path) -> None:
    done = run_in_bash(block("trisent data sample"), tree, source=tree / "src")
    assert done.returncode == 0, done.stderr
    assert (tree / "runs/sample/bundle.json").is_file()


def test_the_guides_commands(tree: Path) -> None:
    done = run_in_bash(block("export HF_ENDPOINT"), tree, source=tree / "src")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("所有测试通过!") == 4
    assert (tree / "runs/concat/bundle.json").is_file()


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
@pytest.mark.parametrize("needle", ["Predictor", "BERTTextExtractor"])
def test_the_python_of_the_readme(tree: Path, needle: str) -> None:
    (tree / "block.py").write_text(block(needle, language="python"), encoding="utf-8")
    done = run_in_bash("python block.py", tree, source=tree / "src")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_output_in_the_readme_is_that_of_the_sample_clip() -> None:
    import json

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    written = json.loads(TALK.with_suffix(".json").read_text(encoding="utf-8"))["sentences"]
    for sentence in written:
        first_words = " ".join(sentence["text"].split()[:3])  # the recogniser sets commas as it likes
        assert f"│ {first_words}" in text


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_the_first_command_does_all_the_set_up_in_a_fresh_environment(tree: Path) -> None:
    """The weights are here already; fetching them is tested in unit/weights against a package index of its own."""
    subprocess.run([sys.executable, "-m", "venv", tree.parent / "fresh"], check=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{tree.parent / 'fresh' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-e", "-c", block("trisent demo")]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tree / "runs/demo/report.html").is_file()
