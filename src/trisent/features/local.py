"""The local engine: jobs on the cores, or the GPU, of this machine."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trisent.extractors.base import Extractor
from trisent.extractors.registry import make_extractors
from trisent.features.part import Failure, Part
from trisent.features.pool import Crash, Stage, run_in_processes
from trisent.features.settings import ExtractSettings
from trisent.features.work import Job
from trisent.features.worker import ENCODE_S, ENCODING, Decoded, Encoder, Wants, decode, wants_of
from trisent.i18n import t
from trisent.types import Features, Modality, OnProgress, no_progress


def extractors_of(
    settings: ExtractSettings, *, on_progress: OnProgress = no_progress
) -> dict[Modality, Extractor[Any]]:
    """Make the extractors that the settings name, fetching weights that are absent.

    Raises:
        WeightsError: weights cannot be had.
        UsageError: an extractor has no such option.
    """
    return make_extractors(
        settings.extractors(),
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        on_progress=on_progress,
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """Decode and encode in one process: what measured best on CPUs."""

    settings: ExtractSettings

    def start(self) -> Callable[[Job, Stage], Part]:
        extractors = extractors_of(self.settings)
        wants, encoder = wants_of(extractors, self.settings), Encoder(extractors, self.settings)

        def do(job: Job, on_step: Stage) -> Part:
            decoded = decode(job, wants, on_step=on_step)
            on_step(ENCODING, ENCODE_S)
            return encoder.encode(job, decoded)

        return do


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decode only: a GPU is fed by many such processes."""

    wants: Wants

    def start(self) -> Callable[[Job, Stage], Decoded]:
        wants = self.wants
        return lambda job, on_step: decode(job, wants, on_step=on_step)


def run_local(jobs: Iterable[Job], settings: ExtractSettings, *, workers: int, gpu: bool) -> Iterator[tuple[Job, Part]]:
    """Do jobs on this machine; yields each with what it gave, as they finish, in no particular order.

    A job whose worker died is done again in smaller pieces, so that one file that breaks a decoder costs only itself.

    Args:
        jobs: what to do.
        settings: how.
        workers: processes; each one decodes, and encodes too unless there is a GPU. 0 does all in this process.
        gpu: encode here, on the GPU.
    """
    broken: list[tuple[Job, Crash]] = []
    for job, result in _run(jobs, settings, workers=workers, gpu=gpu):
        if isinstance(result, Crash):
            broken.append((job, result))
        else:
            yield job, result
    for job, crash in broken:
        yield job, in_pieces(job, crash, settings, gpu=gpu)


def _run(
    jobs: Iterable[Job], settings: ExtractSettings, *, workers: int, gpu: bool
) -> Iterator[tuple[Job, Part | Crash]]:
    if not gpu:
        yield from run_in_processes(jobs, Whole(settings), workers=workers)
        return
    extractors = extractors_of(settings)
    encoder = Encoder(extractors, settings)
    for job, decoded in run_in_processes(jobs, Decoding(wants_of(extractors, settings)), workers=workers):
        yield job, decoded if isinstance(decoded, Crash) else encoder.encode(job, decoded)


def in_pieces(job: Job, crash: Crash, settings: ExtractSettings, *, gpu: bool) -> Part:
    """Do a job that broke its worker file by file, then utterance by utterance, here."""
    smaller = job.split()
    if len(smaller) == 1 and len(job.utterances) == 1:
        what = (
            t("reading its features broke the worker") if crash.step == ENCODING else t("decoding it broke the worker")
        )
        path = str(job.pieces[0].path)
        return Part({}, tuple(Failure(u.id, path, None, f"{what} ({crash.reason})") for u in job.utterances), {})
    results = dict(_run(smaller, settings, workers=1, gpu=gpu))
    parts = [
        in_pieces(one, found, settings, gpu=gpu) if isinstance(found := results[one], Crash) else found
        for one in smaller
    ]
    features: dict[Modality, dict[str, Features]] = {m: {} for m in job.modalities}
    for part in parts:
        for modality, ones in part.features.items():
            features[modality] |= ones
    ends = {i: end for part in parts for i, end in part.ends.items()}
    return Part(features, tuple(f for part in parts for f in part.failures), ends)
