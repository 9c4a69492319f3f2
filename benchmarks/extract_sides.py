"""The rows of the extraction benchmark, and what one process does for a row.

A process loads its network once, warms up, and then works through a round whenever it is told to; before and after each
round it measures how fast this machine multiplies matrices at the row's precision and number of threads.
"""

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import extract_naive as naive
import numpy as np
from extract_material import Material
from extract_naive import FPS, Rows, Run, no_rows
from machine import available_cores, peak_memory_mb

WORKLOADS = ("text", "audio", "video", "decode", "endtoend")
GPU_TIMES = 40  # a GPU does a round of the CPU's in no time
EXTRACTORS = {"text": "bert", "audio": "wav2vec", "video": "resnet"}
_RATE_S = 0.3  # of multiplying matrices, before and after


@dataclass(frozen=True, slots=True)
class Side:
    """A row; `make` loads what it needs. `times`: how often it does the items of a round at once."""

    make: Callable[[Material], tuple[Run, Rows]]
    precision: str = "fp32"
    device: str = "cpu"
    times: int = 1


# --- trisent ----------------------------------------------------------------------------------------------------------


def extractor_of(
    material: Material, *, modality: str, backend: str, precision: str, device: str = "cpu", a_call: int = 0
) -> tuple[Run, Rows]:
    """Use an extractor: all items of a round in one call, or `a_call` of them."""
    from trisent.extractors.registry import extractor_class
    from trisent.types import Frames

    name = EXTRACTORS[modality]
    make = extractor_class(name)
    extractor = make(str(material.checkpoint(name)), device=device, precision=precision, backend=backend)
    if modality == "text":
        rounds: list[list[Any]] = list(material.texts)
    elif modality == "audio":
        rounds = [list(material.sounds)]
    else:
        rounds = [[Frames(clip, np.arange(len(clip), dtype=np.float32)) for clip in material.pictures]]
    times = GPU_TIMES if device == "cuda" else 1

    def run(n: int) -> Any:
        items = rounds[n % len(rounds)] * times
        size = a_call or len(items)
        return [one for i in range(0, len(items), size) for one in extractor.extract(items[i : i + size])]

    return run, lambda out: [one.values for one in out[: len(out) // times]]


def read_by_trisent(material: Material, *, sound: bool, threads: int) -> tuple[Run, Rows]:
    """Decode clips as extraction does, with `threads` for the pictures."""
    from trisent.media.clips import Pictures, read_clips
    from trisent.types import Utterance

    whole, pictures = [Utterance("", 0.0, math.inf)], Pictures(fps=FPS, longest_side=None, shorter_side=256)

    def run(_: int) -> Any:
        return [list(read_clips(p, whole, sound=sound, pictures=pictures, threads=threads)) for p in material.clips]

    return run, no_rows


def extract_all(material: Material, *, backend: Any, precision: Any, workers: int) -> tuple[Run, Rows]:
    """Extract into a store. Of the seconds, those until the workers are ready (on average) are told apart."""
    from trisent.features import pool
    from trisent.features.extract import extract
    from trisent.features.settings import ExtractSettings

    settings = ExtractSettings(
        **{modality: f"{name}:{material.checkpoint(name)}" for modality, name in EXTRACTORS.items()},  # type: ignore[arg-type]
        frames="full",
        fps=FPS,
        device="cpu",
        precision=precision,
        backend=backend,
        workers=workers,
    )
    ready_at: list[float] = []

    peaks_mb: list[float] = []
    start, close = pool.Isolated._started, pool.Isolated.close

    def timed(worker: Any) -> Any:
        new = worker._process is None
        timer = start(worker)
        if new:
            ready_at.append(time.perf_counter())
        return timer

    def weighed(worker: Any) -> None:
        if worker._process is not None:
            peaks_mb.append(peak_memory_mb(worker._process.pid))
        close(worker)

    pool.Isolated._started, pool.Isolated.close = timed, weighed  # type: ignore[method-assign]

    def run(n: int) -> Any:
        if n == 0:
            return None  # each round starts its own workers: nothing here could be warmed up
        ready_at.clear()
        peaks_mb.clear()
        with tempfile.TemporaryDirectory(dir=material.folder) as out:
            begun = time.perf_counter()
            summary = extract([material.table], Path(out) / "store", settings)
            ended = time.perf_counter()
        if summary.failures or not summary.extracted:
            msg = f"{len(summary.failures)} clips failed, such as {summary.failures[:1]}"
            raise RuntimeError(msg)
        ready = sum(ready_at) / len(ready_at)
        return {"seconds": ended - ready, "start_s": ready - begun, "memory_mb": peak_memory_mb() + sum(peaks_mb)}

    return run, no_rows


# --- the rows of each table -------------------------------------------------------------------------------------------


def sides_of(workload: str, *, gpu: bool = False) -> Mapping[str, Side]:
    """List the rows of a table by name; the first is what the others are compared with."""
    cores = available_cores()
    if workload == "decode":
        return {
            "OpenCV, read all": Side(partial(naive.decoded, sound=False)),
            "OpenCV, read all; PyAV for sound": Side(partial(naive.decoded, sound=True)),
            "trisent, pictures, 1 thread": Side(partial(read_by_trisent, sound=False, threads=1)),
            "trisent, pictures and sound, 1 thread": Side(partial(read_by_trisent, sound=True, threads=1)),
            "trisent, pictures and sound, a thread a core": Side(partial(read_by_trisent, sound=True, threads=cores)),
        }
    fast = fast_precision()
    if workload == "endtoend":
        ours = {
            f"trisent, {backend} {fast}": Side(
                partial(extract_all, backend=backend, precision=fast, workers=cores), fast
            )
            for backend in ("torch", "openvino")
        }
        return {"naive loop": Side(naive.clips_one_by_one), **ours}
    plain = {
        "text": {
            "naive loop": Side(naive.texts_one_by_one),
            "transformers pipeline": Side(partial(naive.pipeline_text, batch_size=1)),
            "transformers pipeline, batch_size=32": Side(partial(naive.pipeline_text, batch_size=32)),
        },
        "audio": {"naive loop": Side(naive.sounds_one_by_one)},  # no pipeline gives the features of sound
        "video": {
            "naive loop": Side(naive.pictures_one_by_one),
            "transformers pipeline": Side(partial(naive.pipeline_video, batch_size=1)),
            "transformers pipeline, batch_size=14": Side(partial(naive.pipeline_video, batch_size=14)),
        },
    }[workload]
    ours = {
        f"trisent, {backend} {precision}": Side(
            partial(extractor_of, modality=workload, backend=backend, precision=precision), precision
        )
        for precision in dict.fromkeys(("fp32", fast))
        for backend in ("torch", "openvino", "onnx")
        if (backend, precision) != ("onnx", "bf16")
    }
    on_torch = partial(extractor_of, modality=workload, backend="torch")
    if workload == "text":  # as many as `trisent extract` has in a job
        ours[f"trisent, torch {fast}, 16 a call"] = Side(partial(on_torch, precision=fast, a_call=16), fast)
    if gpu:
        on_gpu = partial(on_torch, precision="bf16", device="cuda")
        ours["trisent, torch bf16, GPU"] = Side(on_gpu, "bf16", "cuda", GPU_TIMES)
    return plain | ours


@cache
def fast_precision() -> str:
    """Name what `--precision auto` tries first on this processor: bf16 where it multiplies bf16 itself, else fp32."""
    import torch

    from trisent.compute import native_bf16

    return "bf16" if native_bf16(torch.device("cpu")) else "fp32"


# --- one process ------------------------------------------------------------------------------------------------------


def serve(workload: str, name: str, folder: Path, *, gpu: bool) -> None:
    """Be a row: say that it is ready, then do the round of each number read; every answer is a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    from trisent.memory import keep_memory

    if name.startswith("trisent"):
        keep_memory()  # as its workers do
    side = sides_of(workload, gpu=gpu)[name]
    threads = int(os.environ["OMP_NUM_THREADS"])
    if workload == "decode":
        multiply: Callable[[], float] = lambda: math.nan  # noqa: E731 - it loads no networks, nor torch
    else:
        import torch

        torch.set_num_threads(threads)
        multiply = partial(matrix_rate, side.precision, side.device)
    try:
        run, rows = side.make(Material(folder))
        run(0)
        answer(ready=True)
        for line in sys.stdin:
            before = multiply()
            begun, begun_cpu = time.perf_counter(), time.process_time()
            out = run(int(line))
            taken = {"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - begun_cpu}
            taken["memory_mb"] = peak_memory_mb()
            if isinstance(out, dict):  # it knows better
                taken |= out
            pooled = [np.asarray(one, np.float32).mean(axis=0).tolist() for one in rows(out)]
            limit = (before + multiply()) / 2
            answer(**taken, times=side.times, limit=limit, pooled=pooled)
    except Exception as error:
        answer(error=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def matrix_rate(precision: str, device: str) -> float:
    """Measure how fast matrices are multiplied, in GFLOP/s."""
    import torch

    size = 8192 if device == "cuda" else 2048
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    a, b = (torch.randn(size, size, dtype=torch.float32).to(device, dtype) for _ in range(2))
    wait: Callable[[], Any] = torch.cuda.synchronize if device == "cuda" else int
    torch.mm(a, b)
    wait()
    begun, done = time.perf_counter(), 0
    while (taken := time.perf_counter() - begun) < _RATE_S:
        torch.mm(a, b)
        wait()
        done += 1
    return 2 * size**3 * done / taken / 1e9
