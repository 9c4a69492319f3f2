"""How much each modality contributed to a judgement: exact Shapley values over the subsets of modalities.

The same definition for every fusion model, so contributions of two models can be compared. With three modalities there
are eight subsets, and the values are exact: Shapley 1953, "A value for n-person games".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.types import Modality

Subset = frozenset[Modality]
Worth = TypeVar("Worth", float, Tensor, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Contributions:
    """`alone` and `shapley`: modality -> sentiment [n]; `baseline` [n] is judged from nothing.

    The Shapley values of a row sum to its sentiment minus its baseline; an absent modality's is 0.
    """

    output: Output
    alone: dict[Modality, Tensor]
    shapley: dict[Modality, Tensor]
    baseline: Tensor


@torch.inference_mode()
def contributions(model: nn.Module, batch: Batch) -> Contributions:
    """Judge a batch with every subset of its modalities. The model must be in evaluation mode."""
    modalities = tuple(batch.values)
    outputs: dict[Subset, Output] = {s: model(batch.only(tuple(s))) for s in subsets(modalities)}
    shares = shapley({s: output.sentiment for s, output in outputs.items()}, modalities)
    alone = {m: outputs[frozenset({m})].sentiment for m in modalities}
    return Contributions(outputs[frozenset(modalities)], alone, shares, outputs[frozenset()].sentiment)


def subsets(modalities: Sequence[Modality]) -> list[Subset]:
    """List every subset, from none to all.

    >>> [sorted(s) for s in subsets(("text", "audio"))]
    [[], ['text'], ['audio'], ['audio', 'text']]
    """
    return [frozenset(s) for size in range(len(modalities) + 1) for s in combinations(modalities, size)]


def shapley(worth: Mapping[Subset, Worth], modalities: Sequence[Modality]) -> dict[Modality, Worth]:
    """Share what all modalities are worth together, beyond what none is worth, among them.

    >>> shapley({frozenset(): 0.0, frozenset({"text"}): 4.0, frozenset({"audio"}): 1.0,
    ...          frozenset({"text", "audio"}): 7.0}, ("text", "audio"))
    {'text': 5.0, 'audio': 2.0}
    """
    n = len(modalities)
    shares = {}
    for modality in modalities:
        terms = [
            1 / (n * comb(n - 1, len(s))) * (worth[s | {modality}] - worth[s])
            for s in subsets(modalities)
            if modality not in s
        ]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        shares[modality] = total
    return shares
