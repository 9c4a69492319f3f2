"""Tests here have empty caches and no network; a small data set and tiny encoders are made once."""

from pathlib import Path

import pytest

from unit.features.corpus import corpus, encoders


@pytest.fixture(autouse=True)
def own_caches(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide weights and network of this machine, unless the test needs real weights."""
    if request.node.get_closest_marker("embedded"):
        request.getfixturevalue("embedded_weights")
        return
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    for variable in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "caches" / variable))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give twelve clips in the field's layout; to be copied by whoever changes them."""
    return corpus(tmp_path_factory.mktemp("MOSEI 样本"))


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give three tiny encoders as settings name them."""
    return encoders(tmp_path_factory.mktemp("encoders"))
