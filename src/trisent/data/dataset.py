"""A data set: utterances with features, labels, texts and splits, whatever file they were read from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Features, Floats, Modality, Provenance

SENTIMENT = "sentiment"
"""Name of the label that models learn; others are "text", "audio", "video" (SIMS judges each alone) and emotions."""
EMOTIONS = ("happiness", "sadness", "anger", "surprise", "disgust", "fear")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Sequences:
    """One modality of many utterances, laid end to end: utterance i owns the rows offsets[i] to offsets[i + 1].

    Attributes:
        values: [rows, dim], float32 or float16, in memory or mapped. May hold NaN and infinity until it is cleaned.
        offsets: int64 [utterances + 1].
        times: float32 [rows], seconds from the beginning of the utterance; NaN where nobody knows.
        mask: bool [rows], False where a step could not be seen, or is padding.

    Raises:
        DataError: the arrays do not fit together.
    """

    values: NDArray[np.floating]
    offsets: NDArray[np.int64]
    times: Floats
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        rows = len(self.values)
        fits = self.values.ndim == 2 and self.times.shape == self.mask.shape == (rows,)
        if not fits or self.offsets[0] != 0 or self.offsets[-1] != rows or (np.diff(self.offsets) < 0).any():
            message = t(
                "features {values}, times {times}, mask {mask} and {n} offsets up to {last} do not fit together",
                values=list(self.values.shape),
                times=list(self.times.shape),
                mask=list(self.mask.shape),
                n=len(self.offsets),
                last=self.offsets[-1] if len(self.offsets) else None,
            )
            raise DataError(message)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def dim(self) -> int:
        """Width of the features."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each utterance [utterances]."""
        return np.diff(self.offsets)

    def of(self, i: int) -> Features:
        """Return the features of one utterance, as float32."""
        rows = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
        return Features(self.values[rows].astype(np.float32), self.times[rows], self.mask[rows])

    def take(self, index: NDArray[np.int64]) -> "Sequences":
        """Return the utterances `index`, in that order; copies their rows."""
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Sequences(self.values[rows], offsets, self.times[rows], self.mask[rows])


def sequences(utterances: Sequence[Features], dim: int) -> Sequences:
    """Lay features end to end; an utterance without any has no steps.

    >>> one = Features(np.ones((2, 3), np.float32), np.zeros(2, np.float32), np.ones(2, bool))
    >>> sequences([one, one], 3).offsets.tolist()
    [0, 2, 4]
    """
    empty = np.zeros((0, dim), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_)
    return Sequences(
        np.concatenate([empty[0], *(u.values for u in utterances)]),
        np.concatenate([[0], np.cumsum([len(u.values) for u in utterances])]).astype(np.int64),
        np.concatenate([empty[1], *(u.times for u in utterances)]).astype(np.float32),
        np.concatenate([empty[2], *(u.mask for u in utterances)]),
    )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Utterances side by side; every tuple and array has one place an utterance.

    Attributes:
        name: what people call it: the stem of the file or folder.
        format: name of the reader.
        ids: unique.
        splits: "train", "valid", "test", or "" where an utterance is in none.
        labels: by name, float32 [utterances], NaN where unknown; `SENTIMENT` is always there.
        features: by modality; an utterance without any has no steps.
        texts: what is said, "" where unknown.
        videos: which video an utterance is from, "" where unknown.
        spans: start and end in its video [utterances, 2], seconds, NaN where unknown.
        scale: lowest and highest sentiment; SIMS has -1 and 1, which models see stretched to -3 and 3.
        provenance: where features come from, by modality, where known.
        preset: whose extractors made them, where known.
        synthetic: made of random numbers.
        notes: what reading changed, or could not keep, a sentence each.

    Raises:
        DataError: the parts do not fit together, or an id comes twice.
    """

    name: str
    format: str
    ids: tuple[str, ...]
    splits: tuple[str, ...]
    labels: Mapping[str, Floats]
    features: Mapping[Modality, Sequences]
    texts: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    spans: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    scale: tuple[float, float] = (SENTIMENT_MIN, SENTIMENT_MAX)
    provenance: Mapping[Modality, Provenance] = field(default_factory=dict)
    preset: str | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    @property
    def stretch(self) -> float:
        """Return by how much sentiment is stretched to fill the range of models and classes: 1, and 3 for SIMS."""
        low, high = self.scale
        return SENTIMENT_MAX / max(-low, high)

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name, unknown in (("texts", ("",) * n), ("videos", ("",) * n)):
            if not getattr(self, name):
                object.__setattr__(self, name, unknown)
        if not len(self.spans):
            object.__setattr__(self, "spans", np.full((n, 2), np.nan, np.float32))
        counts = {"splits": len(self.splits), "texts": len(self.texts), "videos": len(self.videos)}
        counts |= {"spans": len(self.spans)} | {f"labels {name}": len(v) for name, v in self.labels.items()}
        counts |= {f"{modality} features": len(s) for modality, s in self.features.items()}
        if wrong := {name: count for name, count in counts.items() if count != n}:
            raise DataError(t("{name}: {n} utterances, but {wrong}", name=self.name, n=n, wrong=wrong))
        if len(set(self.ids)) < n:
            twice = Counter(self.ids).most_common(1)[0][0]
            raise DataError(t("{name}: the utterance {utterance} comes twice", name=self.name, utterance=twice))
        if SENTIMENT not in self.labels:
            raise DataError(t("{name}: there is no sentiment", name=self.name))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sentiment(self) -> Floats:
        """The label that models learn [utterances], NaN where unknown."""
        return self.labels[SENTIMENT]

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of each modality's features."""
        return {modality: s.dim for modality, s in self.features.items()}

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which utterances have a sentiment and a split [utterances]: no toolkit learns from others."""
        return np.isfinite(self.sentiment) & np.isin(np.array(self.splits, dtype=object), SPLITS)

    def index(self, split: str) -> NDArray[np.int64]:
        """Return the numbers of the utterances of a split."""
        return np.flatnonzero(np.array(self.splits, dtype=object) == split)

    def take(self, index: NDArray[np.int64]) -> "Dataset":
        """Return the utterances `index`, in that order."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            splits=tuple(self.splits[i] for i in index),
            labels={name: values[index] for name, values in self.labels.items()},
            features={modality: s.take(index) for modality, s in self.features.items()},
            texts=tuple(self.texts[i] for i in index),
            videos=tuple(self.videos[i] for i in index),
            spans=self.spans[index],
        )

    def split(self, name: str) -> "Dataset":
        """Return the utterances of one split."""
        return self.take(self.index(name))
