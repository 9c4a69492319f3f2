"""Compare the feature store with npz, pickle and HDF5 at CMU-MOSEI's size: one utterance, many, all, and bytes.

    python benchmarks/store.py                   # about two minutes, 3 GB of disk, prints Markdown
    python benchmarks/store.py --utterances 2000 --sequences 500 --rounds 1

The features are made up: random numbers in the shapes of real ones. Every format holds the same numbers; every reader
knows the names of the utterances and gives float32. Each reader runs in a process of its own, in turn; what it needs
is imported before the clock starts. The files have just been written, so they come from the page cache, not the disk.
"""

import argparse
import json
import os
import pickle
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
from machine import machine, peak_memory_mb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trisent.features.shards import write_shard
from trisent.features.store import Entry, FeatureStore, Track, write_store
from trisent.types import Features, Provenance, Utterance

RANDOM = 1000
SHARD_BYTES = 128_000_000
TEXT = "a sentence of some fifteen words, as people say them in front of a camera"
Read = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class Data:
    """Flat fp16 `values` [rows, dim]; utterance i owns the rows offsets[i] to offsets[i + 1]."""

    values: Any
    offsets: Any

    @property
    def ids(self) -> list[str]:
        """Name the utterances the way the field does."""
        return [f"video{i // 7:05d}$_${i % 7}" for i in range(len(self.offsets) - 1)]

    def of(self, i: int) -> Any:
        """Return the values of an utterance [steps, dim]."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]


# --- the formats: a writer, and an opener that gives a function from a number to float32 [steps, dim] -----------------


def write_trisent(folder: Path, data: Data) -> None:
    """Write a store of one track, with the text of every utterance beside it."""
    ids, dim = data.ids, data.values.shape[1]
    a_shard = max(1, round(SHARD_BYTES / (data.values.nbytes / len(ids))))

    def features(i: int) -> Features:
        steps = len(data.of(i))
        return Features(data.of(i).astype(np.float32), np.arange(steps, dtype=np.float32), np.ones(steps, np.bool_))

    shards = [
        write_shard(
            folder,
            k,
            modality="text",
            key="k",
            ids=ids[first : first + a_shard],
            features=(features(i) for i in range(first, min(first + a_shard, len(ids)))),
        )
        for k, first in enumerate(range(0, len(ids), a_shard))
    ]
    track = Track("k", Provenance("bert", "made up", "0" * 64, (-1,), ""), dim, "fp16", {}, tuple(shards))
    entries = [Entry(Utterance(i, 0.0, 7.0, TEXT, sentiment=0.5), f"Raw/{i}.mp4", "train") for i in ids]
    write_store(folder, tracks={"text": track}, entries=entries)


def open_trisent(folder: Path) -> Read:
    """Map the shards."""
    store = FeatureStore(folder)
    return lambda i: store.features(i, "text").values


def write_npz(folder: Path, data: Data) -> None:
    """Write what the field shares as arrays: padded to the longest utterance, with lengths."""
    lengths = np.diff(data.offsets)
    padded = np.zeros((len(lengths), lengths.max(), data.values.shape[1]), np.float16)
    for i, length in enumerate(lengths):
        padded[i, :length] = data.of(i)
    np.savez_compressed(folder / "data.npz", text=padded, lengths=lengths, ids=np.array(data.ids))


def open_npz(folder: Path) -> Read:
    """Unpack it whole: a compressed array cannot be cut."""
    with np.load(folder / "data.npz") as archive:
        text, lengths, _ = archive["text"], archive["lengths"], archive["ids"]
    return lambda i: text[i, : lengths[i]].astype(np.float32)


def write_pickle(folder: Path, data: Data) -> None:
    """Write a dictionary of float32 arrays, as the field's tools do."""
    everything = {name: {"text": data.of(i).astype(np.float32)} for i, name in enumerate(data.ids)}
    with (folder / "data.pkl").open("wb") as file:
        pickle.dump(everything, file, protocol=pickle.HIGHEST_PROTOCOL)


def open_pickle(folder: Path) -> Read:
    """Load it whole."""
    with (folder / "data.pkl").open("rb") as file:
        everything = pickle.load(file)
    names = list(everything)
    return lambda i: everything[names[i]]["text"]


def write_pickles(folder: Path, data: Data) -> None:
    """Write a file an utterance."""
    for i, name in enumerate(data.ids):
        with (folder / f"{name}.pkl").open("wb") as file:
            pickle.dump({"text": data.of(i).astype(np.float32)}, file, protocol=pickle.HIGHEST_PROTOCOL)


def open_pickles(folder: Path) -> Read:
    """List the folder; every utterance is then a file to open."""
    names = sorted(path.name for path in os.scandir(folder))

    def read(i: int) -> Any:
        with (folder / names[i]).open("rb") as file:
            return pickle.load(file)["text"]

    return read


def write_hdf5(folder: Path, data: Data) -> None:
    """Write one data set, laid out as ours is."""
    with h5py.File(folder / "data.h5", "w") as file:
        file["values"], file["offsets"], file["ids"] = data.values, data.offsets, data.ids


def open_hdf5(folder: Path) -> Read:
    """Keep the file open, its names and offsets in memory."""
    file = h5py.File(folder / "data.h5", "r")
    values, offsets, _ = file["values"], file["offsets"][:].tolist(), file["ids"][:]
    return lambda i: values[offsets[i] : offsets[i + 1]].astype(np.float32)


