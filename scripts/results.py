"""Train every fusion model with several seeds on two public sets, and write what came of it as a page.

    python scripts/results.py DATA OUT
    python scripts/results.py DATA OUT --models late,gated --seeds 3

DATA holds mosei_text/ (label.csv) and mosei_videolevel/mosei_videos.npz, see docs/en/embedded.md. Everything is trained
on train, its epoch chosen on valid, and scored on valid: the numbers compare models, they are no test results. Killed,
the same command goes on. OUT/results.md is the page, OUT/results.json has every figure of every seed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trisent.data.cleaning import FINITE, CleaningOptions, fit_cleaning
from trisent.data.dataset import Dataset, Sequences
from trisent.data.pooling import pool
from trisent.data.readers import read, write
from trisent.evaluation.bootstrap import Resampling
from trisent.evaluation.figures import FIGURES
from trisent.features.extract import extract
from trisent.features.settings import NONE, ExtractSettings
from trisent.files import write_whole
from trisent.fusion.registry import FUSION_MODELS
from trisent.runs.evaluate import EvaluateOptions, Evaluation, evaluate_bundle
from trisent.runs.seeds import SeedSummary, summarise
from trisent.runs.source import read_source
from trisent.training.config import TrainConfig
from trisent.training.loop import ignore_epoch
from trisent.training.preparing import prepare
from trisent.training.record import RUN
from trisent.training.seeds import train_seeds

KEYS = ("mae", "corr", "acc7_round", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0")
SETS = {
    "text": "CMU-MOSEI, human transcripts alone: averaged features of MiniLM-L6, layers 3 and 6 (preset `embedded`)",
    "videos": "CMU-MOSEI, whole videos: BERT [CLS], COVAREP and FACET, each averaged over the video",
}
CONFIGS = {
    "text": TrainConfig(epochs=20, batch_size=128, lr=1e-3, schedule="cosine", warmup=0.1, patience=5),
    "videos": TrainConfig(epochs=40, batch_size=32, lr=5e-4, schedule="cosine", warmup=0.1, patience=8),
}


def make_text(data: Path, out: Path) -> None:
    """Extract the transcripts and average the pieces of each utterance."""
    features = out.with_name("text-features")
    extract([data / "mosei_text"], features, ExtractSettings(audio=NONE, video=NONE))
    write(pool(read(features)), out, format="store")


def make_videos(data: Path, out: Path) -> None:
    """Write the set of whole videos in the guide's format."""
    with np.load(data / "mosei_videolevel" / "mosei_videos.npz", allow_pickle=False) as file:
        arrays = dict(file)
    columns = {"text": "language_bert_cls", "audio": "acoustic_covarep40", "video": "visual_facet35"}
    ids = tuple(map(str, arrays["id"]))
    dataset = Dataset(
        name="mosei_videolevel",
        format="store",
        ids=ids,
        splits=tuple("" if fold == "none" else str(fold) for fold in arrays["fold"]),
        labels={"sentiment": arrays["sentiment"]},
        features={m: _rows(arrays[name]) for m, name in columns.items()},
        videos=ids,
    )
    write(fit_cleaning(dataset, FINITE).apply(dataset), out, format="store")  # acoustic column 7 holds -inf


def _rows(values: NDArray[np.float32]) -> Sequences:
    n = len(values)
    return Sequences(values, np.arange(n + 1), np.full(n, np.nan, np.float32), np.ones(n, np.bool_))


def measure(name: str, model: str, data: Path, out: Path, *, seeds: int) -> tuple[SeedSummary, float]:
    """Train a model with its seeds and score all of them on valid; returns the scores and the minutes it took."""
    prepared = prepare(data, cleaning=CleaningOptions())
    folder = out / "runs" / name / model
    trained = train_seeds(
        prepared,
        out=folder,
        config=CONFIGS[name],
        seeds=seeds,
        model=model,
        model_config={},
        watch=lambda *_: nullcontext(ignore_epoch),
    )
    minutes = sum(_minutes(result.folder) for result in trained.results)
    options = EvaluateOptions(resamples=0, robustness=False)
    source = read_source(data)
    judged = [evaluate_bundle(result.folder, source, options=options) for result in trained.results]
    return summarise(model, judged, resampling=Resampling(1000, 0)), minutes


def _minutes(folder: Path) -> float:
    record = json.loads((folder / RUN).read_text(encoding="utf-8"))
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    return (finished - started).total_seconds() / 60


