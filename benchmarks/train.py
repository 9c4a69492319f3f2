"""Compare trisent's training with the field's usual loop, a DataLoader over a Dataset that returns a dict of tensors.

    python benchmarks/train.py                    # half an hour on two cores, 3 GB of memory, prints Markdown
    python benchmarks/train.py --only mlp --batch-sizes 64,128
    python benchmarks/train.py --quick            # toy sizes: shows only that it runs

    load-pooled load-steps    all batches of an epoch, and nothing else
    mlp      the model `concat` on the averages of 16,326 utterances, text 768, audio 768, video 2048
    steps    the model `lf_dnn` on sequences of 50 steps, text 768, audio 74, video 35: it averages them
    lstm     the model `ef_lstm` on the same sequences: it looks at every step

Data are random numbers in memory, float32. Both sides train the same model with AdamW and clipped gradients in batches
of the same size; the usual loop is that of MMSA: `torch.Tensor(features[i])` an utterance, the collation of torch, the
loss read every step.
Every measurement is a process of its own, in turn, with `--threads` threads. After a first epoch that does not count it
measures `--epochs` more, and beside them what the machine can do with as many threads: copies of memory (by one), for
loading, and products of matrices in the precision of the row, for training. "Fraction" is of that. A processor without
bf16 has no such row.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import available_cores, load, machine, peak_memory_mb, some_of  # beside this file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

POOLED = {"text": 768, "audio": 768, "video": 2048}
STEPS = {"text": 768, "audio": 74, "video": 35}
LENGTH = 50


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is, and how it is gone through."""

    pooled: int = 16_326
    sequences: int = 4_000
    batch_size: int = 32
    epochs: int = 3
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Material:
    """Features by modality, float32 [utterances, steps, dim], and labels float32 [utterances]."""

    features: dict[str, Any]
    labels: Any

    def __len__(self) -> int:
        return len(self.labels)


def material(subject: str, sizes: Sizes) -> Material:
    """Draw the data of a subject."""
    draw = np.random.default_rng(0)
    pooled = subject in ("load-pooled", "mlp")
    n, steps, dims = (sizes.pooled, 1, POOLED) if pooled else (sizes.sequences, LENGTH, STEPS)
    features = {m: draw.standard_normal((n, steps, dim), np.float32) for m, dim in dims.items()}
    return Material(features, draw.uniform(-3, 3, n).astype(np.float32))


# --- the usual way ----------------------------------------------------------------------------------------------------


