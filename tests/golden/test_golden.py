"""Features of fixed inputs stay what they were; `python tests/golden/make.py` says that a change is meant."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from golden.make import MAKERS


@pytest.mark.parametrize("name", MAKERS)
def test_features_stay_what_they_were(name: str, tmp_path: Path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = MAKERS[name](tmp_path)
    finally:
        torch.set_num_threads(threads)
    stored = load_file(Path(__file__).parent / f"{name}.safetensors")
    assert made.keys() == stored.keys()
    for key, values in made.items():
        np.testing.assert_allclose(values, stored[key], atol=1e-4, rtol=1e-4, err_msg=key)