def table(summaries: dict[str, tuple[SeedSummary, float]]) -> str:
    """Lay out a row a model, best MAE first, below what needs no model."""
    first = next(iter(summaries.values()))[0].evaluations[0]
    heads = [FIGURES[key].name for key in KEYS]
    lines = [f"| | {' | '.join(heads)} | minutes |", f"|---|{'---|' * (len(heads) + 1)}"]
    lines += [f"| {row} | {cells} | |" for row, cells in _without_model(first).items()]
    for model, (summary, minutes) in sorted(summaries.items(), key=lambda item: item[1][0].cells["mae"].value):
        cells = []
        for key in KEYS:
            cell, scale = summary.cells[key], 100 if FIGURES[key].share else 1
            digits = 1 if FIGURES[key].share else 3
            spread = f" ± {scale * cell.std:.{digits}f}" if cell.std is not None else ""
            between = ""
            if cell.interval:
                low, high = scale * cell.interval.low, scale * cell.interval.high
                between = f" ({low:.{digits}f} … {high:.{digits}f})"
            cells.append(f"{scale * cell.value:.{digits}f}{spread}{between}")
        lines.append(f"| `{model}` | {' | '.join(cells)} | {minutes:.1f} |")
    return "\n".join(lines)


def _without_model(first: Evaluation) -> dict[str, str]:
    sheet, ridge = first.sheet, first.ridge
    rows = {"predict 0": sheet.baselines.zero, "predict the mean": sheet.baselines.mean}
    rows["best constant"] = sheet.baselines.best
    if ridge:
        rows["ridge on text"] = ridge.values
    return {name: " | ".join(_plain(key, values.get(key)) for key in KEYS) for name, values in rows.items()}


def _plain(key: str, value: float | None) -> str:
    if value is None or value != value:
        return "–"
    return f"{100 * value:.1f}" if FIGURES[key].share else f"{value:.3f}"


def page(results: dict[str, dict[str, tuple[SeedSummary, float]]], *, seeds: int, command: str) -> str:
    """Write the page."""
    parts = [
        "# Every fusion model, side by side",
        f"Made by `{command}`. Mean ± standard deviation over {seeds} seeds, and in brackets the 95 % interval from "
        "1,000 resamples of whole videos and of seeds. Trained on train; the epoch is chosen on **valid, and these are "
        "scores on valid**: they compare models with each other and are no test results. All models of a table have "
        "the same settings, with features cleaned and standardised; none was tuned. Minutes are those of all seeds.",
    ]
    for name, summaries in results.items():
        first = next(iter(summaries.values()))[0].evaluations[0]
        rows = first.bundle.data["rows"]
        config = CONFIGS[name]
        settings = (
            f"{rows['train']:,} for training, {rows['valid']:,} judged. {config.epochs} epochs at most, batches of "
            f"{config.batch_size}, AdamW at {config.lr:g} falling as a cosine, patience {config.patience}."
        )
        parts += [f"## {SETS[name]}", settings, table(summaries)]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", default=",".join(FUSION_MODELS), help="some of them, with commas between")
    parser.add_argument("--sets", default=",".join(SETS), help="some of text,videos")
    parser.add_argument("--seeds", type=int, default=5, help="at least two")
    chosen = parser.parse_args(arguments)
    makers = {"text": make_text, "videos": make_videos}
    results: dict[str, dict[str, tuple[SeedSummary, float]]] = {}
    for name in chosen.sets.split(","):
        data = chosen.out / "data" / name
        if not data.is_dir():
            makers[name](chosen.data, data)
        results[name] = {}
        for model in chosen.models.split(","):
            results[name][model] = measure(name, model, data, chosen.out, seeds=chosen.seeds)
            mae = results[name][model][0].cells["mae"]
            print(f"{name} {model}: MAE {mae.value:.4f}, {results[name][model][1]:.1f} min", flush=True)
    figures = {name: {m: s.to_json() for m, (s, _) in found.items()} for name, found in results.items()}
    files = {
        "results.md": page(results, seeds=chosen.seeds, command="python scripts/results.py DATA OUT").encode(),
        "results.json": (json.dumps(figures, indent=2, allow_nan=False) + "\n").encode(),
    }
    write_whole(chosen.out, files)
    print(chosen.out / "results.md")


if __name__ == "__main__":
    main()
