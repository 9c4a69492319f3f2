"""Our feature store, a folder with store.json that trisent extract makes: features of any length, in half precision.

A store has many shards, a data set one array a modality: shards are laid end to end in the store's own precision, in
memory, or where a modality is larger than `IN_MEMORY_BYTES` in a temporary file that is mapped and has no name.
"""

import hashlib
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import SENTIMENT, Dataset, Sequences
from trisent.data.provenance import preset_of
from trisent.data.resplit import lost_videos, video_in
from trisent.data.rows import guessed_sims
from trisent.errors import DataError
from trisent.evaluation.classes import SIMS_SCALE, like_sims
from trisent.features.index import WORDS
from trisent.features.part import DTYPES, Dtype
from trisent.features.shards import Shard, write_shard
from trisent.features.store import Entry, FeatureStore, Track, write_store
from trisent.i18n import system_reason, t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Features, Modality, Provenance, Utterance

IN_MEMORY_BYTES = 2 << 30
_UTTERANCES_A_SHARD, _STEPS_A_SHARD = 256, 30_000

_NOWHERE = (math.nan, math.nan)
_UNKNOWN = Provenance("unknown", "unknown", "", (), "unknown")


def recognises(path: Path) -> bool:
    """Say whether a folder has a store.json."""
    return (path / "store.json").is_file()


def read(path: Path) -> Dataset:
    """Read a store; what could not be extracted has no steps.

    Raises:
        DataError: the store is damaged, or there is no room for a temporary file.
    """
    store = FeatureStore(path)
    utterances = [store.utterance(i) for i in range(len(store))]
    files = [store.path(i) for i in range(len(store))]
    videos = [video_in(u.id) or ("" if file == u.id else file) for u, file in zip(utterances, files, strict=True)]
    whole = _whole_videos(videos, files)
    spans = [_span(u) if not video or video in whole else _NOWHERE for u, video in zip(utterances, videos, strict=True)]
    words = (path / WORDS).is_file() and (path / WORDS).stat().st_size
    notes = [t("the times of words stay in the store")] if words else []
    scale = SIMS_SCALE if like_sims(store.labels) else (SENTIMENT_MIN, SENTIMENT_MAX)
    if scale == SIMS_SCALE:
        notes.append(guessed_sims())
    provenance = {m: p for m, p in store.provenance.items() if p != _UNKNOWN}
    return Dataset(
        name=path.resolve().name,
        format="store",
        ids=store.ids,
        splits=store.splits,
        labels={SENTIMENT: store.labels},
        features={m: _sequences(store, m) for m in store.dims},
        texts=tuple(u.text for u in utterances),
        videos=tuple(videos),
        spans=np.array(spans, np.float32).reshape(len(spans), 2),
        provenance=provenance,
        preset=preset_of(provenance),
        scale=scale,
        notes=tuple(notes),
    )


def _span(utterance: Utterance) -> tuple[float, float]:
    """Return the times of an utterance; what lasts from 0 to an end that nobody has measured has none."""
    if math.isinf(utterance.end):
        return (utterance.start or math.nan, math.nan)
    return (utterance.start, utterance.end)


def _whole_videos(videos: list[str], files: list[str]) -> set[str]:
    """Name the videos that are one file each: of others, a clip's own times say nothing about the video."""
    of: dict[str, set[str]] = {}
    for video, file in zip(videos, files, strict=True):
        of.setdefault(video, set()).add(file)
    return {video for video, paths in of.items() if len(paths) == 1}


