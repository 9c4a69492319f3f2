"""Measure reading and auditing data sets: seconds, rate and peak memory, beside the plain way where there is one.

    python benchmarks/data.py                    # about five minutes, 3 GB of disk, prints Markdown
    python benchmarks/data.py --quick            # toy sizes, one round: no figure means anything
    python benchmarks/data.py --only audit --rounds 1

    pickle   open a pickle of MMSA's shape and take the first batch: trisent, pickle.load, and trisent's own store
    csd      a folder of computational sequences, averaged over utterances, to npz: trisent, and h5py with a loop
    audit    every check on a set of CMU-MOSEI's size; nothing to compare with

All data are made up: random numbers in the shapes of real ones. Every measurement is a process of its own, in turn;
what it needs is imported before the clock starts, and both sides of a table must give the same numbers. The files have
just been written, so they come from the page cache, not the disk.
"""

import argparse
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from data_material import BATCH, Sizes, make_audit, make_csd, make_pickle, mosei_like
from machine import load, machine, peak_memory_mb, some_of

Took = tuple[float, float]  # seconds, and a sum that both sides must agree on


# --- a pickle of MMSA's shape: the first batch ------------------------------------------------------------------------


def first_batch(path: Path) -> Took:
    """Read with trisent, and take the first batch."""
    import torch

    from trisent.data import readers
    from trisent.data.batching import Examples
    from trisent.data.formats import mmsa, store  # noqa: F401 - imported here for its time not to count

    start = time.perf_counter()
    dataset = readers.read(path)
    batch = Examples(dataset, dataset.index("train")).batch(torch.arange(BATCH))
    took = time.perf_counter() - start
    return took, sum(float(values.double().sum()) for values in batch.values.values())


def pickle_trisent(folder: Path, _: Sizes) -> Took:
    """Read the pickle."""
    return first_batch(folder / "unaligned_50.pkl")


def pickle_store(folder: Path, _: Sizes) -> Took:
    """Read what it was converted to."""
    return first_batch(folder / "store")


def pickle_plain(folder: Path, _: Sizes) -> Took:
    """Load the pickle, slice, cut to the longest, and make tensors."""
    import torch

    start = time.perf_counter()
    with (folder / "unaligned_50.pkl").open("rb") as file:
        train = pickle.load(file)["train"]
    longest = {key: max(train[f"{key}_lengths"][:BATCH]) for key in ("audio", "vision")}
    longest["text"] = int(train["text_bert"][:BATCH, 1].sum(axis=1).max())
    batch = {key: torch.from_numpy(train[key][:BATCH, :steps].astype(np.float32)) for key, steps in longest.items()}
    took = time.perf_counter() - start
    return took, sum(float(values.double().sum()) for values in batch.values())


# --- computational sequences: averaged over utterances, to npz --------------------------------------------------------


def csd_trisent(folder: Path, _: Sizes) -> Took:
    """Read with trisent, and write its npz."""
    from trisent.data.formats import csd, npz

    start = time.perf_counter()
    dataset = csd.read(folder / "csd", align="pooled")
    npz.write(dataset, folder / f"npz-{os.getpid()}")
    took = time.perf_counter() - start
    return took, sum(float(s.values.sum(dtype=np.float64)) for s in dataset.features.values())


def csd_plain(folder: Path, _: Sizes) -> Took:
    """Go through videos and utterances, average the rows that overlap, and write one npz."""
    start = time.perf_counter()
    rows: dict[str, list[Any]] = {"COVAREP": [], "FACET 4.2": []}
    texts, sentiment, ids = [], [], []
    files = {name: h5py.File(folder / "csd" / f"{name.replace(' ', '_')}.csd", "r")[f"{name}/data"]
             for name in ("All Labels", "words", *rows)}  # fmt: skip
    for video in files["All Labels"]:
        read = {name: (data[video]["features"][()], data[video]["intervals"][()]) for name, data in files.items()}
        for k, (label, (a, b)) in enumerate(zip(*read["All Labels"], strict=True)):
            inside = {name: values[(times[:, 0] < b) & (times[:, 1] > a)] for name, (values, times) in read.items()}
            for name, found in rows.items():
                found.append(inside[name].mean(axis=0, dtype=np.float64).astype(np.float32))
            texts.append(" ".join(word.decode() for word in inside["words"][:, 0]))
            sentiment.append(label[0])
            ids.append(f"{video}[{k}]")
    arrays = {name: np.stack(found) for name, found in rows.items()}
    np.savez(folder / f"npz-{os.getpid()}.npz", sentiment=sentiment, ids=ids, texts=texts, **arrays)
    took = time.perf_counter() - start
    return took, sum(float(values.sum(dtype=np.float64)) for values in arrays.values())


