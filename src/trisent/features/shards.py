"""A shard: one safetensors file with one modality of many utterances, written once, then mapped into memory."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from trisent.features.part import FIELDS, FORMAT, Dtype, check_layout, damaged, join, read_metadata, to_bytes
from trisent.files import write_whole
from trisent.i18n import t
from trisent.types import Features, Floats, Modality

_SAFETENSORS_NAMES: dict[Dtype, str] = {"fp16": "F16", "fp32": "F32"}
_ROWS_A_READ = 256  # about a megabyte: fewer rows cost calls, more fall out of the cache of the processor


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard by name: `file` relative to the store's folder, with the sha256 of its bytes."""

    file: str
    utterances: int
    sha256: str


def write_shard(
    folder: Path,
    index: int,
    *,
    modality: Modality,
    key: str,
    ids: Sequence[str],
    features: Iterable[Features],
    dtype: Dtype = "fp16",
) -> Shard:
    """Write a shard, whole or not at all: OUT/text/00000-0123456789ab.safetensors.

    A part of its sha256 is in the name, so a shard with other content never takes the place of one that is being read.

    Args:
        folder: the store's folder, made if need be.
        index: number of the shard within its track.
        modality: what the features are of.
        key: the track's key, kept in the shard so that it cannot be taken for another track's.
        ids: the utterances.
        features: of each utterance, in the same order; consumed one by one.
        dtype: how values are stored.

    Raises:
        DataError: some features cannot be stored as they are.
    """
    facts = {"format": FORMAT, "ids": list(ids), "key": key, "modality": modality}
    content = to_bytes(join(ids, features, modality=modality, dtype=dtype), facts)
    digest = hashlib.sha256(content).hexdigest()
    name = f"{index:05d}-{digest[:12]}.safetensors"
    write_whole(folder / modality, {name: content})
    return Shard(f"{modality}/{name}", len(ids), digest)


class MappedShard:
    """A shard mapped into memory: nothing but its ids and offsets is read before it is asked for.

    Args:
        path: the file.
        modality, key, dtype, dim: what its track says.

    Raises:
        DataError: the file is missing, cut off, not a shard, or another track's.
    """

    def __init__(self, path: Path, *, modality: Modality, key: str, dtype: Dtype, dim: int) -> None:
        self.path = path
        try:
            file: Any = safe_open(path, "numpy")  # safetensors gives its methods no types
            facts = read_metadata(file.metadata() or {})
            self.ids: tuple[str, ...] = tuple(facts["ids"])
            self.offsets: list[int] = self._offsets(file)
            self._file, self._values = file, file.get_slice("values")
            kinds = {"dtype": self._values.get_dtype(), "dim": self._values.get_shape()[1]}
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise damaged(path, error) from error
        found = {"modality": facts.get("modality"), "key": facts.get("key"), **kinds}
        expected = {"modality": modality, "key": key, "dtype": _SAFETENSORS_NAMES.get(dtype), "dim": dim}
        if found != expected:
            raise damaged(path, t("it holds {got}, store.json says {expected}", got=found, expected=expected))
        self._dim = dim

    def _offsets(self, file: Any) -> list[int]:
        offsets = file.get_tensor("offsets")
        shapes = {field: file.get_slice(field).get_shape() for field in FIELDS}
        check_layout(offsets, len(self.ids), shapes=shapes)
        return list(offsets.tolist())

    @cached_property
    def _steps(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Read the times and masks of all rows: they are small, and cutting them out of the file is slow."""
        return self._file.get_tensor("times"), self._file.get_tensor("mask")

    def features(self, place: int) -> Features:
        """Read the features of the utterance at `place`; the values come back as float32."""
        first, last = self.offsets[place], self.offsets[place + 1]
        times, mask = self._steps
        return Features(self._read(first, last), times[first:last].copy(), mask[first:last].copy())

    def visible(self) -> NDArray[np.bool_]:
        """Say of each utterance whether any of its steps could be seen."""
        seen_before = np.concatenate([[0], np.cumsum(self._steps[1])])[self.offsets]
        return np.diff(seen_before) > 0

    def in_order(self) -> Iterator[Features]:
        """Read the features of all utterances in the order of the file, many at a time."""
        first, (times, mask) = 0, self._steps
        while first < len(self.ids):
            start = self.offsets[first]
            last = max(first + 1, bisect_right(self.offsets, start + _ROWS_A_READ) - 1)
            values = self._read(start, self.offsets[last])
            for a, b in pairwise(self.offsets[first : last + 1]):
                yield Features(values[a - start : b - start], times[a:b], mask[a:b])
            first = last

    def _read(self, first: int, last: int) -> Floats:
        if first == last:  # safetensors refuses to cut nothing
            return np.empty((0, self._dim), np.float32)
        values: Floats = self._values[first:last].astype(np.float32)
        return values
