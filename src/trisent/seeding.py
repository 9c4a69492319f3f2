"""Randomness from a seed, without touching the generators of the process."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, step: int = 0, *, device: torch.device | None = None) -> Iterator[None]:
    """Draw from torch's generators seeded by (seed, step) inside, and leave them as they were.

    Args:
        seed: the run's seed.
        step: a number a repeated use, such as the epoch: the same pair draws the same numbers.
        device: also seed this GPU.
    """
    number = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    gpu = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if gpu else []):
        torch.default_generator.manual_seed(number)
        if gpu:
            torch.cuda.manual_seed(number)
        yield
