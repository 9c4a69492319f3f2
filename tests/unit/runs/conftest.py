"""A small data set whose text says the sentiment, and a model that sees it."""

from pathlib import Path

import numpy as np
import pytest

from trisent.checkpoint import Bundle, save_bundle
from trisent.data.dataset import Dataset, Sequences
from trisent.data.digest import data_digest
from trisent.data.resplit import split_digest
from trisent.evaluation.metrics import scores
from trisent.fusion.concat import ConcatFusion
from trisent.runs.source import Source
from trisent.seeding import seeded
from trisent.types import Modality

DIMS: dict[Modality, int] = {"text": 6, "audio": 4, "video": 3}


def made_up(*, n: int = 60, seed: int = 0, clips: int = 4) -> Dataset:
    """Make utterances of 1 to 5 steps in `n / clips` videos; a third of them has no video, five lack text."""
    random = np.random.default_rng(seed)
    labels = (random.integers(-9, 10, n) / 3).astype(np.float32)
    features = {}
    for m, dim in DIMS.items():
        lengths = random.integers(1, 6, n)
        if m == "video":
            lengths[::3] = 0
        if m == "text":
            lengths[:5] = 0
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = random.normal(size=(offsets[-1], dim)).astype(np.float32)
        if m == "text":
            values[:, 0] += np.repeat(labels, lengths)
        steps = int(offsets[-1])
        features[m] = Sequences(values, offsets, np.full(steps, np.nan, np.float32), np.ones(steps, np.bool_))
    part = n // 3
    splits = ("train",) * (n - 2 * part) + ("valid",) * part + ("test",) * part
    return Dataset(
        "made up",
        "none",
        tuple(f"v{i // clips}[{i % clips}]" for i in range(n)),
        splits,
        {"sentiment": labels},
        features,
        texts=tuple(f"words <b>{i}</b> & more" for i in range(n)),
    )


def source_of(dataset: Dataset) -> Source:
    return Source(dataset, data_digest(dataset), split_digest(dataset))


def save_run(folder: Path, dataset: Dataset, *, seed: int = 0) -> Path:
    """Save an untrained model as a bundle that says it was trained on the data set."""
    with seeded(seed):
        model = ConcatFusion(DIMS, hidden=5)
    source = source_of(dataset)
    data = {"name": dataset.name, "sha256": source.digest, "split_sha256": source.split_digest, "rows": {}}
    bundle = Bundle(
        model_name="concat",
        model_config=model.config,
        preset=None,
        extractors=None,
        scores={"valid": scores([1.0, 2.0], [1.0, 1.0])},
        data=data,
        synthetic=False,
        licence="CC0-1.0",
        seed=seed,
    )
    save_bundle(folder, bundle, model)
    return folder


@pytest.fixture
def dataset() -> Dataset:
    """The made-up data set."""
    return made_up()