# --- audit ------------------------------------------------------------------------------------------------------------


def audit_trisent(_: Path, sizes: Sizes) -> Took:
    """Make the set, and audit it."""
    from trisent.data.audit import audit

    dataset = mosei_like(sizes.utterances)
    start = time.perf_counter()
    report = audit(dataset)
    return time.perf_counter() - start, len(report.findings)


# --- the measurement --------------------------------------------------------------------------------------------------

Side = Callable[[Path, Sizes], Took]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: `make` writes the files; `unit` is what is counted a second; the first side is trisent's."""

    make: Callable[[Path, Sizes], tuple[str, float]]
    unit: str
    sides: dict[str, Side]


SUBJECTS = {
    "pickle": Subject(
        make_pickle,
        "MB of the pickle",
        {
            "trisent, the pickle": pickle_trisent,
            "pickle.load + slicing": pickle_plain,
            "trisent, its store": pickle_store,
        },
    ),
    "csd": Subject(make_csd, "videos", {"trisent": csd_trisent, "h5py + numpy, a loop": csd_plain}),
    "audit": Subject(make_audit, "utterances", {"trisent": audit_trisent}),
}


def measure(subject: str, side: str, folder: Path, sizes: Sizes) -> dict[str, float]:
    """Run a side in a fresh process; returns what it measured."""
    told = [str(n) for n in (sizes.megabytes, sizes.videos, sizes.seconds, sizes.utterances)]
    command = [sys.executable, __file__, "--run", subject, side, str(folder), *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{subject}, {side}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(subject: str, folder: Path, sizes: Sizes, *, rounds: int) -> None:
    """Measure all sides of a subject, and print a table; ratios are to trisent."""
    of = SUBJECTS[subject]
    folder.mkdir()
    about, amount = of.make(folder, sizes)
    os.sync()
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in of.sides}
    for _ in range(rounds):  # in turn, so that what else the machine does meets all of them
        for side in of.sides:
            runs[side].append(measure(subject, side, folder, sizes))
    sums = [one["sum"] for found in runs.values() for one in found]
    if not np.allclose(sums, sums[0], rtol=1e-6, atol=0.01):
        sys.exit(f"{subject}: the sides gave different numbers: {sums}")
    middle = {side: {key: statistics.median(one[key] for one in found) for key in found[0]}
              for side, found in runs.items()}  # fmt: skip
    base = next(iter(middle.values()))
    print(f"{about} Median of {rounds}.\n")
    print(f"| | seconds | {of.unit} a second | peak memory, MB |\n|---|---|---|---|")
    for side, one in middle.items():
        seconds = f"{one['seconds']:.2f} (× {one['seconds'] / base['seconds']:.3g})"
        memory = f"{one['memory_mb']:,.0f} (× {one['memory_mb'] / base['memory_mb']:.3g})"
        print(f"| {side} | {seconds} | {amount / one['seconds']:,.0f} | {memory} |")
    print(flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=some_of(list(SUBJECTS)), default=list(SUBJECTS), help=", ".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=3, help="of each row; the median counts")
    parser.add_argument("--megabytes", type=int, default=1000, help="of the pickle")
    parser.add_argument("--videos", type=int, default=3000, help="with computational sequences")
    parser.add_argument("--seconds", type=int, default=20, help="of each of these videos")
    parser.add_argument("--utterances", type=int, default=22_856, help="that are audited")
    parser.add_argument("--folder", type=Path, help="where to put the files; else the system's temporary folder")
    parser.add_argument("--quick", action="store_true", help="toy sizes, one round")
    parser.add_argument("--run", nargs=7, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        subject, side, folder, *told = chosen.run
        seconds, total = SUBJECTS[subject].sides[side](Path(folder), Sizes(*map(int, told)))
        print(json.dumps({"seconds": seconds, "sum": total, "memory_mb": peak_memory_mb()}))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that files go, too
    sizes = Sizes(chosen.megabytes, chosen.videos, chosen.seconds, chosen.utterances)
    if chosen.quick:
        chosen.rounds, sizes = 1, Sizes(10, 40, 5, 700)
        print("TOY SIZES: no figure means anything.\n")
    print(f"{machine('numpy', 'h5py', 'torch')}; load at the beginning {load()}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="trisent-benchmark-", dir=chosen.folder) as folder:
        for subject in chosen.only:
            compare(subject, Path(folder, subject), sizes, rounds=chosen.rounds)
    print(f"Load at the end {load()}.")


if __name__ == "__main__":
    main()
