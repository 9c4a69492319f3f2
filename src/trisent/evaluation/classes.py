"""The rules that make classes of a sentiment. Two go by the name "Acc-7" and agree on two utterances in three."""

import numpy as np
from numpy.typing import NDArray

from trisent.evaluation.predictions import Numbers

Classes = NDArray[np.int64]


def rounded_classes(sentiment: Numbers, limit: int) -> Classes:
    """Clip to ±limit and round half to even: the rule of MulT and MMSA.

    >>> rounded_classes(np.array([-3.6, -0.5, 0.5, 1.5, 2.5]), 3).tolist()
    [-3, 0, 0, 2, 2]
    """
    return np.rint(np.clip(sentiment, -limit, limit)).astype(np.int64)


def cmu_classes(sentiment: Numbers, limit: int) -> Classes:
    """Round away from zero and cut at ±limit; only an exact 0 is neutral: the rule of CMU's own SDK.

    >>> cmu_classes(np.array([-2.1, -2.0, -0.1, 0.0, 0.1, 1.0, 1.1]), 3).tolist()
    [-3, -2, -1, 0, 1, 1, 2]
    """
    away = np.sign(sentiment) * np.ceil(np.abs(sentiment))
    classes: Classes = np.clip(away, -limit, limit).astype(np.int64)
    return classes


SIMS_SCALE = (-1.0, 1.0)  # of the labels of CH-SIMS

# classes -> upper edges of all bins but the last; a bin holds its upper edge, so 0 is negative among two classes
SIMS_EDGES = {2: (0.0,), 3: (-0.1, 0.1), 5: (-0.7, -0.1, 0.1, 0.7)}


def sims_classes(sentiment: Numbers, count: int) -> Classes:
    """Clip to [-1, 1] and sort into the bins of CH-SIMS; classes count from 0.

    >>> sims_classes(np.array([-0.1, 0.0, 0.1, 0.2]), 3).tolist()
    [0, 1, 1, 2]
    """
    # In float32 as MMSA does: a 0.1 that was saved as float32 has to meet the edge it was printed as.
    edges = np.array(SIMS_EDGES[count], np.float32)
    clipped = np.clip(sentiment, -1, 1).astype(np.float32)
    return np.searchsorted(edges, clipped, side="left").astype(np.int64)


def like_sims(sentiment: NDArray[np.floating]) -> bool:
    """Say whether labels are those of CH-SIMS by their values: multiples of 0.2 that reach 1 or -1 and no further.

    >>> like_sims(np.float32([-1, 0.4, 0.0])), like_sims(np.float32([-1, 0.5])), like_sims(np.float32([-1, 0, 1]))
    (True, False, False)
    """
    fifths = 5 * sentiment[np.isfinite(sentiment)]
    if not len(fifths) or np.abs(fifths).max() != 5 or not np.allclose(fifths, np.rint(fifths), atol=1e-3):
        return False
    return bool((np.rint(fifths) % 5 != 0).any())  # -1, 0 and 1 alone are classes of something
