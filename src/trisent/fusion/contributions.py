"""How much each modality contributed to a judgement: exact Shapley values over the subsets of modalities.

The same definition for every fusion model, so contributions of two models can be compared. With three modalities there
are eight subsets, and the values are exact: Shapley 1953, "A value for n-person games".
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.types import Modality


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
    subsets = [frozenset(s) for size in range(len(modalities) + 1) for s in combinations(modalities, size)]
    outputs: dict[frozenset[Modality], Output] = {s: model(batch.only(tuple(s))) for s in subsets}
    shapley: dict[Modality, Tensor] = {}
    n = len(modalities)
    for modality in modalities:
        total = torch.zeros_like(outputs[frozenset()].sentiment)
        for subset in (s for s in subsets if modality not in s):
            weight = 1 / (n * comb(n - 1, len(subset)))
            total += weight * (outputs[subset | {modality}].sentiment - outputs[subset].sentiment)
        shapley[modality] = total
    alone = {m: outputs[frozenset({m})].sentiment for m in modalities}
    return Contributions(outputs[frozenset(modalities)], alone, shapley, outputs[frozenset()].sentiment)
