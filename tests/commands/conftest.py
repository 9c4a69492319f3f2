"""Run `trisent` as a person does: a process of its own, its output taken apart."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
        command = [sys.executable, "-m", "trisent", *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    return run
