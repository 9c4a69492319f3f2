"""Memory that a process of trisent's frees stays with it."""

import subprocess
import sys
from pathlib import Path

import pytest

import trisent

BIG = """
import sys
from pathlib import Path
if "keep" in sys.argv:
    from trisent.memory import keep_memory
    keep_memory()
import numpy as np
faults = lambda: int(Path("/proc/self/stat").read_text().rsplit(")")[1].split()[7])
def use():
    np.ones(16_000_000, np.float32)  # 64 MB
use()
before = faults()
use()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is what this is about")
@pytest.mark.parametrize("keep", [True, False])
def test_a_large_block_is_had_again_without_asking_the_system(keep: bool) -> None:
    environment = {"PYTHONPATH": str(Path(trisent.__file__).parents[1]), "NUMPY_MADVISE_HUGEPAGE": "0"}
    command = [sys.executable, "-c", BIG, *(["keep"] if keep else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 1000) == keep  # else one a page of 4 KB: 15,625
