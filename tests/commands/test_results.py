"""The page that compares the models is made by one command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.conftest import ROOT


@pytest.mark.data
@pytest.mark.slow
def test_a_table_has_every_model_with_deviation_interval_and_what_needs_no_model(tmp_path: Path) -> None:
    data = os.environ.get("TRISENT_DATA")
    if data is None:
        pytest.skip("TRISENT_DATA is unset")
    program = [sys.executable, ROOT / "scripts" / "results.py", data, tmp_path / "out"]
    options = ["--sets", "videos", "--models", "lmf,tfn", "--seeds", "2"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/results.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    assert {"predict 0", "predict the mean", "best constant", "ridge on text", "`lmf`", "`tfn`"} <= rows.keys()
    assert "635 for training, 86 judged" in page
    figures = json.loads((tmp_path / "out/results.json").read_text(encoding="utf-8"))["videos"]["lmf"]["figures"]
    assert len(figures["mae"]["seeds"]) == 2
    assert f"{figures['mae']['mean']:.3f} ± {figures['mae']['std']:.3f}" in rows["`lmf`"]
    low, high = figures["mae"]["interval"]
    assert low < figures["mae"]["mean"] < high
