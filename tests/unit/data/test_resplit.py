"""A split by video keeps videos whole, parts alike, and has a name of its own."""

from dataclasses import replace

import numpy as np
import pytest

from trisent.data.dataset import Dataset
from trisent.data.resplit import classes_of, split_by_video, split_digest, videos_of
from trisent.errors import UsageError
from unit.data.clean_set import clean_set


@pytest.fixture(scope="module")
def clean() -> Dataset:
    return clean_set()


@pytest.mark.parametrize("seed", range(5))
def test_no_video_is_in_two_parts_and_sizes_are_as_asked(clean: Dataset, seed: int) -> None:
    parts = {"train": 0.6, "valid": 0.2, "test": 0.2}
    splits = split_by_video(clean, parts=parts, seed=seed)
    homes = {(v, s) for v, s in zip(clean.videos, splits, strict=True)}
    assert len(homes) == len(set(clean.videos))
    for name, share in parts.items():
        assert splits.count(name) / len(clean) == pytest.approx(share, abs=0.03)


def distance(clean: Dataset, splits: tuple[str, ...]) -> float:
    """Return how far the classes of each part are from those of the whole, at most."""
    classes, part = classes_of(clean.sentiment, clean.scale), np.array(splits)
    whole = np.bincount(classes, minlength=7) / len(classes)
    shares = [np.bincount(classes[part == p], minlength=7) / (part == p).sum() for p in set(splits)]
    return max(float(np.abs(s - whole).sum() / 2) for s in shares)


def test_the_parts_are_more_alike_than_those_of_a_draw_at_random(clean: Dataset) -> None:
    names = sorted(set(clean.videos))
    drawn = []
    for seed in range(50):
        order = np.random.default_rng(seed).permutation(names)
        home = {v: "train" if k < 42 else "valid" if k < 48 else "test" for k, v in enumerate(order)}
        drawn.append(distance(clean, tuple(home[v] for v in clean.videos)))
    ours = [distance(clean, split_by_video(clean, seed=seed)) for seed in range(5)]
    assert max(ours) < np.percentile(drawn, 10)


def test_the_seed_decides_whatever_the_order_of_the_utterances(clean: Dataset) -> None:
    order = np.random.default_rng(0).permutation(len(clean))
    mixed = clean.take(order)
    here = dict(zip(clean.ids, split_by_video(clean, seed=3), strict=True))
    assert here == dict(zip(mixed.ids, split_by_video(mixed, seed=3), strict=True))
    assert here != dict(zip(clean.ids, split_by_video(clean, seed=4), strict=True))


def test_videos_are_read_out_of_ids_where_nothing_else_says_them(clean: Dataset) -> None:
    silent = replace(clean, videos=("",) * len(clean))
    assert videos_of(silent) == clean.videos
    assert split_by_video(silent, seed=1) == split_by_video(clean, seed=1)


def test_unlabelled_utterances_are_split_too(clean: Dataset) -> None:
    labels = {"sentiment": np.full(len(clean), np.nan, np.float32)}
    splits = split_by_video(replace(clean, labels=labels), parts={"train": 0.5, "test": 0.5})
    assert splits.count("train") / len(clean) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("parts", [{"train": 0.5}, {"train": 1.2, "test": -0.2}, {"learn": 0.5, "test": 0.5}, {}])
def test_shares_that_make_no_sense_are_refused(clean: Dataset, parts: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split_by_video(clean, parts=parts)


def test_fewer_videos_than_parts_are_refused_and_as_many_get_one_each(clean: Dataset) -> None:
    two = clean.take(np.flatnonzero(np.isin(clean.videos, ["v000", "v001"])))
    with pytest.raises(UsageError, match="2 videos"):
        split_by_video(two)
    assert set(split_by_video(two, parts={"train": 0.9, "test": 0.1})) == {"train", "test"}


def test_the_digest_names_who_is_where_and_nothing_else(clean: Dataset) -> None:
    order = np.random.default_rng(0).permutation(len(clean))
    other_labels = replace(clean, labels={"sentiment": clean.sentiment + 1})
    assert split_digest(clean.take(order)) == split_digest(other_labels) == split_digest(clean)
    moved = replace(clean, splits=("test", *clean.splits[1:]))
    assert split_digest(moved) != split_digest(clean)
    assert split_digest(clean.take(order[1:])) != split_digest(clean)
