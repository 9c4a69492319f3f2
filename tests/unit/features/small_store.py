"""A small store with every oddity: several shards in another order, missing features, masked and empty utterances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trisent.features.part import Dtype, Failure
from trisent.features.shards import write_shard
from trisent.features.store import Entry, Track, write_store
from trisent.types import Features, Modality, Provenance, Utterance, Word

PROVENANCE = Provenance("bert", "tiny", "d" * 64, (-2, -1), "WordPiece")
WORD = Word(0.25, 0.5, "好 film")
ENTRIES = (
    Entry(Utterance("视频 一$_$0", 0.0, 1.5, "好 film", (WORD,), 2.0), "a b/视频 一.mp4", "train"),
    Entry(Utterance("v$_$1", 1.5, float("inf"), "line one\nline two\u2028three", (), None), "v.mp4"),
    Entry(Utterance("v$_$2", 3.0, 4.0, "", (), -0.6), "v.mp4", "test"),
    Entry(Utterance("v$_$3", 4.0, 5.0, "masked", (), 0.0), "v.mp4", "valid"),
    Entry(Utterance("v$_$4", 5.0, 6.0, "no sound", (), 3.0), "v.mp4", "train"),
)
FAILURES = (Failure("v$_$4", "v.mp4", "audio", "no audio\n  stream"), Failure("w", "w.mp4", None, "cut off"))


def features(steps: int, dim: int = 6, *, seed: int = 0) -> Features:
    """Make features whose values fp16 holds exactly."""
    rng = np.random.default_rng([seed, steps, dim])
    values = rng.standard_normal((steps, dim)).astype(np.float16).astype(np.float32)
    return Features(values, np.arange(steps, dtype=np.float32) / 50, rng.random(steps) < 0.7)


def small_features() -> dict[Modality, dict[str, Features]]:
    """Make what the small store holds; the fifth utterance has no audio, the third no steps, the fourth is masked."""
    ids = [entry.utterance.id for entry in ENTRIES]
    text = {i: features(steps, seed=k) for k, (i, steps) in enumerate(zip(ids, (3, 1, 0, 4, 2), strict=True))}
    text[ids[0]] = Features(text[ids[0]].values, np.full(3, np.nan, np.float32), np.ones(3, np.bool_))
    text[ids[3]] = Features(text[ids[3]].values, text[ids[3]].times, np.zeros(4, np.bool_))
    return {"text": text, "audio": {i: features(5, 4, seed=9) for i in ids[:4]}}


def write_small_store(folder: Path, *, dtype: Dtype = "fp16", key: str = "k1") -> dict[Modality, dict[str, Features]]:
    """Write the small store, each modality in two shards, the second half first; return what it holds."""
    held = small_features()
    tracks = {m: write_track(folder, m, of, dtype=dtype, key=key) for m, of in held.items()}
    write_store(folder, tracks=tracks, entries=ENTRIES, failures=FAILURES)
    return held


def write_track(
    folder: Path, modality: Modality, held: Mapping[str, Features], *, dtype: Dtype = "fp16", key: str = "k1"
) -> Track:
    """Write the shards of a track."""
    ids = list(held)
    halves: Sequence[list[str]] = (ids[2:], ids[:2])
    shards = tuple(
        write_shard(folder, k, modality=modality, key=key, ids=half, features=[held[i] for i in half], dtype=dtype)
        for k, half in enumerate(halves)
    )
    return Track(key, PROVENANCE, next(iter(held.values())).values.shape[1], dtype, {"fps": 2.0}, shards)


def same(one: Features | None, other: Features | None) -> bool:
    """Compare to the last bit; a NaN equals a NaN."""
    if one is None or other is None:
        return one is other
    pairs = ((one.values, other.values), (one.times, other.times), (one.mask, other.mask))
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)
