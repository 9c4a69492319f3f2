"""What an extractor is: a frozen pretrained encoder with its preprocessing."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from trisent.types import Features, Modality, Provenance

Raw = TypeVar("Raw", contravariant=True)
"""Of one utterance: str or words (text), float32 mono 16 kHz (audio), Frames (video)."""


class Extractor(Protocol[Raw]):
    """Implement one method, inherit nothing.

    `dim` is the width of the features. What an extractor gives for an utterance does not depend on the others in the
    batch. An utterance in which there is nothing to see gives features whose mask is all False, or no steps at all.
    """

    modality: Modality
    dim: int
    provenance: Provenance

    def extract(self, batch: Sequence[Raw]) -> list[Features]: ...