def usual_batches(data: Material, sizes: Sizes, *, workers: int) -> Iterator[dict[str, Any]]:
    """Go through the data once."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Utterances(Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(data)

        def __getitem__(self, i: int) -> dict[str, Any]:
            sample = {m: torch.Tensor(values[i]) for m, values in data.features.items()}
            return {**sample, "index": i, "labels": {"M": torch.Tensor(data.labels[i].reshape(-1))}}

    yield from DataLoader(Utterances(), batch_size=sizes.batch_size, shuffle=True, num_workers=workers)


def usual_loading(data: Material, sizes: Sizes, *, workers: int) -> Iterator[float]:
    """Load, epoch by epoch; yields what batches hold, summed up in part."""
    for _ in range(1 + sizes.epochs):
        yield sum(float(batch["labels"]["M"].sum()) for batch in usual_batches(data, sizes, workers=workers))


def usual_training(data: Material, sizes: Sizes, *, model: Any, workers: int) -> Iterator[float]:
    """Train, epoch by epoch; yields the mean loss."""
    import torch

    from trisent.fusion.batch import Batch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    for _ in range(1 + sizes.epochs):
        total = 0.0
        for sample in usual_batches(data, sizes, workers=workers):
            values = {m: sample[m] for m in data.features}
            masks = {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in values.items()}
            batch = Batch(values, masks, sample["labels"]["M"].view(-1))
            optimizer.zero_grad()
            loss = model.loss(model(batch), batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(batch)
        yield total / len(data)


# --- trisent ----------------------------------------------------------------------------------------------------------


def examples(data: Material, n: int) -> Any:
    """Make examples of the first `n` utterances; the features stay where they are."""
    from trisent.data.batching import Examples
    from trisent.data.dataset import Dataset, Sequences

    features = {}
    for m, values in data.features.items():
        steps = values.shape[1]
        rows = values[:n].reshape(n * steps, -1)
        offsets = np.arange(n + 1, dtype=np.int64) * steps
        features[m] = Sequences(rows, offsets, np.zeros(len(rows), np.float32), np.ones(len(rows), np.bool_))
    ids = tuple(map(str, range(n)))
    return Examples(Dataset("random", "", ids, ("train",) * n, {"sentiment": data.labels[:n]}, features))


def our_loading(data: Material, sizes: Sizes) -> Iterator[float]:
    """Load, epoch by epoch; yields what batches hold, summed up in part."""
    from trisent.data.batching import batches

    train = examples(data, len(data))
    for _ in range(1 + sizes.epochs):
        yield sum(float(train.batch(index).labels.sum()) for index in batches(train.lengths, sizes.batch_size))


def our_training(data: Material, sizes: Sizes, *, model: Any, precision: str) -> list[tuple[float, float]]:
    """Train with `fit`; returns when each epoch ended, and its mean loss."""
    from trisent.training import TrainConfig, fit

    ends: list[tuple[float, float]] = []
    config = TrainConfig(epochs=1 + sizes.epochs, batch_size=sizes.batch_size, precision=precision, device="cpu")
    fit(
        model,
        examples(data, len(data)),
        examples(data, min(len(data), 32)),  # judging them is in the time
        config,
        on_epoch=lambda report: ends.append((time.perf_counter(), report.train_loss)),
    )
    return ends


# --- the measurement --------------------------------------------------------------------------------------------------


def timed(epochs: Iterator[float]) -> list[tuple[float, float]]:
    """Note when each epoch ended, and what it gave."""
    return [(time.perf_counter(), value) for value in epochs]


def copies_gb_s() -> float:
    """Measure copies of memory: bytes read and bytes written a second."""
    source = np.ones(32_000_000, np.float32)
    target = np.empty_like(source)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(times) / 1e9


def products_gflop_s(precision: str) -> float:
    """Measure products of matrices of 1024 x 1024."""
    import torch

    a = torch.randn(1024, 1024, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * 1024**3 / min(times) / 1e9


def gflop_an_utterance(model: Any, data: Material, sizes: Sizes) -> float:
    """Count the products of a step, forward and backward."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    some = examples(data, min(len(data), sizes.batch_size))
    batch = some.batch(torch.arange(len(some)))
    # oneDNN's LSTM is one operation, which the counter does not know; without it there are products again.
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        model.loss(model(batch), batch).backward()
    model.zero_grad()
    return float(counter.get_total_flops() / len(some) / 1e9)


MODELS = {"mlp": "concat", "steps": "lf_dnn", "lstm": "ef_lstm"}
LOADING = ("DataLoader", "DataLoader, 2 workers", "trisent")
TRAINING = ("DataLoader", "DataLoader, 2 workers", "trisent, fp32", BF16 := "trisent, bf16")
SUBJECTS = {"load-pooled": LOADING, "load-steps": LOADING, "mlp": TRAINING, "steps": TRAINING, "lstm": TRAINING}


def run(subject: str, side: str, sizes: Sizes) -> dict[str, float]:
    """Do one row, here and now."""
    import torch

    from trisent.memory import keep_memory

    torch.set_num_threads(sizes.threads)
    if side.startswith("trisent"):
        keep_memory()  # as its commands do
    data = material(subject, sizes)
    workers, precision = 2 if side.endswith("workers") else 0, "bf16" if side.endswith("bf16") else "fp32"
    if subject in MODELS:
        from trisent.fusion.registry import build

        torch.manual_seed(0)
        model = build(MODELS[subject], {"dims": {m: x.shape[2] for m, x in data.features.items()}})
        work = gflop_an_utterance(model, data, sizes)
        if side.startswith("trisent"):
            ends = our_training(data, sizes, model=model, precision=precision)
        else:
            ends = timed(usual_training(data, sizes, model=model, workers=workers))
    else:
        work = 2 * sum(x[0].nbytes for x in data.features.values()) / 1e9  # read and written
        ends = timed(our_loading(data, sizes) if side == "trisent" else usual_loading(data, sizes, workers=workers))
    memory_mb = peak_memory_mb()
    limit = products_gflop_s(precision) if subject in MODELS else copies_gb_s()
    seconds = (ends[-1][0] - ends[0][0]) / sizes.epochs
    rate = len(data) / seconds
    return {
        "utterances_a_second": rate,
        "limit": limit,
        "fraction": rate * work / limit,
        "memory_mb": memory_mb,
        "value": ends[-1][1],
    }


