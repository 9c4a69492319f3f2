"""Tests here have a home of their own and no network; those marked `embedded` see the real weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def own_machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder on the CPU; unless the test needs real weights, with empty caches and no network."""
    monkeypatch.chdir(tmp_path)
    # On a GPU convolutions round to 10 bits (TF32): nothing to compare at 1e-5.
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if request.node.get_closest_marker("embedded"):
        request.getfixturevalue("embedded_weights")
        return
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    for variable in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: tiny networks are slower on several, and sums keep their order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
