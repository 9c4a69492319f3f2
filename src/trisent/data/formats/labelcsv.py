"""The field's label.csv, as MMSA, M-SENA and MMSA-FET have it: labels and texts, no features.

    label.csv     video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode
    emotions.csv  vid, cid, start, stop, happy, sad, anger, surprise, disgust, fear; optional
    Raw/          the clips, {video_id}/{clip_id}.mp4, which are not looked at here

An utterance is called "video_id$_$clip_id". `mode` is train, valid or test; label_T, label_A and label_V are SIMS's
labels of what is said, heard and seen alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from trisent.data.dataset import EMOTIONS, Dataset
from trisent.data.formats.pickled import unique
from trisent.data.resplit import lost_videos
from trisent.data.rows import EMOTION_WORDS, LABEL_COLUMNS, WORDS, Row, assemble, lost_blanks, lost_in_tables, written
from trisent.errors import DataError
from trisent.features.tables import read_table
from trisent.files import table_bytes, write_whole
from trisent.i18n import t

LABELS, EMOTION_TABLE = "label.csv", "emotions.csv"
_COLUMNS = ("video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode")
_ANNOTATIONS = {-1.0: "Negative", 0.0: "Neutral", 1.0: "Positive"}
_IDS = {"video": ("video_id", "vid"), "clip": ("clip_id", "cid")}


def recognises(path: Path) -> bool:
    """Say whether it is a label.csv or a folder with one, whatever the case of its name."""
    return _find(path, LABELS) is not None


def read(path: Path) -> Dataset:
    """Read label.csv, and emotions.csv if it is beside.

    Raises:
        DataError: a table is unusable as a whole.
    """
    labels = _find(path, LABELS)
    if labels is None:
        raise DataError(t("{path}: expected a label.csv, or a folder with one", path=path))
    table = read_table(labels, {**_IDS, **WORDS}, required=("video", "clip"))
    more: dict[str, dict[str, str]] = {}
    if beside := _find(labels.parent, EMOTION_TABLE):
        words = {**_IDS, "start": WORDS["start"], "end": WORDS["end"], **EMOTION_WORDS}
        for line in read_table(beside, words, required=("video", "clip")).lines:
            more[_id(line.cells["video"], line.cells["clip"])] = dict(line.cells)
    rows, notes = [], []
    for line in table.lines:
        video, clip = line.cells["video"], line.cells["clip"]
        fault = line.fault or ("" if video and clip else t("video_id or clip_id is empty"))
        cells = {**more.get(_id(video, clip), {}), **line.cells}
        rows.append(Row(f"{labels.name}:{line.number}", _id(video, clip), video, cells, fault))
    if more and (left := sum(row.id not in more for row in rows)):
        notes.append(t("{path} has no row for {count} of {n} utterances", path=beside, count=left, n=len(rows)))
    return assemble(
        labels.resolve().parent.name, rows, format="labelcsv", decimal_comma=table.decimal_comma, notes=notes
    )


def _id(video: str, clip: str) -> str:
    return f"{video}$_${clip}"


def _find(path: Path, name: str) -> Path | None:
    if path.is_dir():
        with suppress(OSError):
            return next((file for file in sorted(path.iterdir()) if file.name.lower() == name and file.is_file()), None)
    return path if path.name.lower() == name and path.is_file() else None


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write a folder with label.csv, and emotions.csv where emotions or times are known; return what was lost."""
    names = [_names(dataset, i) for i in range(len(dataset))]
    rows: list[Sequence[str]] = []
    for i, (video, clip) in enumerate(names):
        found = {LABEL_COLUMNS[m]: written(dataset.labels[m][i]) for m in LABEL_COLUMNS if m in dataset.labels}
        found |= {"video_id": video, "clip_id": clip, "text": dataset.texts[i], "mode": dataset.splits[i]}
        found["annotation"] = _ANNOTATIONS.get(float(np.sign(dataset.sentiment[i])), "")
        rows.append([found.get(column, "") for column in _COLUMNS])
    files = {EMOTION_TABLE: b"", LABELS: table_bytes([_COLUMNS, *rows])}
    emotions = [emotion for emotion in EMOTIONS if emotion in dataset.labels]
    if emotions or np.isfinite(dataset.spans).any():
        columns = ("vid", "cid", "start", "stop", *emotions)
        known = [
            [*names[i], *map(written, dataset.spans[i]), *(written(dataset.labels[e][i]) for e in emotions)]
            for i in range(len(dataset))
        ]
        files[EMOTION_TABLE] = table_bytes([columns, *known])
    write_whole(path, {name: content for name, content in files.items() if content})
    return _lost(dataset, names)


def _names(dataset: Dataset, i: int) -> tuple[str, str]:
    """Give an utterance a video_id and a clip_id: those of its id, or its video's name and its id."""
    video, between, clip = dataset.ids[i].rpartition("$_$")
    if between and video and clip:
        return video, clip
    return dataset.videos[i] or dataset.ids[i], dataset.ids[i]


def _lost(dataset: Dataset, names: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    ids = [_id(*pair) for pair in names]
    lost = [*lost_in_tables(dataset), *lost_videos(dataset, [video for video, _ in names])]
    if renamed := sum(a != b for a, b in zip(ids, dataset.ids, strict=True)):
        i = next(k for k, (a, b) in enumerate(zip(ids, dataset.ids, strict=True)) if a != b)
        message = "{count} utterances get ids of video_id and clip_id: {before} becomes {after}"
        lost.append(t(message, count=renamed, before=dataset.ids[i], after=ids[i]))
    return (*lost, *lost_blanks(dataset.texts, [part for pair in names for part in pair]))


def written_ids(dataset: Dataset) -> tuple[str, ...]:
    """Give the ids that reading finds again of what `write` writes."""
    return unique([_id(*map(str.strip, _names(dataset, i))) for i in range(len(dataset))])[0]
