"""Features of one step an utterance, as the guide's format and most simple models have them."""

from dataclasses import replace

from trisent.data.dataset import Dataset, Sequences, sequences


def pool(dataset: Dataset) -> Dataset:
    """Average the visible steps of every utterance; one that has none stays without."""
    return replace(dataset, features={modality: _pool(s) for modality, s in dataset.features.items()})


def _pool(s: Sequences) -> Sequences:
    return sequences([s.of(i).as_one_step() for i in range(len(s))], s.dim)
