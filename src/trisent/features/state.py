"""What a store holds before and during an extraction, and what is left to do."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trisent.errors import DataError
from trisent.features.hearing import fingerprint
from trisent.features.index import (
    FAILURES,
    UTTERANCES,
    Entry,
    Track,
    entry_from_json,
    map_shard,
    read_index,
    read_lines,
    read_words,
    write_store,
)
from trisent.features.part import Failure
from trisent.features.shards import Shard, write_shard
from trisent.features.work import Source
from trisent.types import Modality


@dataclass(slots=True)
class State:
    """The store as it will be published next.

    Attributes:
        folder: of the store.
        tracks: by modality.
        entries: by utterance id.
        ledger: what failed, by utterance or source id.
        done: by modality, the ids whose features are there.
    """

    folder: Path
    tracks: dict[Modality, Track]
    entries: dict[str, Entry]
    ledger: dict[str, Failure]
    done: dict[Modality, set[str]]

    def publish(self, order: Sequence[str]) -> None:
        """Write the store: the utterances of `order` first, in that order, then those that were there before."""
        there = set().union(*self.done.values())
        ids = dict.fromkeys(i for i in (*order, *self.entries) if i in there)
        write_store(
            self.folder,
            tracks=self.tracks,
            entries=[self.entries[i] for i in ids],
            failures=[self.ledger[i] for i in sorted(self.ledger)],
        )


def read_state(folder: Path) -> State:
    """Read what is in `folder`; nothing, when there is no store.

    Raises:
        DataError: there is a store, but it cannot be read.
    """
    if not (folder / "store.json").is_file():
        return State(folder, {}, {}, {}, {})
    index = read_index(folder)
    words = read_words(folder, index)
    rows = read_lines(folder / UTTERANCES, index)
    entries = {row["id"]: entry_from_json(row, words.get(row["id"], ())) for row in rows}
    ledger = {row["id"]: Failure(**row) for row in read_lines(folder / FAILURES, index)}
    tracks, done = dict(index.tracks), {}
    for modality, track in index.tracks.items():
        ids: set[str] = set()
        whole: list[Shard] = []
        for shard in track.shards:
            try:
                ids.update(map_shard(folder, modality, track, shard).ids)
                whole.append(shard)
            except DataError:  # what is damaged is extracted again
                continue
        tracks[modality], done[modality] = replace(track, shards=tuple(whole)), ids
    return State(folder, tracks, entries, ledger, done)


def drop(state: State, stale: set[str]) -> None:
    """Take utterances that have changed out of every track; the shards they were in are written anew."""
    for modality, track in state.tracks.items():
        kept: list[Shard] = []
        for number, shard in enumerate(track.shards):
            mapped = map_shard(state.folder, modality, track, shard)
            places = [k for k, i in enumerate(mapped.ids) if i not in stale]
            if len(places) < len(mapped.ids):
                shard = write_shard(
                    state.folder,
                    number,
                    modality=modality,
                    key=track.key,
                    ids=[mapped.ids[k] for k in places],
                    features=(mapped.features(k) for k in places),
                    dtype=track.dtype,
                )
            kept.append(shard)
        state.tracks[modality] = replace(track, shards=tuple(kept))
        state.done[modality] -= stale


def entries_of(sources: Sequence[Source]) -> dict[str, Entry]:
    """Make the entries of sources whose utterances are known, each with the fingerprint of what it is made from."""
    entries: dict[str, Entry] = {}
    for source in sources:
        try:
            file = fingerprint(source.path) if source.media else ""
        except OSError:  # its reader will say why
            file = ""
        for u in source.utterances or ():
            told = [file, u.start, u.end, u.text, [[w.start, w.end, w.text] for w in u.words], source.sound]
            digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
            entries[u.id] = Entry(u, str(source.path), source.splits.get(u.id, ""), digest)
    return entries
