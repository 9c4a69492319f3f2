"""From videos to a feature store: find the work, do what is not done yet, put it together."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trisent.errors import DataError, UsageError
from trisent.extractors.base import Extractor
from trisent.features.assembly import Assembly
from trisent.features.hearing import hear
from trisent.features.index import Track, finish_writing
from trisent.features.local import extractors_of, run_local
from trisent.features.part import Failure, Part
from trisent.features.settings import NONE, ExtractSettings, track_key
from trisent.features.sources import Found, find_sources
from trisent.features.state import State, drop, entries_of, read_state
from trisent.features.store import FeatureStore
from trisent.features.work import Job, Source, jobs_of
from trisent.files import alone_in, check_out
from trisent.i18n import t
from trisent.types import Modality, OnProgress, no_progress

_log = logging.getLogger(__name__)

# Small jobs, so that little is lost to kill -9 and many workers share a small set; a GPU wants large ones.
JOB, GPU_JOB = 16, 64  # utterances
# Of memory, for three encoders and a clip; OpenVINO keeps both the network and its compiled form.
_WORKER_BYTES, _OPENVINO_WORKER_BYTES = 2 << 30, 3 << 30


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an extraction is: utterances of this run, how many failed, hours of speech, seconds since it began."""

    done: int
    total: int
    failed: int
    hours: float
    elapsed_s: float


OnExtract = Callable[[Progress], None]


def _no_report(progress: Progress) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Summary:
    """What an extraction did.

    Attributes:
        out: the store.
        utterances: in the store now.
        extracted: in this run.
        hours: of speech extracted in this run.
        elapsed_s: of this run.
        failures: the whole ledger.
        dims: width of each modality's features.
        unseen: utterances that did not fail and have no step of a modality: no face, no sound, no words.
        workers: processes.
        precision, backend: what was computed with, by modality.
        digest: of the store.
    """

    out: Path
    utterances: int
    extracted: int
    hours: float
    elapsed_s: float
    failures: tuple[Failure, ...]
    dims: Mapping[Modality, int]
    unseen: Mapping[Modality, int]
    workers: int
    precision: Mapping[Modality, str]
    backend: Mapping[Modality, str]
    digest: str


@dataclass(frozen=True, slots=True)
class Work:
    """What is there, what is wanted, and the jobs between them."""

    state: State
    jobs: tuple[Job, ...]
    order: tuple[str, ...]
    stale: frozenset[str]


def extract(
    paths: Sequence[Path],
    out: Path,
    settings: ExtractSettings,
    *,
    on_extract: OnExtract = _no_report,
    on_progress: OnProgress = no_progress,
) -> Summary:
    """Extract features of everything that `paths` mean into the store `out`, leaving out what is done already.

    Stopped at any moment, the same call goes on where it was. What cannot be read goes into the ledger, and is tried
    again by the next call.

    Args:
        paths: media files, folders, tables; see `find_sources`.
        out: folder of the store, made if need be.
        settings: how.
        on_extract: hears of utterances done.
        on_progress: hears of bytes while weights are fetched, and of files listened to.

    Raises:
        DataError: there is nothing to extract, a table is unusable, or `out` is another process's or damaged.
        WeightsError: weights cannot be had.
        UsageError: an extractor does not have an option that the settings name, or `out` cannot be a folder.
    """
    begun_s = time.monotonic()
    found = something(paths, settings)
    check_out(out)
    with _alone_in(out):
        finish_writing(out)
        extractors = extractors_of(settings, on_progress=on_progress)
        # Where this process starts the work on a cluster there may be no GPU.
        gpu = settings.engine == "ray" and settings.device.startswith("cuda")
        gpu = gpu or any(str(getattr(e, "device", "cpu")).startswith("cuda") for e in extractors.values())
        tracks = wanted_tracks(extractors, settings)
        del extractors  # each worker has its own
        workers = worker_count(settings)
        sources, deaf = hear(found.sources, out / "heard", workers=workers, on_progress=on_progress)
        work = work_left(out, sources, tracks, utterances_a_job=GPU_JOB if gpu else JOB)
        _begin(work, [*found.failures, *deaf])
        assembly = Assembly(work.state, work.jobs, order=work.order)
        left = assembly.left()
        total, done, failed, hours = sum(len(j.utterances) for j in left), 0, 0, 0.0
        for job, part in _run(left, settings, workers=workers, gpu=gpu):
            assembly.add(job, part)
            starts = {u.id: u.start for u in job.utterances}
            hours += sum(end - starts[i] for i, end in part.ends.items() if end < math.inf) / 3600
            done, failed = done + len(starts), failed + len(part.failures)
            on_extract(Progress(done, total, failed, hours, time.monotonic() - begun_s))
        assembly.finish()
    store = FeatureStore(out)
    if others := sorted(set(store.ids) - set(work.order)):
        message = "{out}: also holds {count} utterances that are not in these sources, such as {id}; they stay"
        _log.warning("%s", t(message, out=out, count=len(others), id=others[0]))
    failures = tuple(store.failures())
    failed_ids = {failure.id for failure in failures}
    well = np.array([i not in failed_ids for i in store.ids], np.bool_)
    return Summary(
        out=out,
        utterances=len(store),
        extracted=done - failed,
        hours=hours,
        elapsed_s=time.monotonic() - begun_s,
        failures=failures,
        dims=store.dims,
        unseen={m: int((well & ~store.visible(m)).sum()) for m in store.dims},
        workers=workers,
        precision={m: str(track.settings["precision"]) for m, track in tracks.items()},
        backend={m: str(track.settings["backend"]) for m, track in tracks.items()},
        digest=store.digest(),
    )


