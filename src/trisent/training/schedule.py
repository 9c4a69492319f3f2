"""The learning rate of a step, as a share of the highest."""

import math


def rate_share(step: int, *, steps: int, warmup: float, schedule: str) -> float:
    """Give the share for a step, counted from 0.

    >>> [rate_share(i, steps=6, warmup=1 / 3, schedule="linear") for i in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]

    Args:
        step: which one.
        steps: how many there will be.
        warmup: share of them in which the rate rises on a line.
        schedule: "constant", "cosine" or "linear", what follows.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(steps - rising, 1)
    match schedule:
        case "linear":
            return 1 - done
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
    return 1.0
