"""Checks of the split itself: who is in it, whether its parts share videos, whether it is a published one."""

from collections.abc import Iterator
from pathlib import Path

from trisent.data.audit.findings import Finding, some_ids
from trisent.data.audit.published import FILE_NAMES, SHA256, near_sizes, same_sizes, sha256_of
from trisent.data.dataset import SPLITS, Dataset
from trisent.data.resplit import video_in, videos_of
from trisent.i18n import t


def check_splits(dataset: Dataset) -> Iterator[Finding]:
    """Look at the parts of the split, their sizes, and the videos they share."""
    counts = {split: len(dataset.index(split)) for split in SPLITS}
    if not any(counts.values()):
        yield Finding(
            "note",
            "split.none",
            t("none of the {n} utterances is in a split", n=len(dataset)),
            len(dataset),
            t("training needs train, valid and test"),
            t("draw a split by video: trisent data split SRC OUT"),
        )
        return
    if absent := [split for split, n in counts.items() if not n]:
        yield Finding(
            "warning",
            "split.missing",
            t("there is no {splits} split", splits=t(" or ").join(absent)),
            0,
            t("models are fitted on train, selected on valid and scored on test, each on utterances of its own"),
            t("look for the missing part, or draw a new split: trisent data split SRC OUT"),
        )
    if len(nowhere := dataset.index("")):
        yield Finding(
            "note",
            "split.nowhere",
            t("{n} utterances are in no split", n=len(nowhere)),
            len(nowhere),
            t("they are neither trained nor scored on"),
            t("nothing, if they were left out on purpose"),
            some_ids(dataset, nowhere),
        )
    yield from _sizes(dataset, counts)
    yield from _shared_videos(dataset, allowed=(same := same_sizes(counts)) is not None and same.shares_videos)


def _sizes(dataset: Dataset, counts: dict[str, int]) -> Iterator[Finding]:
    sizes = "/".join(f"{counts[split]:,}" for split in SPLITS)
    if same := same_sizes(counts):
        yield Finding(
            "note",
            "split.published",
            t("{sizes} utterances: the sizes of {name} as in {source}", sizes=sizes, name=same.name,
              source=same.source),
            len(dataset),
            t("several splits of one data set are in use, and their scores do not compare"),
            t("name this split beside every score"),
        )  # fmt: skip
    elif near := near_sizes(dataset.name, counts=counts):
        published = "/".join(f"{n:,}" for n in near.sizes)
        yield Finding(
            "warning",
            "split.sizes",
            t("{sizes} utterances: close to {name} as in {source} ({published}), but not that",
              sizes=sizes, name=near.name, source=near.source, published=published),
            sum(abs(counts[s] - n) for s, n in zip(SPLITS, near.sizes, strict=True)),
            t("scores on a part of a published test set do not compare with published scores"),
            t("find out which utterances are missing, or say beside every score that some are"),
        )  # fmt: skip


def _shared_videos(dataset: Dataset, *, allowed: bool) -> Iterator[Finding]:
    homes: dict[str, set[str]] = {}
    videos = videos_of(dataset)
    for video, split in zip(videos, dataset.splits, strict=True):
        if video and split:
            homes.setdefault(video, set()).add(split)
    shared = {video for video, splits in homes.items() if len(splits) > 1}
    if shared:
        rows = [i for i, v in enumerate(videos) if v in shared and dataset.splits[i] in ("valid", "test")]
        yield Finding(
            "warning" if allowed else "error",
            "split.videos",
            t("{videos} videos are in more than one split: {names}", videos=len(shared),
              names=", ".join(sorted(shared)[:5]) + (", …" if len(shared) > 5 else "")),
            len(rows),
            t("a model knows the speaker, the room and often the opinion from training: scores come out too high")
            if not allowed
            else t("this published split was drawn clip by clip; scores on it are not those on new speakers"),
            t("draw a split by video: trisent data split SRC OUT"),
            some_ids(dataset, rows),
        )  # fmt: skip
    elif not homes:
        yield Finding(
            "note",
            "split.unknown_videos",
            t("nothing says which video an utterance is from"),
            len(dataset),
            t("that no video is in two splits cannot be checked"),
            t("give ids of the form video$_$clip, or a column video_id"),
        )


def check_files(path: Path) -> Iterator[Finding]:
    """Compare a file, or the files of a folder that have a published name, with the published SHA-256 sums."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*.pkl") if p.name in FILE_NAMES)
    digests = {p: sha256_of(p) for p in files}
    known = {p: SHA256[digest] for p, digest in digests.items() if digest in SHA256}
    for p, name in known.items():
        yield Finding(
            "note",
            "file.published",
            t("{file} is the published {name}, bit by bit", file=p.name, name=name),
            0,
            t("its SHA-256 is the one in the README of MMSA"),
            t("nothing"),
        )
    for p in files:
        if p.name in FILE_NAMES and p not in known:
            yield Finding(
                "warning",
                "file.changed",
                t("{file} has the name of a published file, but not its SHA-256: {digest}", file=p.name,
                  digest=digests[p]),
                0,
                t("it was changed, cut off or made anew; copies with leaks are in circulation"),
                t("compare with the sums in the README of MMSA, and fetch it again"),
            )  # fmt: skip


def check_ids(dataset: Dataset) -> Iterator[Finding]:
    """Look for ids that contradict the videos, and for ids that differ only in how they are written."""
    wrong = [
        i for i, (v, u) in enumerate(zip(dataset.videos, dataset.ids, strict=True)) if v and video_in(u) not in ("", v)
    ]
    if wrong:
        i = wrong[0]
        yield Finding(
            "error",
            "ids.video",
            t("{n} ids name another video than the one they are listed under, such as {id} under {video}",
              n=len(wrong), id=dataset.ids[i], video=dataset.videos[i]),
            len(wrong),
            t("labels, texts or features were joined with the wrong utterance"),
            t("join the sources again by video and clip"),
            some_ids(dataset, wrong),
        )  # fmt: skip
    first: dict[str, int] = {}
    twins = [i for i, u in enumerate(dataset.ids) if first.setdefault(_plain(u), i) != i]
    if twins:
        i = twins[0]
        yield Finding(
            "warning",
            "ids.twins",
            t("{n} ids differ from another only in how they are written, such as {id} and {other}", n=len(twins),
              id=repr(dataset.ids[i]), other=repr(dataset.ids[first[_plain(dataset.ids[i])]])),
            len(twins),
            t("one utterance under two names counts twice, or stands in two splits"),
            t("write ids in one way, then join again"),
            some_ids(dataset, twins),
        )  # fmt: skip


def _plain(utterance: str) -> str:
    """Write an id without blanks, "video[3]" as "video$_$3", and clip numbers without leading zeros."""
    utterance = "".join(utterance.split())
    video = video_in(utterance)
    clip = utterance.removeprefix(video).strip("$_[]")
    return f"{video}$_${clip.lstrip('0') or '0'}" if video else utterance
