"""The benchmarks run; what figures they print is not looked at."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = {
    "corpus_cost.py": (),
    "data.py": ("--quick", "--folder", "{folder}"),
    "extract.py": ("--quick", "--folder", "{folder}"),
    "store.py": ("--utterances", "40", "--sequences", "40", "--rounds", "1", "--folder", "{folder}"),
    "train.py": ("--quick",),
    "weights.py": ("--megabytes", "1", "--rounds", "1", "--folder", "{folder}"),
}


def test_every_benchmark_is_run_here() -> None:
    programs = {path.name for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert programs == TINY.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_prints_its_tables(name: str, tmp_path: Path) -> None:
    arguments = [argument.format(folder=tmp_path) for argument in TINY[name]]
    done = subprocess.run([sys.executable, BENCHMARKS / name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) > 3, done.stdout
    # A row may only be missing for want of a package that nobody has to have.
    absent = re.compile("not run: .*(cannot be imported|No module named)")
    assert not [line for line in table if "not run" in line and not absent.search(line)]
    assert not re.search(r"\b(nan|inf)\b", "".join(table))
    assert not list(tmp_path.iterdir())  # it tidies up