def something(paths: Sequence[Path], settings: ExtractSettings) -> Found:
    """Find the sources.

    Raises:
        DataError: there is none.
        UsageError: they are texts without videos, and features of sound or pictures are asked for.
    """
    found = find_sources(paths)
    if not found.sources:
        message = "nothing to extract: {path}: {reason}"
        raise DataError(t(message, path=found.failures[0].path, reason=found.failures[0].reason))
    if not (any(s.media for s in found.sources) or settings.audio == settings.video == NONE):
        message = (
            "{paths}: has texts and names no videos. For features of the texts alone: --audio none --video none. "
            "For the others, put the clips into a folder Raw beside label.csv, or add a column path"
        )
        raise UsageError(t(message, paths=", ".join(map(str, paths))))
    return found


def _alone_in(out: Path) -> AbstractContextManager[None]:
    """Make the folder of a store, and let no other extraction into it meanwhile."""
    message = "{out}: another extraction is at work there; wait for it, or name another --out"
    return alone_in(out, otherwise=DataError(t(message, out=out)))


def _run(jobs: Sequence[Job], settings: ExtractSettings, *, workers: int, gpu: bool) -> Iterator[tuple[Job, Part]]:
    if not jobs:
        return iter(())
    if settings.engine == "ray":
        from trisent.features.on_ray import run_on_ray

        return run_on_ray(jobs, settings, workers=settings.workers, gpu=gpu)
    return run_local(jobs, settings, workers=workers if gpu else min(workers, len(jobs)), gpu=gpu)


def wanted_tracks(extractors: Mapping[Modality, Extractor[Any]], settings: ExtractSettings) -> dict[Modality, Track]:
    """Describe the tracks that the extractors will fill."""
    tracks: dict[Modality, Track] = {}
    for modality, extractor in extractors.items():
        chosen = replace(
            settings,
            precision=getattr(extractor, "precision", "fp32"),  # an extractor of somebody else's has no choice
            backend=getattr(extractor, "backend", "torch"),
        )
        told = {k: v for k, v in asdict(chosen).items() if k in ("precision", "backend", "rate_hz", "fps", "frames")}
        key = track_key(extractor.provenance, chosen, modality)
        provenance = replace(
            extractor.provenance,
            fps=settings.fps if modality == "video" else None,
            rate_hz=None if modality == "text" else settings.rate_hz,
        )
        tracks[modality] = Track(key, provenance, extractor.dim, settings.dtype, told, ())
    return tracks


def work_left(out: Path, sources: Sequence[Source], tracks: Mapping[Modality, Track], *, utterances_a_job: int) -> Work:
    """Compare what is wanted with what the store holds; changes nothing on the disk.

    A track of another key does not count; an utterance whose file, time or text has changed is stale in every track.
    What failed before comes last, so that the jobs before it are the same as if it had not been tried.
    """
    state = read_state(out)
    for modality, track in tracks.items():
        if modality not in state.tracks or state.tracks[modality].key != track.key:
            state.tracks[modality], state.done[modality] = track, set()
    entries = entries_of(sources)
    stale = {i for i, e in entries.items() if i in state.entries and state.entries[i].fingerprint != e.fingerprint}
    for i, entry in entries.items():
        if i in state.entries and i not in stale:  # labels and splits may be new, its true end is known
            entry = replace(entry, utterance=replace(entry.utterance, end=state.entries[i].utterance.end))
        state.entries[i] = entry
    fresh: dict[str, tuple[Modality, ...]] = {}
    again: dict[str, tuple[Modality, ...]] = {}
    for i in entries:
        wants = tuple(m for m in tracks if i in stale or i not in state.done[m])
        (again if i in state.ledger and i not in stale else fresh)[i] = wants
    jobs = [job for some in (fresh, again) for job in jobs_of(sources, some, utterances_a_job=utterances_a_job)]
    return Work(state, tuple(jobs), tuple(entries), frozenset(stale))


def _begin(work: Work, failures: Sequence[Failure]) -> None:
    """Bring the store into the state from which jobs go on."""
    state = work.state
    there = set(state.entries) | {failure.id for failure in failures}
    # What could not even be found out before may be in order now; it comes back if it is not.
    state.ledger = {i: f for i, f in state.ledger.items() if i in there and i in state.entries}
    state.ledger |= {failure.id: failure for failure in failures}
    if gone := work.stale & set().union(*state.done.values()):
        drop(state, set(gone))


def worker_count(settings: ExtractSettings) -> int:
    """Decide how many processes: one a core that this process may use, as far as the memory goes."""
    if settings.workers is not None:
        return settings.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return cores
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    each = _OPENVINO_WORKER_BYTES if settings.backend == "openvino" else _WORKER_BYTES
    return max(1, min(cores, memory // each))
