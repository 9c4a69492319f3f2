"""What benchmarks/data.py reads: random numbers in the shapes of the field's files."""

import json
import math
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trisent.data import readers
from trisent.data.csd.folds import official_folds
from trisent.data.dataset import SPLITS, Dataset, Sequences

BATCH = 32
PARTS = (0.714, 0.082, 0.204)  # of CMU-MOSEI's utterances: train, valid, test
WORDS_S, UTTERANCES_A_VIDEO = 2.5, 7
DISTINCT = 20  # videos that differ; the others are copies of these, to be read and unpacked all the same


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to make."""

    megabytes: int
    videos: int
    seconds: int
    utterances: int


def random_like(rng: np.random.Generator, *shape: int) -> Any:
    """Draw numbers of 11 bits, as float32: gzip makes a file of them smaller, as it does with real features."""
    return rng.standard_normal(shape, np.float32).astype(np.float16).astype(np.float32)


def labels_like(rng: np.random.Generator, n: int) -> Any:
    """Draw sentiment in thirds, as CMU-MOSEI has it."""
    return np.clip(np.rint(rng.standard_normal(n) * 3.3 + 0.5) / 3, -3, 3).astype(np.float32)


def texts_like(rng: np.random.Generator, lengths: Any) -> list[str]:
    """Draw words, some of them often."""
    words = np.minimum(rng.zipf(1.3, int(lengths.sum())), 20_000)
    return [" ".join(f"w{w}" for w in own) for own in np.split(words, np.cumsum(lengths)[:-1])]


def make_pickle(folder: Path, sizes: Sizes) -> tuple[str, float]:
    """Write unaligned_50.pkl in CMU-MOSEI's shape, and the same as trisent's store; returns what it is, and its MB."""
    rng = np.random.default_rng(0)
    shapes = {"text": (50, 768, "f4"), "audio": (500, 74, "f8"), "vision": (375, 35, "f8")}
    n = max(BATCH * 6, int(sizes.megabytes * 1e6 / sum(s * d * int(t[1]) for s, d, t in shapes.values())))
    content: dict[str, dict[str, Any]] = {}
    for split, part in zip(SPLITS, PARTS, strict=True):
        count = math.ceil(part * n)
        columns: dict[str, Any] = {}
        shares = np.clip(rng.gamma(4, 0.4 / 4, count), 0.04, 1)  # of the padded length
        lengths = {key: np.ceil(shares * steps).astype(int) for key, (steps, _, _) in shapes.items()}
        for key, (steps, dim, dtype) in shapes.items():
            columns[key] = np.zeros((count, steps, dim), dtype)
            for row, length in zip(columns[key], lengths[key], strict=True):
                row[:length] = random_like(rng, length, dim)
        columns["text_bert"] = np.zeros((count, 3, 50), np.float32)
        columns["text_bert"][:, :2] = np.arange(50) < lengths["text"][:, None, None]
        columns |= {f"{key}_lengths": lengths[key].tolist() for key in ("audio", "vision")}
        sentiment = labels_like(rng, count)
        columns |= {"raw_text": np.array(texts_like(rng, lengths["text"]), object), "regression_labels": sentiment}
        columns["id"] = np.array([f"{split}{i // 7}$_${i % 7}" for i in range(count)])
        columns["classification_labels"] = np.sign(sentiment) + 1
        columns["annotations"] = np.array(["Negative", "Neutral", "Positive"])[np.sign(sentiment).astype(int) + 1]
        content[split] = columns
    path = folder / "unaligned_50.pkl"
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)
    del content
    readers.write(readers.read(path), folder / "store", format="store")
    stored = sum(p.stat().st_size for p in (folder / "store").rglob("*") if p.is_file()) / 1e6
    size = path.stat().st_size / 1e6
    about = (
        f"Open, and the first batch of {BATCH}: made-up pickle of MMSA's keys and types (unaligned_50 of CMU-MOSEI: "
        f"text 50 x 768 float32, audio 500 x 74 and vision 375 x 35 float64, 40 % of the steps filled), {n:,} "
        f"utterances, {size:,.0f} MB; written by trisent as its store, float16 without the "
        f"padding: {stored:,.0f} MB."
    )
    return about, size


def make_csd(folder: Path, sizes: Sizes) -> tuple[str, float]:
    """Write four files as CMU's SDK does; returns what they are, and how many videos there are."""
    rng = np.random.default_rng(0)
    everyone = sorted(official_folds()["mosei"])
    videos = [everyone[i * len(everyone) // sizes.videos] for i in range(min(sizes.videos, len(everyone)))]
    rates = {"COVAREP": (100, 74), "FACET 4.2": (30, 35)}  # rows a second, width

    def video(name: str) -> tuple[Any, Any]:
        if name == "All Labels":
            # Ends that are on no row's: rounding would decide otherwise.
            ends = np.linspace(0.0033, sizes.seconds - 0.0037, UTTERANCES_A_VIDEO + 1)
            emotions = rng.integers(0, 10, (UTTERANCES_A_VIDEO, 6)) / 3
            features = np.column_stack([labels_like(rng, UTTERANCES_A_VIDEO), emotions]).astype(np.float32)
            return features, np.stack([ends[:-1], ends[1:]], axis=1)
        rate, width = rates.get(name, (WORDS_S, 0))
        steps = np.arange(int(sizes.seconds * rate))
        features = random_like(rng, len(steps), width)
        if not width:
            features = np.array([[f"word{w}".encode()] for w in rng.integers(0, 20_000, len(steps))], "S32")
        return features, np.stack([steps, steps + 1], axis=1) / rate

    (folder / "csd").mkdir()
    for name in ("All Labels", "words", *rates):
        with h5py.File(folder / "csd" / f"{name.replace(' ', '_')}.csd", "w") as file:
            data = file.create_group(f"{name}/data")
            for k, key in enumerate(videos):
                if k >= DISTINCT:
                    file.copy(data[videos[k % DISTINCT]], data, name=key)
                    continue
                for part, values in zip(("features", "intervals"), video(name), strict=True):
                    data.create_dataset(f"{key}/{part}", data=values, compression="gzip")
            text = file.create_dataset(f"{name}/metadata/root name", (1,), h5py.string_dtype())
            text[0] = json.dumps(name)
    size = sum(path.stat().st_size for path in (folder / "csd").iterdir()) / 1e6
    hours = len(videos) * sizes.seconds / 3600
    about = (
        f"Computational sequences to npz, averaged over utterances: made-up folder of {len(videos):,} videos of "
        f"{sizes.seconds} s ({hours:,.1f} hours; CMU-MOSEI's labels are on about 65), {UTTERANCES_A_VIDEO} utterances "
        f"each, words, COVAREP 74 at 100 Hz, FACET 35 at 30 Hz, labels; gzip, {size:,.0f} MB. "
        f"{min(DISTINCT, len(videos))} videos differ, the others are copies."
    )
    return about, len(videos)


def make_audit(_: Path, sizes: Sizes) -> tuple[str, float]:
    """Say what is audited, and how many utterances that is: a set is made where it is audited."""
    dataset = mosei_like(sizes.utterances)
    size = sum(s.values.nbytes for s in dataset.features.values()) / 1e6
    steps = dataset.features["audio"].lengths.mean()
    about = (
        f"Audit: made-up set of CMU-MOSEI's size in memory, {len(dataset):,} utterances of {len(set(dataset.videos)):,}"
        f" videos with texts, times and labels; text 1 x 768, audio {steps:.0f} x 74 and video {steps:.0f} x 35 on "
        f"average, {size:,.0f} MB. The aim is less than 60 s."
    )
    return about, len(dataset)


def mosei_like(n: int) -> Dataset:
    """Make a set aligned to words, its text one row an utterance."""
    rng = np.random.default_rng(0)
    videos = np.arange(n) // UTTERANCES_A_VIDEO
    owners = [str(np.searchsorted(np.cumsum(PARTS[:2]), v / (videos[-1] + 1), side="right")) for v in videos]
    lengths = np.clip(rng.gamma(4, 22 / 4, n).astype(int), 1, 50)
    starts = (np.arange(n) % UTTERANCES_A_VIDEO) * 25.0

    def sequences(lengths: Any, dim: int) -> Sequences:
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        steps = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        values = rng.standard_normal((len(steps), dim), np.float32)
        return Sequences(values, offsets, (steps / WORDS_S).astype(np.float32), np.ones(len(steps), np.bool_))

    return Dataset(
        name="made up",
        format="mmsa",
        ids=tuple(f"v{v:05}$_${i % UTTERANCES_A_VIDEO}" for i, v in enumerate(videos)),
        splits=tuple(SPLITS[int(k)] for k in owners),
        labels={"sentiment": labels_like(rng, n)},
        features={
            "text": sequences(np.ones(n, int), 768),
            "audio": sequences(lengths, 74),
            "video": sequences(lengths, 35),
        },
        texts=tuple(texts_like(rng, lengths)),
        videos=tuple(f"v{v:05}" for v in videos),
        spans=np.stack([starts, starts + lengths / WORDS_S], axis=1).astype(np.float32),
    )
