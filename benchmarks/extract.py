"""Compare trisent's extraction with the loop that users write and with transformers' pipeline, piece by piece.

    python benchmarks/extract.py                  # ten to twenty minutes on two cores, 2 GB of disk, prints Markdown
    python benchmarks/extract.py --only text,endtoend --rounds 5
    python benchmarks/extract.py --quick          # toy networks: shows only that it runs

Clips, texts and checkpoints are made on the spot: BERT-base, wav2vec2-base and ResNet-50 with random weights, unless
trisent's catalog has them on this machine. Every row is a process of its own that loads and warms up before the clock
starts; the rows of a table then work in turns, round by round, on the same items. The networks alone and their rows
use one thread; decoding and the whole way from files to a store use all cores: the loop as OpenCV and torch share them
out, trisent with a process a core. Before and after each round the row's own process multiplies matrices at its
precision and number of threads: that is what "fraction" is of. What needs a package that is not installed is told so.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from extract_material import ROOT, Material, make_material
from extract_report import PACKAGES, Row, Work, count_work, print_table
from extract_sides import GPU_TIMES, WORKLOADS, serve, sides_of
from machine import available_cores, machine, some_of

A_JOB = 16  # utterances: so every worker gets the same when there are as many jobs as workers


@dataclass(slots=True)
class Process:
    """A row at work; `fault` says why it is not any more."""

    name: str
    process: subprocess.Popen[str]
    log: IO[bytes]
    fault: str = ""

    def heard(self) -> dict[str, Any] | None:
        """Wait for its next answer; None when there will be none."""
        assert self.process.stdout
        line = "" if self.fault else self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if "error" in answer or not line:
            self.log.seek(0)
            said = self.log.read().decode(errors="replace").strip().splitlines()
            self.fault = self.fault or answer.get("error") or f"it ended: {said[-1] if said else 'without a word'}"
            return None
        return answer

    def do(self, number: int) -> dict[str, Any] | None:
        """Do a round."""
        if self.fault or not self.process.stdin:
            return None
        with suppress(OSError):  # it is gone, which is noticed when it is asked for its answer
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
        return self.heard()


def started(workload: str, name: str, material: Material, *, threads: int, gpu: bool, stack: ExitStack) -> Process:
    """Start the process of a row; it ends with the stack."""
    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stack
    stack.callback(log.close)
    environment = {
        **os.environ,
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads)),
        "PYTHONPATH": str(ROOT / "src"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, __file__, "--serve", workload, name, str(material.folder), str(int(gpu))]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return Process(name, process, log)


def measure(workload: str, material: Material, *, rounds: int, work: Work, gpu: bool) -> list[Row]:
    """Run a table's rows in turns, every other round backwards."""
    threads = available_cores() if workload in ("decode", "endtoend") else 1
    names = list(sides_of(workload, gpu=gpu))
    answers: Mapping[str, list[dict[str, Any]]] = {name: [] for name in names}
    with ExitStack() as stack:
        crew: list[Process] = []
        for first in range(0, len(names), available_cores()):  # loading takes more memory than being loaded
            some = names[first : first + available_cores()]
            crew += [started(workload, name, material, threads=threads, gpu=gpu, stack=stack) for name in some]
            for one in crew[first:]:
                one.heard()  # that it is ready
        for number in range(1, rounds + 1):
            for one in crew if number % 2 else reversed(crew):
                if answer := one.do(number):
                    items, gflop = size_of(workload, one.name, number, material=material, work=work)
                    answers[one.name].append({**answer, "items": items, "gflop": gflop})
                print(f"{workload}, round {number}, {one.name}: {one.fault or 'done'}", file=sys.stderr, flush=True)
        return [Row(one.name, answers[one.name], one.fault) for one in crew]


