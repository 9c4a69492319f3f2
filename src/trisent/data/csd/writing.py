"""Writing a data set as computational sequences: one .csd a modality, and the labels."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trisent.data.csd.files import Doubles
from trisent.data.csd.own import KEY, kept
from trisent.data.csd.utterances import LABELS
from trisent.data.dataset import SENTIMENT, Dataset
from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import Features

LABELS_FILE = "labels.csd"

_NUMBER = re.compile(r"(?:\[(\d{1,9})\]|\$_\$(\d{1,9}))$")
_STEP_S = 0.01  # of a single step whose length nobody knows

_Entry = tuple[str, NDArray[Any], Doubles]


def write_csd(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """Write a folder of .csd files, already aligned: all have the utterances as entries "video[k]".

    Args:
        dataset: at least one utterance.
        folder: is made if need be; files of the same names are replaced, the labels' last.

    Returns:
        What was lost, a sentence each.

    Raises:
        DataError: there are no utterances, or other .csd files lie in the folder, which would be read as part of it.
    """
    absent = [m for m, s in dataset.features.items() if not len(s.values)]  # a sequence without entries is none
    dataset = replace(dataset, features={m: s for m, s in dataset.features.items() if m not in absent})
    names = [f"{m}.csd" for m in dataset.features] + [LABELS_FILE]
    if not len(dataset):
        raise DataError(t("{name}: there are no utterances to write", name=dataset.name))
    folder.mkdir(parents=True, exist_ok=True)
    if others := sorted(p.name for p in folder.glob("*.csd") if p.name not in names):
        message = "{folder} holds other .csd files ({files}), which would be read with these. Choose an empty folder."
        raise DataError(t(message, folder=folder, files=", ".join(others[:5])))
    keys, spans = _keys(dataset), _spans(dataset)
    emotions = all(name in dataset.labels for name in LABELS)
    columns = LABELS if emotions else (SENTIMENT,)
    labels = np.stack([dataset.labels[name] for name in columns], axis=1)
    root = "All Labels" if emotions else "Opinion Segment Labels"
    own = {KEY: kept(dataset, keys)}
    try:
        for m in dataset.features:
            about = _about(m, dataset, [f"{m} {i}" for i in range(dataset.dims[m])])
            _write(folder / f"{m}.csd.part", m, entries=_steps(dataset, m, keys, spans), metadata=about)
        entries = ((key, labels[i : i + 1], spans[i : i + 1]) for i, key in enumerate(keys))
        _write(folder / f"{LABELS_FILE}.part", root, entries=entries, metadata=_about(root, dataset, columns) | own)
        for name in names:
            (folder / f"{name}.part").replace(folder / name)
    finally:
        for name in names:
            (folder / f"{name}.part").unlink(missing_ok=True)
    left = (t("{modality}: no utterance has any, so it is left out", modality=t(m)) for m in absent)
    return (*_losses(dataset), *left)


def _losses(dataset: Dataset) -> Iterator[str]:
    yield t(
        "CMU's SDK has no place for ids, splits, texts, masks and labels beyond sentiment and emotions: trisent finds "
        "them again in the metadata of {file}, other programs do not",
        file=LABELS_FILE,
    )
    for m, s in dataset.features.items():
        if s.values.dtype != np.float32:
            yield t("{modality}: {dtype} is written as float32", modality=t(m), dtype=s.values.dtype)
        if hidden := int((~s.mask).sum()):
            yield t("{modality}: {n} masked steps are written as zeros", modality=t(m), n=hidden)
        if unknown := int(np.isnan(s.times).sum()):
            message = "{modality}: the times of {n} steps are unknown; their utterances' steps are spread evenly"
            yield t(message, modality=t(m), n=unknown)


def _keys(dataset: Dataset) -> list[str]:
    """Name an entry for each utterance: "video[k]", with the k of its id where it has one that is free."""
    videos, numbers = [], []
    for i, name in enumerate(dataset.ids):
        found = _NUMBER.search(name)
        video = dataset.videos[i] or (name[: found.start()] if found else name)
        videos.append(re.sub(r"[/\[\]\x00]", "_", video).strip(".") or "_")  # "/" parts groups in HDF5, "[" ends a name
        numbers.append(int(found[1] or found[2]) if found else None)
    taken: dict[str, set[int]] = {video: set() for video in videos}
    keys: list[str] = [""] * len(videos)
    for i in sorted(range(len(keys)), key=lambda i: numbers[i] is None):
        used, k = taken[videos[i]], numbers[i]
        if k is None or k in used:
            k = next(free for free in range(len(used) + 1) if free not in used)
        used.add(k)
        keys[i] = f"{videos[i]}[{k}]"
    return keys


def _spans(dataset: Dataset) -> Doubles:
    """Give every utterance a place: its own, or else from 0 to the end of its last step."""
    spans = dataset.spans.astype(np.float64)
    for i in np.flatnonzero(~np.isfinite(spans).all(axis=1)):
        ends = [np.nanmax(f.times) for s in dataset.features.values() if np.isfinite((f := s.of(int(i))).times).any()]
        steps = max([1, *(int(s.lengths[i]) for s in dataset.features.values())])
        spans[i] = 0.0, max([steps * _STEP_S, *(float(end) + _STEP_S for end in ends)])
    return spans


def _steps(dataset: Dataset, m: Any, keys: Sequence[str], spans: Doubles) -> Iterator[_Entry]:
    for i, key in enumerate(keys):
        features = dataset.features[m].of(i)
        if len(features.values):
            yield key, np.where(features.mask[:, None], features.values, 0), _intervals(features, spans[i])


def _intervals(features: Features, span: Doubles) -> Doubles:
    """Let every step last from its time to the next later one, the last to the utterance's end.

    Pieces of one word have one time. Where a time is unknown, all are spread over the utterance.
    """
    start, end = float(span[0]), float(span[1])
    times = features.times.astype(np.float64) + start
    if not np.isfinite(times).all():
        edges = np.linspace(start, end, len(times) + 1)
        return np.stack([edges[:-1], edges[1:]], axis=1)
    distinct = np.unique(times)
    usual = float(np.median(np.diff(distinct))) if len(distinct) > 1 else _STEP_S
    later = np.append(distinct[1:], end if end > distinct[-1] else distinct[-1] + usual)
    return np.stack([times, later[np.searchsorted(distinct, times)]], axis=1)


def _about(root: str, dataset: Dataset, columns: Sequence[str]) -> dict[str, Any]:
    """Describe a sequence under the keys that the SDK asks for; two of them have run together in its own list."""
    return {
        "root name": root,
        "computational sequence description": f"{root} of {dataset.name}, written by trisent",
        "dimension names": list(columns),
        "computational sequence version": "1",
        "dimension namescomputational sequence version": "1",
        "alignment compatible": "yes",
        "dataset name": dataset.name,
        "dataset version": "1",
        "creator": "trisent",
        "contact": "",
        "featureset bib citation": "",
        "dataset bib citation": "",
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{dataset.name} {root}")),
        "md5": None,
    }


def _write(path: Path, root: str, *, entries: Iterator[_Entry], metadata: Mapping[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        data, about = file.create_group(f"{root}/data"), file.create_group(f"{root}/metadata")
        for key, values, intervals in entries:
            group = data.create_group(key)
            group.create_dataset("features", data=values.astype(np.float32))
            group.create_dataset("intervals", data=intervals)
        for key, value in metadata.items():
            about.create_dataset(key, data=[json.dumps(value)], dtype=h5py.string_dtype())
