"""What the extraction benchmark prints: tables, the work of each network, and the machine."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from extract_material import Material

ITEMS = {"text": "utterances", "audio": "clips", "video": "pictures", "decode": "clips", "endtoend": "clips"}
PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "av", "opencv-python-headless", "pillow")


@dataclass(frozen=True, slots=True)
class Row:
    """What a side gave: its answers, one a round; or why there are none."""

    name: str
    rounds: Sequence[dict[str, Any]] = ()
    fault: str = ""

    def median(self, value: Callable[[dict[str, Any]], float]) -> float:
        """Take the median of something over the rounds."""
        return statistics.median([value(one) for one in self.rounds])

    def ratio(self, base: "Row", value: Callable[[dict[str, Any]], float]) -> str:
        """Take the median of ratios to `base`, each within a round."""
        if not base.rounds:
            return "?"
        both = zip(self.rounds, base.rounds, strict=True)
        return f"{statistics.median([value(ours) / value(theirs) for ours, theirs in both]):.2f}"


def print_table(workload: str, rows: Sequence[Row]) -> None:
    """Print medians over the rounds; what is compared is compared with the first row."""
    first, item = rows[0], ITEMS[workload]
    head = [workload, f"{item}/s", f"× {first.name}"]
    if workload == "decode":
        head += ["CPU seconds a clip", "× of it for the same CPU seconds"]
    else:
        head += ["matrix products beside it, GFLOP/s", "fraction of that"]
        head += ["seconds to start"] if workload == "endtoend" else ["least pooled cosine to fp32"]
    head += ["peak memory, MB"]
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for row in rows:
        cells = [f"not run: {row.fault}", *[""] * (len(head) - 2)] if row.fault else _cells(workload, row, first)
        print(f"| {row.name} | {' | '.join(cells)} |")
    print(flush=True)


def _cells(workload: str, row: Row, first: Row) -> list[str]:
    cells = [_speed(row.median(_items_a_second)), row.ratio(first, _items_a_second)]
    if workload == "decode":
        cells += [f"{row.median(lambda one: one['cpu_s'] / one['items']):.3f}"]
        cells += [row.ratio(first, lambda one: one["items"] / one["cpu_s"])]
    else:
        cells += [f"{row.median(lambda one: one['limit']):,.0f}"]
        cells += [f"{row.median(lambda one: one['gflop'] / one['seconds'] / one['limit']):.2f}"]
        if workload == "endtoend":
            cells += [f"{row.median(lambda one: one['start_s']):.1f}" if "start_s" in row.rounds[0] else "–"]
        else:
            cells += [f"{_least_cosine(row, first):.6f}" if first.rounds else "?"]
    return [*cells, f"{max(one['memory_mb'] for one in row.rounds):,.0f}"]


def _items_a_second(one: dict[str, Any]) -> float:
    return float(one["items"] / one["seconds"])


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _least_cosine(row: Row, first: Row) -> float:
    ours, theirs = (np.array([rows for one in r.rounds for rows in one["pooled"]], np.float64) for r in (row, first))
    return float(((ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)).min())


# --- the work of a network --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """GFLOP of a piece and of a pair of pieces (text), of a clip (audio), of a picture (video)."""

    piece: float
    pair: float
    clip: float
    picture: float

    def text(self, pieces: Sequence[int]) -> float:
        """Add up texts by their numbers of pieces: linear layers grow with it, attention with its square."""
        return sum(self.piece * n + self.pair * n**2 for n in pieces)


def count_work(material: Material) -> Work:
    """Count multiplications and additions with torch's counter; nothing is computed."""
    import torch
    import transformers
    from torch.utils.flop_counter import FlopCounterMode

    def gflop(name: str, **inputs: Any) -> float:
        config = transformers.AutoConfig.from_pretrained(material.checkpoint(name), attn_implementation="eager")
        model = transformers.AutoModel.from_config(config).eval()
        if name == "bert":
            model.pooler = None  # features are taken before it
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(**inputs)
        return counter.get_total_flops() / 1e9

    with torch.device("meta"):
        ten, twenty = (gflop("bert", input_ids=torch.zeros(1, n, dtype=torch.int64)) for n in (10, 20))
        return Work(
            piece=(4 * ten - twenty) / 20,
            pair=(twenty - 2 * ten) / 200,
            clip=gflop("wav2vec", input_values=torch.zeros(1, material.sounds.shape[1])),
            picture=gflop("resnet", pixel_values=torch.zeros(1, 3, 224, 224)),
        )
