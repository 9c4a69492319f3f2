"""Every test here has a home and a folder of its own, a server on 127.0.0.1, and no proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.fetching import DATA
from faults.server import FaultServer, fault_server
from loopback import forget_settings
from trisent.weights import sources


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setattr(sources, "_down", {})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server({"/f": DATA}) as running:
        yield running


@pytest.fixture
def other() -> Iterator[FaultServer]:
    """Run a second source."""
    with fault_server({"/f": DATA}) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give the place the file is to appear at."""
    return tmp_path / "weights" / "f"
