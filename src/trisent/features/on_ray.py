"""The Ray engine: the same jobs on the machines of a cluster, through Ray Data.

Ray streams jobs to the workers, holds back decoding that runs ahead of the networks, and does again what a lost machine
had in hand. Jobs are cut, done and put together as on one machine, so the store is the same, byte for byte.
"""

import math
import os
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from trisent.errors import TrisentError, one_line
from trisent.features.cluster import Ray, check_machines, connected
from trisent.features.extract import wanted_tracks
from trisent.features.index import Track
from trisent.features.local import extractors_of, in_pieces
from trisent.features.part import Part, pack, unpack
from trisent.features.pool import Crash, Isolated, Stage, Work
from trisent.features.settings import ExtractSettings
from trisent.features.work import Job
from trisent.features.worker import ENCODE_S, ENCODING, Decoded, Encoder, Wants, decode, wants_of
from trisent.i18n import t
from trisent.types import Modality

_Task = TypeVar("_Task")
_NUMBER, _DATA = "number", "data"
_Row = dict[
    str, Any
]  # of Ray Data: the number of a task, and the task or what became of it, pickled as Ray itself does
_FILES = 20  # looked for on every machine before the work begins


def run_on_ray(
    jobs: Sequence[Job], settings: ExtractSettings, *, workers: int | None, gpu: bool
) -> Iterator[tuple[Job, Part]]:
    """Do jobs on a Ray cluster; yields each with what it gave, as they finish, in no particular order.

    As on one machine, a job whose worker died is done again in smaller pieces, here and last.

    Args:
        jobs: what to do.
        settings: how; `settings.address` names the cluster.
        workers: of one core each; None or 0 for as many as the cluster has cores, now or later.
        gpu: decode on the cores and encode on the GPUs, one worker each; otherwise each core does both.

    Raises:
        TrisentError: Ray is not installed, no cluster answers, or its machines do not fit the work.
    """
    if not jobs:
        return
    extractors = extractors_of(settings)
    wants, tracks = wants_of(extractors, settings), wanted_tracks(extractors, settings)
    del extractors
    settings_there = replace(settings, device="cuda" if gpu else "cpu")  # Ray says which GPU
    stages: list[Work[Any]] = (
        [_Decoding(wants), _Encoding(settings_there, tracks)]
        if gpu
        else [_Both(wants, _Encoding(settings_there, tracks))]
    )
    broken: list[tuple[Job, Crash]] = []
    with connected(settings.address) as ray:
        some = jobs[:: math.ceil(len(jobs) / _FILES)]
        check_machines(ray, [path for path in {job.pieces[0].path for job in some} if path.exists()])
        for job, result in stream(ray, jobs, stages=stages, workers=workers):
            if isinstance(result, Crash):
                broken.append((job, result))
            else:
                yield job, unpack(result)
    for job, crash in broken:
        yield job, in_pieces(job, crash, settings, gpu=gpu)


def stream(
    ray: Ray, tasks: Sequence[_Task], *, stages: Sequence[Work[Any]], workers: int | None
) -> Iterator[tuple[_Task, Any]]:
    """Do tasks on a cluster; yields each once, with its result or a Crash, in no particular order.

    Args:
        ray: what `connected` gave.
        tasks: what to do.
        stages: one work on the cores, or one on the cores whose results another one on the GPUs takes as tasks.
        workers: for the first stage; None or 0 for as many as the cluster has cores, now or later.

    Raises:
        TrisentError: the cluster has no cores, or no GPU for a second stage, or Ray gives up; whatever a task raises is
            raised here too.
    """
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    if not cores:
        raise TrisentError(t("the Ray cluster has no cores to work on; add a machine: ray start --address ..."))
    if len(stages) > 1 and not gpus:
        raise TrisentError(t("the Ray cluster has no GPU; say --device cpu, or add machines that have one"))
    rows = [{_NUMBER: number, _DATA: pickle.dumps(task)} for number, task in enumerate(tasks)]
    done = ray.data.from_items(rows, override_num_blocks=len(rows))  # a task a block: results come one by one
    done.context.enable_progress_bars = False
    done.context.print_on_execution_start = False
    done.context.execution_no_progress_timeout_s = -1  # tasks have limits of their own, and a file may be long
    needs: list[tuple[dict[str, float], int, int | None]] = [
        ({"num_cpus": 1}, min(workers or cores, len(tasks)), workers or None),
        ({"num_cpus": 0, "num_gpus": 1}, min(gpus, len(tasks)), None),
    ]
    for work, (resources, at_first, most) in zip(stages, needs, strict=False):
        pool = ray.data.ActorPoolStrategy(min_size=1, initial_size=at_first, max_size=most)
        done = done.map(_Actor, fn_constructor_args=(work, str(Path.cwd())), compute=pool, **resources)
    left = dict(enumerate(tasks))
    try:
        with closing(iter(done.iter_rows())) as found:
            for row in found:
                if row[_NUMBER] in left:  # a machine that was taken for lost may be back with it
                    result = pickle.loads(row[_DATA])
                    if isinstance(result, Exception):
                        raise result
                    yield left.pop(row[_NUMBER]), result
    except ray.exceptions.RayError as error:
        reason = one_line(error)
        raise TrisentError(t("Ray gave up ({reason}); run the same command again", reason=reason)) from error
    if left:
        raise TrisentError(t("Ray lost {n} tasks on its way; run the same command again", n=len(left)))


