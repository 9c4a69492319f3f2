"""A data set with nothing wrong in it: 60 videos, labels in thirds, features that say a little of them."""

import numpy as np

from trisent.data.dataset import Dataset, sequences
from trisent.types import Features, Floats, Modality

WIDTHS: dict[Modality, int] = {"text": 16, "audio": 8, "video": 6}
_NOISE: dict[Modality, float] = {"text": 1.5, "audio": 4.0, "video": 5.0}


def clean_set(seed: int = 0) -> Dataset:
    """Make 60 videos of 6 to 9 clips; 40 videos are in train, 8 in valid, 12 in test. The set is aligned."""
    random = np.random.default_rng(seed)
    ids, splits, videos, texts, spans = [], [], [], [], []
    for v in range(60):
        split = "train" if v < 40 else "valid" if v < 48 else "test"
        start = 0.0
        for clip in range(int(random.integers(6, 10))):
            seconds = float(random.uniform(2, 8))
            ids.append(f"v{v:03}$_${clip}")
            splits.append(split)
            videos.append(f"v{v:03}")
            texts.append(" ".join(f"word{k}" for k in random.integers(0, 3000, 12)))
            spans.append((start, start + seconds))
            start += seconds + 0.5
    n = len(ids)
    hidden = random.standard_normal((n, 4))
    sentiment = np.clip(np.rint(3 * (0.9 * hidden.sum(axis=1) / 2 + 0.2)) / 3, -3, 3).astype(np.float32)
    lengths = random.integers(3, 12, n)
    features = {}
    for modality, width in WIDTHS.items():
        mixing = random.standard_normal((4, width)) / 2
        rows = [
            Features(
                (hidden[i] @ mixing + _NOISE[modality] * random.standard_normal((lengths[i], width)) / 2
                 + _NOISE[modality] * random.standard_normal(width)).astype(np.float32),
                np.arange(lengths[i], dtype=np.float32) * np.float32(0.15),
                np.ones(lengths[i], bool),
            )
            for i in range(n)
        ]  # fmt: skip
        features[modality] = sequences(rows, width)
    anger: Floats = (np.rint(3 * random.uniform(0, 1, n)) / 3).astype(np.float32)
    labels = {"sentiment": sentiment, "anger": anger}
    return Dataset("clean", "made", tuple(ids), tuple(splits), labels, features, tuple(texts), tuple(videos),
                   np.array(spans, np.float32))  # fmt: skip