def measure(subject: str, side: str, sizes: Sizes) -> dict[str, float]:
    """Do one row in a process of its own."""
    command = [sys.executable, __file__, "--run", subject, side, json.dumps(asdict(sizes))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{subject}, {side}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def has_bf16() -> bool:
    """Tell whether the processor multiplies bf16 numbers itself: on others they are slower than fp32, by far."""
    import torch

    from trisent.compute import native_bf16

    return native_bf16(torch.device("cpu"))


def compare(subject: str, sizes: Sizes, *, rounds: int) -> dict[str, dict[str, float]]:
    """Measure the rows of a subject in turn, print a table, and return medians."""
    known = [side for side in SUBJECTS[subject] if side != BF16 or has_bf16()]
    rows: dict[str, list[dict[str, float]]] = {side: [] for side in known}
    for _ in range(rounds):  # in turn, so that what else the machine does meets all of them
        for side, found in rows.items():
            found.append(measure(subject, side, sizes))
            print(
                f"{subject}, {sizes.batch_size}, {side}: {found[-1]['utterances_a_second']:,.0f}/s",
                file=sys.stderr,
                flush=True,
            )
    middle = {
        side: {key: statistics.median(one[key] for one in found) for key in found[0]} for side, found in rows.items()
    }
    values = [one["value"] for one in middle.values()]
    near = 0.1 if subject in MODELS else 1e-3  # losses differ by what chance hides; sums of labels do not
    if not np.allclose(values, values[0], rtol=near, atol=0.01):
        sys.exit(f"{subject}: the rows gave different values: {values}")
    base, unit = middle["DataLoader"], "GFLOP/s of products" if subject in MODELS else "GB/s of copies"
    what = f"{subject}, batches of {sizes.batch_size}"
    print(f"| {what} | utterances/s | × DataLoader | {unit} beside it | fraction of that | peak memory, MB |")
    print("|---|---|---|---|---|---|")
    for side, one in middle.items():
        ratio = one["utterances_a_second"] / base["utterances_a_second"]
        print(
            f"| {side} | {one['utterances_a_second']:,.0f} | {ratio:.2f} | {one['limit']:,.0f} | {one['fraction']:.2f} "
            f"| {one['memory_mb']:,.0f} |"
        )
    print(flush=True)
    return middle


def numbers(text: str) -> list[int]:
    """Read the value of --batch-sizes."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Read the command line."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", type=some_of(tuple(SUBJECTS)), default=list(SUBJECTS), help=f"some of {','.join(SUBJECTS)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each row; the median counts")
    parser.add_argument("--pooled", type=int, default=usual.pooled, help="utterances of one step")
    parser.add_argument("--sequences", type=int, default=usual.sequences, help="utterances of 50 steps")
    parser.add_argument("--batch-sizes", type=numbers, default=[usual.batch_size, 256], help="one after the other")
    parser.add_argument("--epochs", type=int, default=usual.epochs, help="that count")
    parser.add_argument("--threads", type=int, default=available_cores(), help="of each process; by default one a core")
    parser.add_argument("--json", type=Path, help="also write the medians to this file")
    parser.add_argument("--quick", action="store_true", help="toy sizes, one round")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        subject, side, told = chosen.run
        print(json.dumps(run(subject, side, Sizes(**json.loads(told)))))
        return
    every = [Sizes(chosen.pooled, chosen.sequences, n, chosen.epochs, chosen.threads) for n in chosen.batch_sizes]
    if chosen.quick:
        chosen.rounds, every = 1, [Sizes(200, 40, 32, 1, 1)]
        print("TOY SIZES: no figure means anything.\n")
    print(f"{machine()}; {every[0].threads} threads; load at the beginning {load()}\n")
    found = [
        {"subject": subject, **asdict(sizes), "rows": compare(subject, sizes, rounds=chosen.rounds)}
        for subject in chosen.only
        for sizes in every
    ]
    if chosen.json:
        text = json.dumps({"machine": machine(), "found": found}, indent=2)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    print(f"Load at the end {load()}.")


if __name__ == "__main__":
    main()