def size_of(workload: str, name: str, number: int, *, material: Material, work: Work) -> tuple[int, float]:
    """Return how many items a row does in a round, and the GFLOP of their networks."""
    times = GPU_TIMES if name.endswith("GPU") else 1
    clips, a_clip = len(material.clips), material.pictures.shape[1]
    match workload:
        case "text":
            items, gflop = len(material.texts[number]), work.text(pieces(material, material.texts[number]))
        case "audio":
            items, gflop = clips, clips * work.clip
        case "video":
            items, gflop = clips * a_clip, clips * a_clip * work.picture
        case "decode":
            items, gflop = clips, 0.0
        case _:
            lines = material.table.read_text(encoding="utf-8").splitlines()[1:]
            texts = [line.split(",")[2] for line in lines]
            if name == "naive loop":
                texts = [material.texts[number][i % len(material.texts[number])] for i in range(clips)]
            items = len(texts)
            gflop = work.text(pieces(material, texts)) + items * (work.clip + a_clip * work.picture)
    return items * times, gflop * times


def pieces(material: Material, texts: Sequence[str]) -> list[int]:
    """Count the pieces of texts, [CLS] and [SEP] included."""
    from transformers import AutoTokenizer

    return [len(ids) for ids in AutoTokenizer.from_pretrained(material.checkpoint("bert"))(texts)["input_ids"]]


def compare(folder: Path, chosen: argparse.Namespace) -> None:
    """Make the material, run the tables that are asked for, and print them."""
    import torch

    gpu = torch.cuda.is_available()
    corpus = 2 if chosen.quick else A_JOB * available_cores() * chosen.jobs
    made = {"rounds": chosen.rounds, "clips": chosen.clips, "texts": chosen.texts, "corpus": corpus}
    print(machine(*PACKAGES), end="\n\n", flush=True)
    material = make_material(folder, **made, small=chosen.quick)
    work = count_work(material)
    lengths = pieces(material, [text for texts in material.texts for text in texts])
    mean = sum(lengths) / len(lengths)
    seconds = material.sounds.shape[1] / 16_000
    kbit = sum(p.stat().st_size for p in material.clips) / len(material.clips) * 8 / seconds / 1000
    real = (folder / "weights.txt").read_text(encoding="utf-8") or "none"
    notes = "TOY NETWORKS: no figure means anything. " if chosen.quick else ""
    notes += "" if gpu else "GPU: not run, there is none."
    print(
        f"{chosen.rounds} rounds (medians) of {chosen.texts} texts of {mean:.0f} pieces on average (longest "
        f"{max(lengths)}) and {chosen.clips} clips of {seconds:.0f} s (640x360, 25 pictures/s, H.264 + AAC, "
        f"{kbit:.0f} kbit/s), {material.pictures.shape[1]} pictures of each; trisent's end to end on {corpus} clips. "
        f"GFLOP: {work.text(lengths) / len(lengths):.2f} a text, {work.clip:.1f} a clip's sound, {work.picture:.2f} a "
        f"picture. True weights: {real}; else random. {notes}\n",
        flush=True,
    )
    for workload in chosen.only:
        rows = measure(workload, material, rounds=chosen.rounds, work=work, gpu=gpu)
        print_table(workload, rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=some_of(WORKLOADS), default=list(WORKLOADS), help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3, help="of each row; the median counts")
    parser.add_argument("--clips", type=int, default=4, help="of 7 s in a round of audio, video, decode, naive loop")
    parser.add_argument("--texts", type=int, default=64, help="in a round")
    parser.add_argument("--jobs", type=int, default=1, help=f"of {A_JOB} clips for each core, of trisent's end to end")
    parser.add_argument("--folder", type=Path, help="where to put the files; else the system's temporary folder")
    parser.add_argument("--quick", action="store_true", help="toy networks, two short clips, one round")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        workload, name, folder, gpu = chosen.serve
        serve(workload, name, Path(folder), gpu=gpu == "1")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that processes and files go, too
    if chosen.quick:
        chosen.rounds, chosen.clips, chosen.texts = 1, 2, 4
    with tempfile.TemporaryDirectory(prefix="trisent-benchmark-", dir=chosen.folder) as folder:
        compare(Path(folder), chosen)


if __name__ == "__main__":
    main()
