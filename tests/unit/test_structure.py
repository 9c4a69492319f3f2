"""What holds for the code as a whole."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trisent
from trisent.i18n import chinese
from trisent.types import CLASS_NAMES, MODALITIES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "trisent"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# A module may import from its own rank and from lower ones; the first name that matches counts.
RANKS = [
    ("types", 0), ("errors", 0), ("config", 0), ("i18n", 0),
    ("files", 0), ("pages", 0), ("seeding", 0), ("compute", 0), ("memory", 0), ("samples", 0),
    ("weights", 1), ("media", 1), ("evaluation", 1),
    ("extractors", 2), ("fusion", 2),
    ("features", 3), ("data", 3),
    ("card", 4), ("training", 4), ("checkpoint", 4),
    ("predictor", 5), ("report", 5), ("runs", 5),
    ("serve", 6), ("cli", 6), ("__main__", 6),
]  # fmt: skip


def rank(module: str) -> int:
    room = ([*module.split("."), ""])[1]
    return dict(RANKS)[room]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("trisent."):
            names.add(node.module)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("trisent.")}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    module = ".".join(("trisent", *path.relative_to(PACKAGE).with_suffix("").parts))
    if module == "trisent.__init__":
        return  # the list of public names, imported on demand
    for other in imported(path):
        assert rank(other) <= rank(module), f"{module} must not import {other}"


@pytest.mark.parametrize("path", [*SOURCES, *(ROOT / "scripts").glob("*.py"), *(ROOT / "tests").rglob("*.py")], ids=str)
def test_no_file_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


ENTRIES = [
    *(ROOT / "src" / "features").iterdir(),
    *(ROOT / "src" / "models").iterdir(),
    ROOT / "scripts/train_pretrained.py",
]


@pytest.mark.parametrize("path", [p for p in ENTRIES if p.name != "__pycache__"], ids=lambda p: p.name)
def test_entry_files_are_short_and_define_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    assert not any(isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda) for n in ast.walk(ast.parse(text)))


def test_the_guides_entry_files_are_there_and_nothing_else() -> None:
    names = {f"{p.parent.name}/{p.name}" for p in ENTRIES if p.name != "__pycache__"}
    extractors = {f"features/{name}_extractor.py" for name in ("bert", "wav2vec", "resnet")}
    assert names == extractors | {"models/fusion_module_v2.py", "scripts/train_pretrained.py"}


def test_public_names_are_those_in_all_and_each_can_be_had() -> None:
    assert trisent.__all__ == sorted(trisent.__all__)
    assert [n for n in dir(trisent) if n != "__version__"] == trisent.__all__
    for name in trisent.__all__:
        assert getattr(trisent, name).__doc__, name


def test_importing_trisent_and_asking_for_help_load_neither_torch_nor_transformers() -> None:
    code = """
import sys, trisent, trisent.weights
from trisent.cli import main
main(["--help"])
print([m for m in ("torch", "transformers", "av", "huggingface_hub") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.splitlines()[-1] == "[]"


def test_commands_that_use_no_network_do_not_wait_for_torch(tmp_path: Path) -> None:
    code = """
import sys
from trisent.cli import main
for words in (["data", "sample", "s"], ["data", "inspect", "s"], ["data", "audit", "s"], ["score", "p.csv"],
              ["compare", "p.csv", "p.csv"], ["weights", "list"], ["weights", "where"],
              ["extract", "absent", "--out", "o"]):
    main(words)
    assert "torch" not in sys.modules, words
"""
    (tmp_path / "p.csv").write_text("id,label,prediction\na,1,0.5\nb,-1,-0.5\n")
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_environment(), cwd=tmp_path, timeout=200
    )
    assert done.returncode == 0, done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


# headings and states, which reach `t` through variables
WORDS_IN_TABLES = [
    "time",
    "what is said",
    "sentiment",
    "class",
    "name",
    "preset",
    "modality",
    "megabytes",
    "licence",
    "state",
    "subject",
    "detail",
]
WORDS_IN_TABLES += ["here", "not here", "damaged"]


def literals_given_to_t() -> set[str]:
    """Collect every text that goes through `t`, in Python (also by way of a name) and in templates."""
    found: set[str] = set()
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        messages: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                        messages.setdefault(target.id, set()).add(node.value.value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t" and node.args:
                argument = node.args[0]
                if isinstance(argument, ast.Constant):
                    found.add(str(argument.value))
                elif isinstance(argument, ast.Name) and argument.id in messages:
                    found |= messages[argument.id]
    templates = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.html.j2"))
    return found | {m[2] for m in re.finditer(r"\bt\((['\"])(.*?)\1", templates)}


def test_every_message_has_chinese_with_the_same_places_to_fill() -> None:
    def fields(text: str) -> list[str]:
        return sorted(set(re.findall(r"\{([a-z_0-9]+)", text)))

    spoken = literals_given_to_t() | {*MODALITIES, *CLASS_NAMES, *WORDS_IN_TABLES}
    missing = sorted(text for text in spoken if text not in chinese())
    assert missing == []
    assert {e: z for e, z in chinese().items() if fields(e) != fields(z)} == {}


def test_the_chinese_table_is_sorted_json_without_twins() -> None:
    text = (PACKAGE / "locale" / "zh.json").read_text(encoding="utf-8")
    keys = [k for k, _ in json.loads(text, object_pairs_hook=lambda pairs: pairs)]
    assert keys == sorted(set(keys))


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(\d[^\]]*)\]", text, re.MULTILINE)[1] == trisent.__version__  # type: ignore[index]


@pytest.mark.parametrize("command", [["ruff", "format", "--check"], ["ruff", "check"], ["mypy"]], ids=" ".join)
def test_the_code_is_clean(command: list[str]) -> None:
    importlib.import_module(command[0])
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
