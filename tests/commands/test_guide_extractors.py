"""The guide's commands for the three extractors, as written, from a tree that is not installed."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trisent.weights import entry
from unit.extractors import tiny
from unit.weights.hub_server import hub_server

ROOT = Path(__file__).resolve().parents[2]
RULE = "=" * 70
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens
TITLES = {
    "bert": "BERT文本特征提取器测试",
    "wav2vec": "wav2vec 2.0音频特征提取器测试",
    "resnet": "ResNet-50视频特征提取器测试",
}
WEIGHTS = {"bert": "bert-base-uncased", "wav2vec": "wav2vec2-base", "resnet": "resnet50"}
COUNTERPARTS = {"bert": "minilm-l6", "wav2vec": "whisper-tiny-en", "resnet": "efficientnet-lite0"}
DIMS = {"bert": 16, "wav2vec": 16, "resnet": 256}


def copy_tree(root: Path) -> Path:
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.part"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree in which a person has placed the guide's files, tiny, by hand."""
    root = copy_tree(tmp_path_factory.mktemp("tree"))
    tiny.bert(root / "models" / "bert-base-uncased", file="pytorch_model.bin")
    tiny.wav2vec(root / "models" / "wav2vec2-base")
    tiny.resnet(root / "models" / "resnet50")
    return root


@pytest.fixture(scope="module")
def bare_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree without weights."""
    return copy_tree(tmp_path_factory.mktemp("bare"))


def run(*command: str, cwd: Path, caches: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with empty caches and, unless `environment` says otherwise, every hub behind a closed port."""
    inherited = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYTHON", "HF_", "TRISENT_", "TRANSFORMERS_")) and not k.lower().endswith("_proxy")
    }
    homes = {name: str(caches / name.lower()) for name in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME")}
    closed = {"HF_ENDPOINT": CLOSED, "HTTPS_PROXY": CLOSED, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**inherited, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", **homes, **closed, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


def assert_passed(done: subprocess.CompletedProcess[str], name: str, folder: Path) -> None:
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[:3] == [RULE, TITLES[name], RULE]
    assert lines[-3:] == [RULE, "所有测试通过!", RULE]
    shapes = re.findall(r"^  \((\d+), (\d+)\)  \w", done.stdout, re.MULTILINE)
    assert [int(dim) for _, dim in shapes] == [DIMS[name]] * 5
    assert str(folder) in done.stdout
    assert re.search(r"^设备: (cpu|cuda)", done.stdout, re.MULTILINE)
    assert re.search(r"^用时: 加载 \d+\.\d 秒, 提取 \d+\.\d 秒$", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_command_as_written_uses_the_files_placed_by_hand(tree: Path, tmp_path: Path, name: str):
    done = run(f"src/features/{name}_extractor.py", cwd=tree, caches=tmp_path)
    assert_passed(done, name, tree / "models" / WEIGHTS[name])
    assert "不是目录中的版本" in done.stdout
    assert done.stderr == ""


def test_the_entry_files_are_alike_but_for_what_they_begin():
    texts = {name: (ROOT / f"src/features/{name}_extractor.py").read_text(encoding="utf-8") for name in WEIGHTS}
    assert (
        len({re.sub(r'""".*?"""', "", text, flags=re.DOTALL).replace(name, "X") for name, text in texts.items()}) == 1
    )


def test_a_command_runs_isolated_from_another_folder(tree: Path, tmp_path: Path):
    name = "bert"  # the others begin alike, see above
    (tmp_path / "elsewhere").mkdir()
    script = str(tree / "src" / "features" / f"{name}_extractor.py")
    done = run("-I", script, cwd=tmp_path / "elsewhere", caches=tmp_path)
    assert_passed(done, name, tree / "models" / WEIGHTS[name])
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["unreachable", "forbidden"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_without_a_hub_one_line_says_why_how_to_find_out_more_and_what_works_now(
    bare_tree: Path, tmp_path: Path, name: str, environment: dict[str, str]
):
    done = run(f"src/features/{name}_extractor.py", cwd=bare_tree, caches=tmp_path, **environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert WEIGHTS[name] in done.stderr
    assert ("HF_HUB_OFFLINE" if environment else "127.0.0.1:9") in done.stderr
    assert "trisent weights doctor" in done.stderr
    assert f"trisent weights pull {COUNTERPARTS[name]}" in done.stderr
    assert "所有测试通过" not in done.stdout


def test_absent_weights_are_downloaded_with_progress_and_found_the_next_time(tmp_path: Path):
    """The catalog of the copied tree pins tiny files; the hub is on this machine."""
    root, original = copy_tree(tmp_path / "tree"), entry("bert-base-uncased")
    tiny.bert(tmp_path / "hub")
    (tmp_path / "hub" / "tokenizer.json").write_bytes(_tokenizer_json(tmp_path / "hub"))
    catalog = root / "src" / "trisent" / "weights" / "catalog.toml"
    text = catalog.read_text(encoding="utf-8")
    for file in original.needed:
        data = (tmp_path / "hub" / file.path).read_bytes()
        pinned = f'bytes = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}"'
        text = text.replace(f'bytes = {file.bytes}, sha256 = "{file.sha256}"', pinned)
    catalog.write_text(text, encoding="utf-8")
    with hub_server() as hub:
        files = {path.name: path.read_bytes() for path in (tmp_path / "hub").iterdir()}
        hub.add_repo(original.repo, files, revision=original.revision)
        done = run("src/features/bert_extractor.py", cwd=root, caches=tmp_path, HF_ENDPOINT=hub.url)
        asked = len(hub.requests)
        again = run("src/features/bert_extractor.py", cwd=root, caches=tmp_path, HF_ENDPOINT=hub.url)
        assert len(hub.requests) == asked
    snapshot = tmp_path / "hf_home" / "hub" / "models--google-bert--bert-base-uncased" / "snapshots" / original.revision
    assert_passed(done, "bert", snapshot)
    assert "bert-base-uncased" in done.stderr  # the bar
    assert "100%" in done.stderr or "━" in done.stderr
    assert_passed(again, "bert", snapshot)
    assert again.stderr == ""


def _tokenizer_json(folder: Path) -> bytes:
    from tokenizers import BertWordPieceTokenizer

    return str(BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True).to_str()).encode()
