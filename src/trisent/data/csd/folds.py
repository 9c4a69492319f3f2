"""The official folds of CMU-MOSEI and CMU-MOSI, which go by video."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from trisent.i18n import t


@cache
def official_folds() -> dict[str, dict[str, str]]:
    """Return, for "mosei" and "mosi", the fold of each video: "train", "valid" or "test"."""
    folds: dict[str, dict[str, str]] = {}
    data_set = fold = ""
    for line in (Path(__file__).parent / "folds.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("="):
            data_set, fold = line[1:].replace(" ", "").split(",")
        elif not line.startswith("#"):
            folds.setdefault(data_set, {}).update(dict.fromkeys(line.split(), fold))
    return folds


def splits_of(videos: Sequence[str], utterances: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which split each utterance is in, if its video is from a data set with official folds.

    A data set is recognised by half of its videos: names such as "81406" may turn up anywhere.

    Args:
        videos: the video of each utterance.
        utterances: their ids, for the notes.

    Returns:
        A split an utterance, "" for none; what there is to note.
    """
    names = set(videos)
    for data_set, folds in official_folds().items():
        if 2 * len(names & folds.keys()) >= len(names) > 0:
            splits = tuple(folds.get(video, "") for video in videos)
            outside = [u for u, split in zip(utterances, splits, strict=True) if not split]
            message = "splits: the official folds of {name}; {n} utterances are of videos in none of them ({ids})"
            note = t(message, name=f"CMU-{data_set.upper()}", n=len(outside), ids=", ".join(outside[:5]) or "–")
            return splits, (note,)
    message = "splits: none, as these videos have no official folds. To make some: trisent data split"
    return ("",) * len(videos), (t(message),)
