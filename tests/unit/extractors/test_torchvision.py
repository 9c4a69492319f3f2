"""Extractors beside a torchvision that is absent, broken, or works; a fake one stands in for the real one."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from trisent.extractors import backend
from unit.extractors import tiny
from unit.weights.tiny import environment

# What happens where torch is a CPU build: the package index has torchvision for CUDA only.
BROKEN = {"__init__.py": 'raise RuntimeError("operator torchvision::nms does not exist")'}
# Seen too: the package can be imported, what transformers takes from it cannot.
HALF_BROKEN = {"__init__.py": "", "transforms.py": "import torchvision.absent", "io.py": ""}
# What transformers takes from it at import.
WORKING = {
    "__init__.py": '__version__ = "0.28.0"\nfrom torchvision import io, transforms',
    "io/__init__.py": "",
    "transforms/__init__.py": """
from enum import Enum
from torchvision.transforms import functional
names = ("NEAREST", "NEAREST_EXACT", "BILINEAR", "BICUBIC", "BOX", "HAMMING", "LANCZOS")
InterpolationMode = Enum("InterpolationMode", names)
""",
    "transforms/functional.py": "def pil_to_tensor(picture): raise AssertionError",
}
EXTRACT = """
import sys, torch
torch.set_num_threads(1)
from trisent.extractors.registry import extractor_class
print(extractor_class("bert")("models/bert-base-uncased", device="cpu").extract(["good"])[0].values.shape)
extractor_class("wav2vec")("models/wav2vec2-base", device="cpu")
extractor_class("resnet")("models/resnet50", device="cpu")
extractor_class("whisper")("models/whisper", device="cpu")
"""


def install(files: dict[str, str]) -> Path:
    """Put a torchvision 0.28.0 of these files, with its metadata, where Python finds it."""
    site = Path("site").absolute()
    for name, text in files.items():
        path = site / "torchvision" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (site / "torchvision-0.28.0.dist-info").mkdir()
    (site / "torchvision-0.28.0.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.28.0\n")
    return site


def run(code: str, site: Path) -> subprocess.CompletedProcess[str]:
    inherited = environment()
    path = f"{site}{':' if sys.platform != 'win32' else ';'}{inherited['PYTHONPATH']}"
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env={**inherited, "PYTHONPATH": path})


@pytest.fixture
def placed() -> None:
    tiny.bert(Path("models/bert-base-uncased"))
    tiny.wav2vec(Path("models/wav2vec2-base"))
    tiny.resnet(Path("models/resnet50"))
    tiny.whisper(Path("models/whisper"))


def test_these_tests_themselves_run_without_torchvision_where_torch_is_a_cpu_build():
    import torch

    if torch.version.cuda is None:
        assert importlib.util.find_spec("torchvision") is None


@pytest.mark.usefixtures("placed")
def test_a_broken_torchvision_costs_one_line_of_warning_and_nothing_else():
    after = """
try:
    import torchvision
except RuntimeError as error:
    print(error)
"""
    done = run(EXTRACT + after, install(BROKEN))
    assert done.returncode == 0, done.stderr
    # Others who import it still see its own error.
    assert done.stdout.splitlines() == ["(3, 16)", "operator torchvision::nms does not exist"]
    [line] = [line for line in done.stderr.splitlines() if "torchvision" in line]
    assert "torchvision 0.28.0 is installed but cannot be imported" in line
    assert "operator torchvision::nms does not exist" in line
    assert "pip uninstall torchvision" in line


def test_a_torchvision_that_is_broken_further_inside_counts_as_broken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(install(HALF_BROKEN))
    assert backend._torchvision_fault() == "ModuleNotFoundError: No module named 'torchvision.absent'"
    assert not [name for name in sys.modules if name.startswith("torchvision")]


@pytest.mark.usefixtures("placed")
def test_somebody_who_imported_transformers_before_is_saved_from_the_broken_torchvision_too():
    before = """
import transformers
try:
    transformers.BertModel
except ModuleNotFoundError:
    print("broken")
"""
    done = run(before + EXTRACT, install(BROKEN))
    assert done.stdout == "broken\n(3, 16)\n", done.stderr


@pytest.mark.usefixtures("placed")
def test_where_a_broken_torchvision_cannot_be_hidden_the_error_is_one_line_with_the_fix():
    code = """
import transformers.utils
transformers.utils.is_torchvision_available = lambda: True
import trisent.cli.guard
def work():
    from trisent.extractors.text import BERTTextExtractor
    BERTTextExtractor("models/bert-base-uncased")
raise SystemExit(trisent.cli.guard.guarded(work))
"""
    done = run(code, install(BROKEN))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "pip uninstall torchvision" in last
    assert "install the build that fits torch" in last
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("placed")
def test_a_torchvision_that_works_disturbs_nothing():
    done = run(EXTRACT + "print('torchvision' in sys.modules)", install(WORKING))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["(3, 16)", "True"]
    assert "torchvision" not in done.stderr
