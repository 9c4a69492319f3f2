"""Splits drawn anew: by video, so that no speaker is known from training, and stratified, so that scores compare."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trisent.data.cleaning import nearest_class
from trisent.data.dataset import SPLITS, Dataset
from trisent.errors import UsageError
from trisent.i18n import t
from trisent.types import Floats

DEFAULT_PARTS = {"train": 0.7, "valid": 0.1, "test": 0.2}
CLASSES = 7
_DRAWS = 10

# "video$_$clip" is MMSA's, "video[clip]" the CMU SDK's after alignment
_IDS = re.compile(r"(?P<video>.+?)(?:\$_\$.+|\[\d+\])", re.DOTALL)


def videos_of(dataset: Dataset) -> tuple[str, ...]:
    """Return which video each utterance is from: as the data set says, else as its id says, else "".

    >>> video_in("03bSnISJMiM$_$11"), video_in("03bSnISJMiM[11]"), video_in("11")
    ('03bSnISJMiM', '03bSnISJMiM', '')
    """
    return tuple(v or video_in(i) for v, i in zip(dataset.videos, dataset.ids, strict=True))


def video_in(utterance: str) -> str:
    """Return the video that an id names, "" when it names none."""
    found = _IDS.fullmatch(utterance)
    return found["video"] if found else ""


def lost_videos(dataset: Dataset, kept: Sequence[str]) -> tuple[str, ...]:
    """Say that a format which tells videos by ids keeps others, `kept`, than the data set has; () if it does not."""
    other = [i for i, video in enumerate(dataset.videos) if video and video != kept[i]]
    if not other:
        return ()
    message = "{count} utterances are of another video from now on, the one in their id: {id} of {after}, not {before}"
    i = other[0]
    return (t(message, count=len(other), id=dataset.ids[i], before=dataset.videos[i], after=kept[i]),)


def classes_of(sentiment: Floats, scale: tuple[float, float]) -> NDArray[np.int64]:
    """Give the class 0..6 of each sentiment, -1 where it is unknown.

    >>> classes_of(np.float32([-3.0, 0.5, 1.5, np.nan]), (-3.0, 3.0)).tolist()
    [0, 3, 5, -1]
    """
    known = np.isfinite(sentiment)
    return np.where(known, nearest_class(np.where(known, sentiment, np.float32(0)), scale=scale), -1)


def split_by_video(dataset: Dataset, *, parts: Mapping[str, float] = DEFAULT_PARTS, seed: int = 0) -> tuple[str, ...]:
    """Draw a split in which every video is in one part, with all parts alike in size and in sentiment.

    The largest videos are placed first, each where it brings the counts of the seven classes closest to their
    targets; the seed decides in which order equally large ones come. Of ten draws the best is taken. An utterance
    whose video is unknown is a video of its own.

    Args:
        parts: share of each part, by the names train, valid, test; together 1.
        seed: the same seed gives the same split of the same utterances, in whatever order they are.

    Returns:
        The part of each utterance.

    Raises:
        UsageError: the shares make no sense, or there are fewer videos than parts.
    """
    _check(parts)
    owners = [v or f"\0{i}" for v, i in zip(videos_of(dataset), dataset.ids, strict=True)]
    names = sorted(set(owners))
    if len(names) < len(parts):
        message = t(
            "{name} has {videos} videos, fewer than the {parts} parts asked for; a video is never torn apart. "
            "Ask for fewer parts: --valid 0",
            name=dataset.name,
            videos=len(names),
            parts=len(parts),
        )
        raise UsageError(message)
    counts = _classes_by_video(dataset, owners=owners, names=names)
    placed = _place(counts, shares=np.array(list(parts.values())), random=np.random.default_rng(seed))
    part_names = list(parts)
    chosen = {name: part_names[k] for name, k in zip(names, placed, strict=True)}
    return tuple(chosen[owner] for owner in owners)


def split_digest(dataset: Dataset) -> str:
    """Name a split: the sha256 of who is in which part, whatever the order of the utterances.

    Two data sets with equal digests have the same utterances in train, valid and test: their scores compare.
    """
    lines = sorted(json.dumps([s, i], ensure_ascii=True) for s, i in zip(dataset.splits, dataset.ids, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _check(parts: Mapping[str, float]) -> None:
    shares = list(parts.values())
    if not parts or set(parts) - set(SPLITS) or min(shares) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        message = t(
            "the parts of a split are shares above 0 of train, valid and test that sum to 1; got {parts}",
            parts=", ".join(f"{name} {share:g}" for name, share in parts.items()),
        )
        raise UsageError(message)


def _classes_by_video(dataset: Dataset, *, owners: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    """Count the utterances of each class, and of unknown sentiment, in each video [videos, classes + 1]."""
    number = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(names), CLASSES + 1))
    classes = classes_of(dataset.sentiment, dataset.scale) + 1
    np.add.at(counts, (np.array([number[owner] for owner in owners]), classes), 1)
    return counts


def _place(
    counts: NDArray[np.float64], *, shares: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Give every video [videos, classes] a part, and every part a video: the best of a few draws."""
    counts = np.column_stack([counts, counts.sum(axis=1)])  # the size of a part counts like one more class
    wanted = shares[:, None] * counts.sum(axis=0)  # [parts, classes + 1]
    draws = [_draw(counts, wanted=wanted, order=random.permutation(len(counts))) for _ in range(_DRAWS)]
    return min(draws, key=lambda draw: draw[1])[0]


def _draw(
    counts: NDArray[np.float64], *, wanted: NDArray[np.float64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], float]:
    """Place the largest videos first; return the parts, and chi-square of what they have against what is wanted."""
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    weight = 1 / np.maximum(wanted, 1e-9)
    have = np.zeros_like(wanted)
    placed = np.zeros(len(counts), np.int64)
    for k, video in enumerate(order):
        missing = wanted - have
        gain = ((missing**2 - (missing - counts[video]) ** 2) * weight).sum(axis=1)
        empty = have[:, -1] == 0
        if empty.sum() == len(order) - k:  # as many videos left as parts without one
            gain = np.where(empty, gain, -np.inf)
        part = int(np.argmax(gain))
        placed[video], have[part] = part, have[part] + counts[video]
    return placed, float(((wanted - have) ** 2 * weight).sum())