def write_groups(folder: Path, data: Data) -> None:
    """Write a group an utterance, as the CMU multimodal SDK does."""
    with h5py.File(folder / "data.h5", "w") as file:
        for i, name in enumerate(data.ids):
            group = file.create_group(name)
            group["features"] = data.of(i)
            group["intervals"] = np.zeros((len(data.of(i)), 2), np.float32)


def open_groups(folder: Path) -> Read:
    """Keep the file open, the names in memory."""
    file = h5py.File(folder / "data.h5", "r")
    names = list(file)
    return lambda i: file[names[i]]["features"][()].astype(np.float32)


FORMATS: dict[str, tuple[Callable[[Path, Data], None], Callable[[Path], Read]]] = {
    "trisent, fp16": (write_trisent, open_trisent),
    "npz compressed, padded, fp16": (write_npz, open_npz),
    "pickle of a dict, fp32": (write_pickle, open_pickle),
    "pickle an utterance, fp32": (write_pickles, open_pickles),
    "HDF5, flat + offsets, fp16": (write_hdf5, open_hdf5),
    "HDF5, group an utterance, fp16": (write_groups, open_groups),
}


# --- the measurement --------------------------------------------------------------------------------------------------


def read(name: str, folder: Path, utterances: int, seed: int) -> None:
    """Read one format: open and take one, take 1,000, take all; print seconds and a sum that must agree."""
    chosen = np.random.default_rng(seed).integers(0, utterances, RANDOM).tolist()
    start = time.perf_counter()
    take = FORMATS[name][1](folder)
    take(chosen[0])
    opened = time.perf_counter()
    for i in chosen:
        take(i)
    taken = time.perf_counter()
    for i in range(utterances):
        take(i)
    ended = time.perf_counter()
    total = sum(float(take(i).sum(dtype=np.float64)) for i in chosen)
    times = {"one_s": opened - start, "random_s": (taken - opened) / RANDOM, "epoch_s": opened - start + ended - taken}
    print(json.dumps({**times, "sum": total, "memory_mb": peak_memory_mb()}))


def measure(name: str, folder: Path, utterances: int, seed: int) -> dict[str, float]:
    """Read in a fresh process; returns what it measured."""
    command = [sys.executable, __file__, "--read", name, str(folder), str(utterances), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(folder: Path, data: Data, rounds: int) -> None:
    """Write and read all formats, and print a table; ratios are to trisent."""
    utterances = len(data.offsets) - 1
    sizes, runs = {}, {name: [] for name in FORMATS}
    for number, (name, (write, _)) in enumerate(FORMATS.items()):
        there = folder / str(number)
        there.mkdir(parents=True)
        write(there, data)
        sizes[name] = sum(path.stat().st_size for path in there.rglob("*") if path.is_file())
    os.sync()
    for seed in range(rounds):  # in turn, so that what else the machine does meets all of them
        for number, name in enumerate(FORMATS):
            runs[name].append(measure(name, folder / str(number), utterances, seed))
        if len({one[seed]["sum"] for one in runs.values()}) > 1:
            sys.exit("the formats gave different numbers")
    middle = {
        name: {key: statistics.median(one[key] for one in of) for key in of[0]} | {"bytes": sizes[name]}
        for name, of in runs.items()
    }
    print(
        "| format | open + one utterance, ms | a random utterance, µs | full epoch, s | MB on disk | peak memory, MB |"
    )
    print("|---|---|---|---|---|---|")
    for name, one in middle.items():
        columns = (("one_s", 1e3, ".1f"), ("random_s", 1e6, ".0f"), ("epoch_s", 1, ".2f"), ("bytes", 1e-6, ".0f"))
        cells = [
            f"{one[key] * scale:{digits}} (× {one[key] / middle['trisent, fp16'][key]:.3g})"
            for key, scale, digits in columns
        ]
        print(f"| {name} | {' | '.join(cells)} | {one['memory_mb']:.0f} |")
    print(flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=22_856, help="with one row each, 3,584 wide")
    parser.add_argument("--sequences", type=int, default=4_000, help="utterances of about 25 steps, 768 wide")
    parser.add_argument("--rounds", type=int, default=3, help="readings of each format; the median counts")
    parser.add_argument("--folder", type=Path, help="where to put the files; else the system's temporary folder")
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.read:
        name, folder, utterances, seed = chosen.read
        read(name, Path(folder), int(utterances), int(seed))
        return
    rng = np.random.default_rng(0)
    print(machine("numpy", "safetensors", "h5py"), end="\n\n")
    with tempfile.TemporaryDirectory(prefix="trisent-benchmark-", dir=chosen.folder) as folder:
        values = rng.standard_normal((chosen.utterances, 3584), np.float32).astype(np.float16)
        print(f"Made-up pooled rows: {chosen.utterances:,} utterances x 3,584 (median of {chosen.rounds}).\n")
        compare(Path(folder, "rows"), Data(values, np.arange(chosen.utterances + 1)), chosen.rounds)
        lengths = np.clip(rng.gamma(4, 25 / 4, chosen.sequences).astype(int), 1, 64)
        values = rng.standard_normal((int(lengths.sum()), 768), np.float32).astype(np.float16)
        shape = f"{len(lengths):,} utterances of 1 to {lengths.max()} steps, {lengths.mean():.0f} on average, x 768"
        print(f"Made-up sequences: {shape} (median of {chosen.rounds}).\n")
        compare(Path(folder, "sequences"), Data(values, np.concatenate([[0], lengths.cumsum()])), chosen.rounds)


if __name__ == "__main__":
    main()
