"""Run `trisent` as a person does: a process of its own, its output taken apart."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.forks import run_module

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def trisent(tmp_path: Path) -> Run:
    """Run `trisent WORDS` in an empty folder; environment variables as keywords, None takes one away."""

    def run(*words: object, **environment: str | None) -> subprocess.CompletedProcess[str]:
        # One thread: two would fight with whatever else tests on this machine.
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TRISENT_LANG": "en", "OMP_NUM_THREADS": "1"}
        variables |= {k: v for k, v in environment.items() if v is not None}
        for name in (k for k, v in environment.items() if v is None):
            variables.pop(name, None)
        return run_module("trisent", [*map(str, words)], folder=tmp_path, environment=variables)

    return run


def run_in_bash(script: str, folder: Path, *, source: Path = ROOT / "src") -> subprocess.CompletedProcess[str]:
    """Run a block of commands, where `python` is this Python and `trisent` that of `source`, installed or not.

    The first command that fails ends it.
    """
    programs = folder.parent / f"{folder.name}-bin"
    programs.mkdir(exist_ok=True)
    for name, words in (("trisent", f'"{sys.executable}" -m trisent "$@"'), ("python", f'"{sys.executable}" "$@"')):
        (programs / name).write_text(f"#!/bin/sh\nexec {words}\n")
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
        "OMP_NUM_THREADS": "1",
        "TRISENT_LANG": "en",
    }
    command = ["bash", "-e", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
