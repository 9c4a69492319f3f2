"""Every test here has a home and a folder of its own, a server on 127.0.0.1, and no proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.fetching import DATA
from faults.server import FaultServer, fault_server
from trisent.weights import sources

_UNSET = (
    *("HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_OFFLINE"),
    *("TRANSFORMERS_OFFLINE", "TRISENT_OFFLINE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _UNSET:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TRISENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
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
