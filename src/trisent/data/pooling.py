"""Features of one step an utterance, as the guide's format and most simple models have them."""

from dataclasses import replace

import numpy as np

from trisent.data.dataset import Dataset, Sequences, sequences
from trisent.types import Features


def pool(dataset: Dataset) -> Dataset:
    """Average the visible steps of every utterance; one that has none stays without."""
    return replace(dataset, features={modality: _pool(s) for modality, s in dataset.features.items()})


def _pool(s: Sequences) -> Sequences:
    means = [s.of(i).pooled() for i in range(len(s))]
    unknown, seen = np.full(1, np.nan, np.float32), np.ones(1, np.bool_)
    nothing = Features(np.zeros((0, s.dim), np.float32), unknown[:0], seen[:0])
    return sequences([nothing if mean is None else Features(mean[None], unknown, seen) for mean in means], s.dim)