class _Actor:
    """A worker on some machine. Its work has a process of its own there, so that what kills it costs a task only."""

    def __init__(self, work: Work[Any], folder: str) -> None:
        with suppress(OSError):  # so that relative paths mean what they mean to who named them
            os.chdir(folder)
        self._isolated = Isolated(work)

    def __call__(self, row: _Row) -> _Row:
        """Do a task; what went wrong in an earlier stage is handed on."""
        task = pickle.loads(row[_DATA])
        if not isinstance(task, Crash | Exception):
            try:
                task = self._isolated.do(task)
            except Exception as error:  # as itself, which Ray would wrap in its own
                task = error
        return {_NUMBER: row[_NUMBER], _DATA: pickle.dumps(task)}

    def __del__(self) -> None:
        self._isolated.close()


@dataclass(frozen=True, slots=True)
class _Decoding:
    """Decode on a core, for a GPU that may be elsewhere."""

    wants: Wants

    def start(self) -> Callable[[Job, Stage], tuple[Job, Decoded]]:
        return lambda job, on_step: (job, decode(job, self.wants, on_step=on_step))


@dataclass(frozen=True, slots=True)
class _Encoding:
    """Run the extractors over what was decoded, if they are the same here as where the work is from.

    Gives the bytes of the part: rounded as they will be stored, they are half as many to send.
    """

    settings: ExtractSettings
    tracks: Mapping[Modality, Track]

    def start(self) -> Callable[[tuple[Job, Decoded], Stage], bytes]:
        extractors = extractors_of(self.settings)
        check_same(wanted_tracks(extractors, self.settings), self.tracks)
        encoder = Encoder(extractors, self.settings)

        def do(task: tuple[Job, Decoded], on_step: Stage) -> bytes:
            on_step(ENCODING, ENCODE_S)
            return pack(encoder.encode(*task), dtype=self.settings.dtype)

        return do


@dataclass(frozen=True, slots=True)
class _Both:
    """Decode and encode on a core."""

    wants: Wants
    encoding: _Encoding

    def start(self) -> Callable[[Job, Stage], bytes]:
        encode = self.encoding.start()
        return lambda job, on_step: encode((job, decode(job, self.wants, on_step=on_step)), on_step)


def check_same(here: Mapping[Modality, Track], wanted: Mapping[Modality, Track]) -> None:
    """Refuse to mix features of two kinds: those that this machine would make, and those that are wanted.

    Raises:
        TrisentError: some modality's weights, precision or back-end are not those wanted.
    """
    for modality, track in wanted.items():
        if here[modality].key != track.key:
            message = (
                "{machine} would compute {modality} features otherwise ({got}) than they are begun ({expected}); "
                "name --precision and --backend, and put the same weights on every machine"
            )
            got, expected = _means(here[modality]), _means(track)
            raise TrisentError(t(message, machine=platform.node(), modality=t(modality), got=got, expected=expected))


def _means(track: Track) -> str:
    return f"{track.settings['precision']}, {track.settings['backend']}, {track.provenance.digest[:12]}"
