"""The real data behind the bundle `embedded`: pooled features of each set, and what sentiment goes with each emotion.

Read by train_embedded.py; docs/en/embedded.md describes the files.
"""

import csv
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save
from torch import Tensor

from trisent.files import write_whole
from trisent.media.sound import read_waveform
from trisent.types import Features

logger = logging.getLogger("trisent")

EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]
# The third part of a RAVDESS file name; "calm" is heard as neutral by most listeners.
RAVDESS = {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry", "06": "fear", "07": "disgust"}
RAVDESS["08"] = "surprise"
MOSEI = {"happy": "happy", "sad": "sad", "angry": "anger", "fear": "fear", "disgust": "disgust", "surprise": "surprise"}
CLEAR = 1.0  # mean rating, of 0 to 3, from which an emotion counts as clearly there


@dataclass(frozen=True)
class Rows:
    """Pooled features: `mean` and `std` [n, dim] over the steps, and a fact about each row, such as its label."""

    mean: Tensor
    std: Tensor
    facts: dict[str, np.ndarray]


def cached(file: Path, make: Callable[[], Iterator[Features]], total: int) -> tuple[Tensor, Tensor]:
    """Return mean and spread over time of the features that `make` yields, from `file` if it was made before."""
    if not file.is_file():
        means, stds = [], []
        for i, features in enumerate(make()):
            means.append(features.values.mean(axis=0, dtype=np.float64))
            stds.append(features.values.std(axis=0, dtype=np.float64))
            if i % 500 == 0:
                logger.info("%s: %d of %d", file.stem, i, total)
        arrays = {"mean": np.stack(means).astype(np.float32), "std": np.stack(stds).astype(np.float32)}
        write_whole(file.parent, {file.name: save(arrays)})
    arrays = load_file(file)
    return torch.from_numpy(arrays["mean"]), torch.from_numpy(arrays["std"])


def text_rows(data: Path, cache: Path, extractor: Any) -> Rows:
    """Embed the transcripts of MOSEI train and valid."""
    with (data / "mosei_text" / "label.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))

    def make() -> Iterator[Features]:
        for first in range(0, len(table), 256):
            yield from extractor.extract([row["text"] for row in table[first : first + 256]])

    mean, std = cached(cache / "mosei_text.safetensors", make, len(table))
    facts = {"label": np.array([float(r["label"]) for r in table], np.float32)}
    facts |= {name: np.array([r[name] for r in table]) for name in ("mode", "video_id")}
    return Rows(mean, std, facts)


def audio_rows(data: Path, cache: Path, extractor: Any) -> Rows:
    """Listen to every RAVDESS file."""
    files = sorted((data / "ravdess_speech16k" / "wav").glob("*.flac"))

    def make() -> Iterator[Features]:
        for path in files:
            yield from extractor.extract([read_waveform(path)])

    mean, std = cached(cache / "ravdess.safetensors", make, len(files))
    emotions = [RAVDESS[p.stem.split("-")[2]] for p in files]
    actors = [int(p.stem.split("-")[6]) for p in files]
    return Rows(mean, std, {"emotion": np.array([EMOTIONS.index(e) for e in emotions]), "actor": np.array(actors)})


def face_rows(data: Path, cache: Path, extractor: Any, split: str) -> Rows:
    """Look at every face of a FER-2013 split; the pictures are faces already."""
    with np.load(data / "fer2013" / f"{split}.npz", allow_pickle=False) as file:
        images, labels, classes = file["images"], file["labels"], [str(c) for c in file["classes"]]

    def make() -> Iterator[Features]:
        for first in range(0, len(images), 256):
            for row in extractor.encode(list(images[first : first + 256])):
                yield Features(row[None], np.zeros(1, np.float32), np.ones(1, np.bool_))

    mean, std = cached(cache / f"fer2013_{split}.safetensors", make, len(images))
    return Rows(mean, std, {"emotion": np.array([EMOTIONS.index(_emotion(classes[i])) for i in labels])})


def _emotion(name: str) -> str:
    """Match FER-2013's class names, whatever their spelling ("Anger", "fearful") to ours."""
    return next(e for e in EMOTIONS if name.lower()[:3] == e[:3])


def emotion_sentiment(data: Path) -> dict[str, tuple[float, float, int]]:
    """Measure what sentiment goes with each emotion: mean, standard deviation and number of MOSEI train utterances.

    An utterance shows an emotion that is rated 1 or more and above all others; it is neutral if all ratings are 0.
    Fear is taken together with sadness, anger and disgust: only 84 utterances show it clearly, most of them about
    frightening films, so their sentiment is the film's, not the speaker's.
    """
    with (data / "mosei_text" / "emotions.csv").open(encoding="utf-8", newline="") as file:
        table = [row for row in csv.DictReader(file) if row["mode"] == "train" and row["happy"]]
    sentiment = np.array([float(row["sentiment_mmsa"]) for row in table])
    ratings = {ours: np.array([float(row[theirs]) for row in table]) for ours, theirs in MOSEI.items()}
    shows = {"neutral": np.stack(list(ratings.values())).max(axis=0) == 0}
    for name, rating in ratings.items():
        others = np.stack([r for n, r in ratings.items() if n != name]).max(axis=0)
        shows[name] = (rating >= CLEAR) & (rating > others)
    shows["fear"] = shows["fear"] | shows["sad"] | shows["angry"] | shows["disgust"]
    return {
        e: (float(sentiment[shows[e]].mean()), float(sentiment[shows[e]].std()), int(shows[e].sum())) for e in EMOTIONS
    }
