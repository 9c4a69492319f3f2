"""What jobs gave, put together: parts on the disk as they come, shards of the store in the order of the work.

A part is written as soon as its job is done, so that kill -9 costs the jobs in hand and no more. When the parts of a
shard are all there they become one, the store is published with it, and the parts go.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trisent.errors import DataError
from trisent.features.part import Part, pack, unpack
from trisent.features.shards import write_shard
from trisent.features.state import State
from trisent.features.work import Job
from trisent.files import write_whole

PARTS = "parts"
# A shard is full when it holds one of these; as both are the same in every run, so are the shards.
_UTTERANCES_A_SHARD, _BYTES_A_SHARD = 256, 64_000_000


class Assembly:
    """Takes the parts of jobs in any order and binds them into shards in theirs.

    Args:
        state: of the store; kept up to date.
        jobs: all jobs of this run, in order. Jobs that want different modalities do not share a shard.
        order: utterance ids in the order of the store.
    """

    def __init__(self, state: State, jobs: Sequence[Job], *, order: Sequence[str]) -> None:
        self._state, self._order = state, order
        keys = sorted((modality, track.key) for modality, track in state.tracks.items())
        self._folder = state.folder / PARTS / hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
        self._jobs = {self._key(job): job for job in jobs}
        self._sizes = {key: path.stat().st_size for key in self._jobs if _is_whole(path := self._path(key))}
        self._bind()

    def left(self) -> list[Job]:
        """List the jobs that are not done, in order."""
        return [job for key, job in self._jobs.items() if key not in self._sizes]

    def add(self, job: Job, part: Part) -> None:
        """Take what a job gave."""
        key = self._key(job)
        content = pack(part, dtype=self._state.tracks[job.modalities[0]].dtype)
        write_whole(self._folder, {self._path(key).name: content})
        self._sizes[key] = len(content)
        self._bind()

    def finish(self) -> None:
        """Bind what is left, full or not, and publish the store."""
        while self._jobs:
            self._write(self._full(last=True))
        self._state.publish(self._order)
        shutil.rmtree(self._state.folder / PARTS, ignore_errors=True)

    def _key(self, job: Job) -> str:
        content = [[[u.id, self._state.entries[u.id].fingerprint] for u in job.utterances], job.modalities]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _bind(self) -> None:
        while keys := self._full():
            self._write(keys)
            self._state.publish(self._order)
            for key in keys:
                self._path(key).unlink(missing_ok=True)

    def _full(self, *, last: bool = False) -> list[str]:
        """Return the first jobs, if they are done and fill a shard, or if nothing can be added to them."""
        taken, utterances, size = list[str](), 0, 0
        for key, job in self._jobs.items():
            if taken and job.modalities != self._jobs[taken[0]].modalities:
                return taken
            if key not in self._sizes:
                return []
            taken.append(key)
            utterances, size = utterances + len(job.utterances), size + self._sizes[key]
            if utterances >= _UTTERANCES_A_SHARD or size >= _BYTES_A_SHARD:
                return taken
        return taken if last else []

    def _write(self, keys: Sequence[str]) -> None:
        """Make a shard of each modality out of the parts of some jobs."""
        state, parts = self._state, [unpack(self._path(key).read_bytes(), where=self._path(key)) for key in keys]
        for modality in self._jobs[keys[0]].modalities:
            track = state.tracks[modality]
            ids = [i for part in parts for i in part.features.get(modality, {})]
            if ids:
                shard = write_shard(
                    state.folder,
                    len(track.shards),
                    modality=modality,
                    key=track.key,
                    ids=ids,
                    features=(one for part in parts for one in part.features[modality].values()),
                    dtype=track.dtype,
                )
                state.tracks[modality] = replace(track, shards=(*track.shards, shard))
                state.done[modality] |= set(ids)
        for part in parts:
            for i, end in part.ends.items():
                entry = state.entries[i]
                state.entries[i] = replace(entry, utterance=replace(entry.utterance, end=end))
                state.ledger.pop(i, None)
            state.ledger |= {failure.id: failure for failure in part.failures}
        for key in keys:
            del self._jobs[key], self._sizes[key]


def _is_whole(path: Path) -> bool:
    """Say whether a part is there; one that the disk has damaged is thrown away."""
    if not path.is_file():
        return False
    try:
        unpack(path.read_bytes(), where=path)
    except DataError:
        path.unlink()
        return False
    return True