def _sequences(store: FeatureStore, modality: Modality) -> Sequences:
    """Lay the features of all utterances end to end, in the store's order."""
    dim, dtype = store.dims[modality], np.dtype(DTYPES[store.dtypes[modality]])
    size = store.rows(modality) * dim * dtype.itemsize
    sink: IO[bytes] = tempfile.TemporaryFile() if size > IN_MEMORY_BYTES else io.BytesIO()  # noqa: SIM115 (stays mapped)
    lengths, times, masks = [], [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    try:
        for i in range(len(store)):
            features = store.features(i, modality)
            lengths.append(0 if features is None else len(features.values))
            if features is not None:
                sink.write(features.values.astype(dtype).data)
                times.append(features.times)
                masks.append(features.mask)
        sink.flush()
    except OSError as error:
        message = t(
            "{folder}: {size:.1f} GB of {modality} features do not fit into {temporary} ({reason}). "
            "Name a folder with more room: TMPDIR",
            folder=store.folder,
            size=size / 1e9,
            modality=modality,
            temporary=tempfile.gettempdir(),
            reason=system_reason(error),
        )
        raise DataError(message) from error
    shape = (sum(lengths), dim)
    return Sequences(
        _mapped(sink, dtype, shape),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate(times),
        np.concatenate(masks),
    )


def _mapped(sink: IO[bytes], dtype: np.dtype[np.floating], shape: tuple[int, int]) -> NDArray[np.floating]:
    if not shape[0]:
        return np.zeros(shape, dtype)
    if isinstance(sink, io.BytesIO):
        return np.frombuffer(sink.getbuffer(), dtype).reshape(shape)
    with sink:  # what is mapped outlives the file
        return np.memmap(sink, dtype, "r", shape=shape)


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write a store, in half precision where that changes nothing; return what was lost.

    Raises:
        DataError: visible values are not finite. Clean them first.
    """
    tracks = {m: _write_track(dataset, m, path) for m in dataset.features}
    entries = [_entry(dataset, i) for i in range(len(dataset))]
    write_store(path, tracks=tracks, entries=entries)
    return _lost(dataset)


def _write_track(dataset: Dataset, modality: Modality, folder: Path) -> Track:
    sequences = dataset.features[modality]
    dtype = _smallest(sequences.values)
    provenance = dataset.provenance.get(modality, _UNKNOWN)
    facts = {"provenance": asdict(provenance), "dtype": dtype, "from": dataset.name, "format": dataset.format}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    there = np.flatnonzero(sequences.lengths)
    shards: list[Shard] = []
    for first, last in pairwise(_cuts(sequences.lengths[there])):
        some = there[first:last]
        ids = [dataset.ids[i] for i in some]
        features = (_storable(sequences.of(int(i))) for i in some)
        shards.append(
            write_shard(folder, len(shards), modality=modality, key=key, ids=ids, features=features, dtype=dtype)
        )
    settings = {"from": dataset.name, "format": dataset.format}
    return Track(key, provenance, sequences.dim, dtype, settings, tuple(shards))


def _cuts(lengths: NDArray[np.int64]) -> Iterator[int]:
    """Yield where shards begin, and where the last one ends."""
    steps = 0
    first = 0
    yield 0
    for i, length in enumerate(lengths.tolist()):
        steps += length
        if steps >= _STEPS_A_SHARD or i + 1 - first >= _UTTERANCES_A_SHARD:
            first, steps = i + 1, 0
            yield first
    if first < len(lengths):
        yield len(lengths)


def _smallest(values: NDArray[np.floating]) -> Dtype:
    """Choose half precision where no value changes."""
    if values.dtype == np.float16:
        return "fp16"
    fits: Callable[[NDArray[np.floating]], bool] = lambda part: bool(  # noqa: E731
        np.array_equal(part.astype(np.float16).astype(part.dtype), part, equal_nan=True)
    )
    with np.errstate(over="ignore"):
        return "fp16" if all(fits(values[k : k + 4096]) for k in range(0, len(values), 4096)) else "fp32"


def _storable(features: Features) -> Features:
    """Zero what a masked step holds where it is not finite: a store takes numbers only, and nobody looks there."""
    hidden = ~features.mask & ~np.isfinite(features.values).all(axis=1)
    if not hidden.any():
        return features
    return Features(np.where(hidden[:, None], np.float32(0), features.values), features.times, features.mask)


def _entry(dataset: Dataset, i: int) -> Entry:
    start, end = (float(value) for value in dataset.spans[i])
    label = float(dataset.sentiment[i])
    utterance = Utterance(
        dataset.ids[i],
        start if math.isfinite(start) else 0.0,
        end if math.isfinite(end) else math.inf,
        dataset.texts[i],
        sentiment=label if math.isfinite(label) else None,
    )
    return Entry(utterance, dataset.videos[i] or dataset.ids[i], dataset.splits[i])


def _lost(dataset: Dataset) -> tuple[str, ...]:
    lost = []
    if others := ", ".join(name for name in dataset.labels if name != SENTIMENT):
        lost.append(t("of the labels only sentiment is kept, not {others}", others=others))
    if endless := int(np.isinf(dataset.sentiment).sum()):
        lost.append(t("{count} labels that are infinite are unknown from now on", count=endless))
    lost += lost_videos(
        dataset, [video_in(name) or video for name, video in zip(dataset.ids, dataset.videos, strict=True)]
    )
    if (dataset.scale == SIMS_SCALE) != like_sims(dataset.sentiment):
        low, high = dataset.scale
        lost.append(t("that sentiment goes from {low:g} to {high:g} is not kept", low=low, high=high))
    if dataset.synthetic:
        lost.append(t("that the data are synthetic is not kept"))
    return tuple(lost)
