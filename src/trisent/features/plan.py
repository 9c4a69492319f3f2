"""What an extraction would do, how large its result would be and how long it would take: measured on a small sample."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trisent.errors import MediaError
from trisent.extractors.registry import extractor_class
from trisent.features.extract import JOB, Work, something, wanted_tracks, work_left, worker_count
from trisent.features.hearing import heard_before
from trisent.features.local import extractors_of
from trisent.features.part import Failure, pack
from trisent.features.settings import ExtractSettings
from trisent.features.work import Job, Piece, Source
from trisent.features.worker import Encoder, decode, wants_of
from trisent.files import check_out
from trisent.media.probe import probe
from trisent.types import MODALITIES, Modality, Utterance
from trisent.weights import find

_SAMPLE_CLIPS, _SAMPLE_FILES = 4, 50
_STRETCH_S = 7.0  # of a file that nobody has listened to yet; utterances are about this long


@dataclass(frozen=True, slots=True)
class Plan:
    """What an extraction would do.

    Attributes:
        out: the store.
        files: media files.
        to_listen: of these, the ones whose utterances are unknown until they are listened to.
        utterances: known ones.
        done: of these, the ones of which nothing is left to do.
        todo: of the others, how many want each modality.
        changed: utterances that are extracted again because their file, time or text has changed.
        hours: of video to go through, estimated from the lengths of some of the files; without what is done.
        weights_absent: names of weights that would be fetched first; then nothing can be measured.
        bytes: that the new features would take, estimated from the sample; None when nothing could be measured.
        seconds: that it would take, likewise, without listening.
        workers: processes.
        sample: utterances that were extracted to measure it.
        failures: what cannot even be tried.
    """

    out: Path
    files: int
    to_listen: int
    utterances: int
    done: int
    todo: Mapping[Modality, int]
    changed: int
    hours: float
    weights_absent: tuple[str, ...]
    bytes: int | None
    seconds: float | None
    workers: int
    sample: int
    failures: tuple[Failure, ...]


def plan(paths: Sequence[Path], out: Path, settings: ExtractSettings) -> Plan:
    """Say what `extract` would do with the same arguments, and measure a few utterances; writes nothing.

    Raises:
        DataError: there is nothing to extract, a table is unusable, or `out` is damaged.
        UsageError: an extractor does not have an option that the settings name.
    """
    import torch

    found = something(paths, settings)
    check_out(out)
    sources = [heard_before(source, out / "heard") for source in found.sources]
    known = [source for source in sources if source.utterances is not None]
    silent = [source for source in sources if source.utterances is None]
    absent = _weights_absent(settings)
    workers = worker_count(settings)
    todo = dict.fromkeys(settings.extractors(), sum(len(s.utterances or ()) for s in known))
    plain = Plan(out, len(sources), len(silent), sum(len(s.utterances or ()) for s in known), 0, todo, 0,
                 _hours(sources), absent, None, None, workers, 0, found.failures)  # fmt: skip
    if absent:
        return plain
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    try:
        extractors = extractors_of(settings)
        work = work_left(out, known, wanted_tracks(extractors, settings), utterances_a_job=JOB)
        left = _left(work, silent)
        hours = _hours(left)
        wants, encoder = wants_of(extractors, settings), Encoder(extractors, settings)
        sample = _sample(left)
        encoder.encode(sample, decode(sample, wants))  # the first time compiles
        begun_s = time.perf_counter()
        part = encoder.encode(sample, decode(sample, wants))
        took_s = time.perf_counter() - begun_s
    finally:
        torch.set_num_threads(threads)
    starts = {u.id: u.start for u in sample.utterances}
    sampled_s = sum(end - starts[i] for i, end in part.ends.items() if end < math.inf)
    if any(source.media for source in left):
        times = 3600 * hours / sampled_s if sampled_s else 0.0
    else:  # texts take time by their number
        times = sum(len(s.utterances or ()) for s in left) / max(1, len(part.ends))
    measured = times > 0 or not left
    wanting = {m: sum(len(j.utterances) for j in work.jobs if m in j.modalities) for m in extractors}
    return replace(
        plain,
        done=plain.utterances - sum(len(job.utterances) for job in work.jobs),
        todo=wanting,
        changed=len(work.stale),
        hours=hours,
        bytes=round(times * len(pack(part, dtype=settings.dtype))) if measured else None,
        seconds=times * took_s / max(1, workers) if measured else None,
        sample=len(part.ends),
    )


def _weights_absent(settings: ExtractSettings) -> tuple[str, ...]:
    names = [
        weights
        for name, own, _ in settings.extractors().values()
        for weights in (own, *getattr(extractor_class(name), "also", ()))
    ]
    return tuple(name for name in names if find(name) is None)


def _left(work: Work, silent: Sequence[Source]) -> list[Source]:
    """Return what is left to do as sources."""
    pieces = [piece for job in work.jobs for piece in job.pieces]
    return [*(Source(p.path, p.utterances, "", sound=p.sound, media=p.media) for p in pieces), *silent]


def _hours(sources: Sequence[Source]) -> float:
    """Add up the lengths; of open ends and unknown utterances, from the lengths of some of the files."""
    open_ended = [
        s for s in sources if s.media and (s.utterances is None or any(math.isinf(u.end) for u in s.utterances))
    ]
    step = max(1, len(open_ended) // _SAMPLE_FILES)
    lengths = [length for source in open_ended[::step] if (length := _length_s(source.path)) is not None]
    usual_s = sum(lengths) / len(lengths) if lengths else 0.0
    known_s = sum(u.end - u.start for s in sources for u in s.utterances or () if not math.isinf(u.end))
    return (known_s + usual_s * len(open_ended)) / 3600


def _length_s(path: Path) -> float | None:
    try:
        return probe(path).duration_s
    except MediaError:
        return None


def _sample(sources: Sequence[Source]) -> Job:
    """Take a few utterances from all over the work."""
    pieces = []
    for source in sources[:: max(1, len(sources) // _SAMPLE_CLIPS)][:_SAMPLE_CLIPS]:
        stretch = Utterance(f"{source.path}", 0.0, _STRETCH_S)
        pieces.append(Piece(source.path, (source.utterances or (stretch,))[:1], source.sound, source.media))
    return Job(tuple(pieces), MODALITIES)
