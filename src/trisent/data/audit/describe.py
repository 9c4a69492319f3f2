"""What is in a data set: counts, lengths, labels. Nothing here reads the values of features."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import SPLITS, Dataset, Sequences
from trisent.data.resplit import CLASSES, classes_of, split_digest, videos_of
from trisent.evaluation.breakdown import count_words
from trisent.types import Modality


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split: `classes` counts the sentiments that round to each of the seven classes; None is what is unknown."""

    utterances: int
    labelled: int
    videos: int
    hours: float | None
    words: int
    mean: float | None
    std: float | None
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModalityFacts:
    """One modality: width, how many utterances have it, and how many steps these have."""

    dim: int
    utterances: int
    steps: int
    shortest: int
    median: float
    longest: int


@dataclass(frozen=True, slots=True)
class Description:
    """A data set in numbers; `splits` holds only those that have utterances, "" for those in none."""

    name: str
    format: str
    utterances: int
    videos: int
    scale: tuple[float, float]
    digest: str
    labels: Mapping[str, int]
    splits: Mapping[str, SplitFacts]
    modalities: Mapping[Modality, ModalityFacts]
    synthetic: bool
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def describe(dataset: Dataset) -> Description:
    """Count what is in a data set."""
    videos = videos_of(dataset)
    return Description(
        name=dataset.name,
        format=dataset.format,
        utterances=len(dataset),
        videos=len({v for v in videos if v}),
        scale=dataset.scale,
        digest=split_digest(dataset),
        labels={name: int(np.isfinite(values).sum()) for name, values in dataset.labels.items()},
        splits={
            split: _split_facts(dataset, index=index, videos=videos)
            for split in (*SPLITS, "")
            if len(index := dataset.index(split))
        },
        modalities={modality: _modality_facts(s) for modality, s in dataset.features.items()},
        synthetic=dataset.synthetic,
        notes=dataset.notes,
    )


def _split_facts(dataset: Dataset, *, index: NDArray[np.int64], videos: tuple[str, ...]) -> SplitFacts:
    sentiment = dataset.sentiment[index]
    known = sentiment[np.isfinite(sentiment)].astype(np.float64)
    spans = dataset.spans[index].astype(np.float64)
    seconds = spans[:, 1] - spans[:, 0]
    seconds = seconds[np.isfinite(seconds)]
    classes = classes_of(sentiment, dataset.scale)
    return SplitFacts(
        utterances=len(index),
        labelled=len(known),
        videos=len({videos[i] for i in index} - {""}),
        hours=float(seconds.sum() / 3600) if len(seconds) else None,
        words=sum(count_words(dataset.texts[i]) for i in index),
        mean=float(known.mean()) if len(known) else None,
        std=float(known.std()) if len(known) else None,
        classes=tuple(np.bincount(classes[classes >= 0], minlength=CLASSES).tolist()),
    )


def _modality_facts(s: Sequences) -> ModalityFacts:
    lengths = s.lengths[s.lengths > 0]
    none = not len(lengths)
    return ModalityFacts(
        dim=s.dim,
        utterances=len(lengths),
        steps=int(lengths.sum()),
        shortest=0 if none else int(lengths.min()),
        median=0.0 if none else float(np.median(lengths)),
        longest=0 if none else int(lengths.max()),
    )
