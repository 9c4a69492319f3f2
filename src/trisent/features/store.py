"""The feature store: a folder with the features of a data set, read by mapping its shards into memory.

A track is one modality extracted in one way. An utterance may be missing from any track, and a shard may hold its
utterances in any order. Reading takes numpy and safetensors; torch is not imported.
"""

import hashlib
import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.errors import DataError
from trisent.features.index import (
    FAILURES,
    UTTERANCES,
    Entry,
    Index,
    Track,
    damaged_files,
    entry_from_json,
    ids_of,
    lines_of,
    map_shard,
    parse,
    read_bytes,
    read_index,
    read_lines,
    read_words,
    write_store,
    wrong_files,
)
from trisent.features.part import Dtype, Failure, damaged
from trisent.features.shards import MappedShard
from trisent.i18n import t
from trisent.types import Features, Floats, Modality, Provenance, Utterance, Word

__all__ = ["Entry", "FeatureStore", "Index", "Track", "damaged_files", "read_index", "write_store"]

# Between two of a writer's renames a reader may meet files that do not belong together: for a moment.
_TRIES, _PAUSE_S = 8, 0.05


class FeatureStore:
    """A store opened for reading: shards are mapped, so one utterance costs some microseconds and its own bytes.

        >>> store = FeatureStore("features/mosei")  # doctest: +SKIP
        >>> store.features(0, "text").values.shape  # doctest: +SKIP
        (25, 768)

    What was opened stays as it was while an extraction replaces the store. May be handed to other processes.

    Args:
        folder: what `trisent extract --out` made.

    Raises:
        DataError: the folder holds no store, or a part of it is missing, cut off, or not of it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        for left in reversed(range(_TRIES)):
            self._index = read_index(self.folder)
            try:
                self._lines = lines_of(read_bytes(self.folder / UTTERANCES, self._index))
                self._shards = {
                    m: [map_shard(self.folder, m, track, shard) for shard in track.shards]
                    for m, track in self._index.tracks.items()
                }
                break
            except DataError:
                if not left:
                    raise
                time.sleep(_PAUSE_S)
        self.ids = ids_of(self._lines)
        self._numbers = {utterance: i for i, utterance in enumerate(self.ids)}
        self._places = {m: self._find(m) for m in self._shards}

    def _find(self, modality: Modality) -> NDArray[np.int32]:
        """Say in which shard, and where in it, each utterance is: [utterances, 2], -1 where it is in none."""
        places, found = np.full((len(self), 2), -1, np.int32), 0
        for k, shard in enumerate(self._shards[modality]):
            rows = self._order(shard)
            known = np.flatnonzero(rows >= 0)
            places[rows[known], 0], places[rows[known], 1] = k, known
            found += len(known)
            if np.count_nonzero(places[:, 0] >= 0) < found:
                raise damaged(shard.path, t("some of its utterances come twice"))
        return places

    def _order(self, shard: MappedShard) -> NDArray[np.int64]:
        """Give the number of each of a shard's utterances, -1 for those that the store does not list."""
        first = self._numbers.get(shard.ids[0], 0) if shard.ids else 0
        if self.ids[first : first + len(shard.ids)] == shard.ids:  # the usual case, at a tenth of the cost
            return np.arange(first, first + len(shard.ids))
        return np.fromiter((self._numbers.get(i, -1) for i in shard.ids), np.int64, len(shard.ids))

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.folder, self.digest())

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of each modality's features."""
        return {m: track.dim for m, track in self._index.tracks.items()}

    @property
    def dtypes(self) -> dict[Modality, Dtype]:
        """Precision of each modality's features."""
        return {m: track.dtype for m, track in self._index.tracks.items()}

    def rows(self, modality: Modality) -> int:
        """Count the steps of a modality."""
        return sum(shard.offsets[-1] for shard in self._shards[modality])

    @property
    def provenance(self) -> dict[Modality, Provenance]:
        """Where each modality's features come from."""
        return {m: track.provenance for m, track in self._index.tracks.items()}

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return parse(self._lines)

    def _row(self, i: int) -> dict[str, Any]:
        return parse([self._lines[i]])[0]

    @cached_property
    def labels(self) -> Floats:
        """Sentiment of each utterance [utterances], NaN where it is unknown."""
        return np.array([np.nan if r["sentiment"] is None else r["sentiment"] for r in self._rows], np.float32)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Split of each utterance: "train", "valid", "test", or "" where it is unknown."""
        return tuple(row["split"] for row in self._rows)

    def split(self, i: int) -> str:
        """Return the split of one utterance, "" where it is unknown."""
        return self.splits[i]

    def path(self, i: int) -> str:
        """Return the media file that an utterance is from."""
        return str(self._row(i)["path"])

    def utterance(self, i: int) -> Utterance:
        """Return what is known of one utterance, without its words, which `words` reads."""
        return entry_from_json(self._row(i)).utterance

    def words(self, i: int) -> tuple[Word, ...]:
        """Return the words of one utterance with their times; () where they are unknown.

        Raises:
            DataError: the file of words is damaged, or an extraction has replaced it since the store was opened.
        """
        return self._words.get(self.ids[i], ())

    @cached_property
    def _words(self) -> dict[str, tuple[Word, ...]]:
        return read_words(self.folder, self._index)

    def failures(self) -> list[Failure]:
        """Read the ledger: what could not be extracted, and why.

        Raises:
            DataError: the ledger is damaged, or an extraction has replaced it since the store was opened.
        """
        return [Failure(**row) for row in read_lines(self.folder / FAILURES, self._index)]

    def features(self, i: int, modality: Modality) -> Features | None:
        """Read one modality of one utterance as float32; None when the store has none of it.

        Raises:
            DataError: the store has no track of this modality.
        """
        places = self._track(modality)
        shard = places.item(i, 0)
        return None if shard < 0 else self._shards[modality][shard].features(places.item(i, 1))

    def layers(self, i: int, modality: Modality) -> Floats | None:
        """Read the values of one utterance layer by layer [steps, layers, width]; None when the store has none.

        Raises:
            DataError: the store has no track of this modality.
        """
        features = self.features(i, modality)
        if features is None:
            return None
        layers = len(self.provenance[modality].layers) or 1
        return features.values.reshape(len(features.values), layers, self.dims[modality] // layers)

    def visible(self, modality: Modality) -> NDArray[np.bool_]:
        """Say of each utterance whether there is a step of this modality to be seen [utterances].

        Raises:
            DataError: the store has no track of this modality.
        """
        found = np.zeros(len(self._track(modality)), np.bool_)
        for shard in self._shards[modality]:
            rows = self._order(shard)
            found[rows[rows >= 0]] = shard.visible()[rows >= 0]
        return found

    def pooled(self, modality: Modality) -> tuple[Floats, NDArray[np.bool_]]:
        """Average every utterance's visible steps, reading the shards once, in the order of their bytes.

        Returns:
            Rows [utterances, dim], and whether there was anything to average [utterances]; its row is 0 where not.

        Raises:
            DataError: the store has no track of this modality.
        """
        places = self._track(modality)
        rows, present = np.zeros((len(self), self.dims[modality]), np.float32), np.zeros(len(places), np.bool_)
        for shard in self._shards[modality]:
            for i, features in zip(self._order(shard).tolist(), shard.in_order(), strict=True):
                if i < 0 or not features.mask.any():
                    continue
                # the mean of one row is that row, got at a tenth of the cost
                rows[i] = features.values[0] if len(features.values) == 1 else features.pooled()
                present[i] = True
        return rows, present

    def _track(self, modality: Modality) -> NDArray[np.int32]:
        if modality not in self._places:
            message = t(
                "{folder} has no {modality} features, only {there}. Add them: trisent extract, with the same --out",
                folder=self.folder, modality=modality, there=", ".join(self._places) or t("none"),
            )  # fmt: skip
            raise DataError(message)
        return self._places[modality]

    def digest(self) -> str:
        """Return the sha256 over the digests of utterances and shards: the same features have the same one."""
        tracks = {m: [shard.sha256 for shard in track.shards] for m, track in self._index.tracks.items()}
        content = json.dumps([self._index.files[UTTERANCES], tracks], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def verify(self) -> None:
        """Read every byte again.

        Raises:
            DataError: files are missing or changed; it names them.
        """
        if wrong := wrong_files(self.folder, self._index):
            raise damaged(self.folder, ", ".join(wrong))


def _reopen(folder: Path, digest: str) -> FeatureStore:
    store = FeatureStore(folder)
    if store.digest() != digest:
        raise DataError(t("{folder} was replaced while it was handed to another process. Start again.", folder=folder))
    return store
