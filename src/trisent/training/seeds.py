"""The same training with several seeds: a run folder each, and how much the scores vary."""

import json
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trisent.checkpoint import load_bundle
from trisent.errors import BundleError
from trisent.evaluation.figures import FIGURES
from trisent.evaluation.reading import read_predictions
from trisent.evaluation.sheet import score_sheet
from trisent.files import check_out, json_bytes, write_whole
from trisent.i18n import t
from trisent.training.config import TrainConfig
from trisent.training.history import History
from trisent.training.loop import OnEpoch
from trisent.training.machine import is_first_process
from trisent.training.preparing import Prepared
from trisent.training.record import PREDICTIONS, RUN
from trisent.training.run import TrainResult, settings_of, train_on

_log = logging.getLogger(__name__)

SUMMARY = "summary.json"
Watch = Callable[[TrainConfig, Path], AbstractContextManager[OnEpoch]]
"""Opened around each run, with its settings and its folder; gives what is called after each epoch."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Runs that differ in nothing but the seed; `values` holds each valid figure, a value a run, nan if undefined."""

    results: tuple[TrainResult, ...]
    values: dict[str, list[float]]

    def mean(self, key: str) -> float:
        """Average a figure over the runs."""
        return statistics.fmean(self.values[key])

    def std(self, key: str) -> float:
        """Give the population standard deviation of a figure, as `trisent evaluate` and the field's tables do."""
        values = self.values[key]
        return statistics.pstdev(values) if all(v == v for v in values) else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        figures = {
            key: {
                "name": FIGURES[key].name,
                "mean": _or_none(self.mean(key)),
                "std": _or_none(self.std(key)),
                "values": [_or_none(value) for value in values],
            }
            for key, values in self.values.items()
        }
        first = self.results[0].bundle
        return {
            "model": first.model_name,
            "seeds": [result.bundle.seed for result in self.results],
            "runs": [result.folder.name for result in self.results],
            "data": first.data,
            "valid": figures,
        }


def train_seeds(
    prepared: Prepared,
    *,
    out: Path,
    config: TrainConfig,
    seeds: int,
    model: str,
    model_config: Mapping[str, Any],
    watch: Watch,
) -> Summary:
    """Train with `seeds` seeds from that of `config` on, into OUT/seed-0, OUT/seed-1 …, and write OUT/summary.json.

    A run that is finished, with the same data and settings, is not done again.

    Args:
        prepared: the data.
        out: folder of the run folders.
        config: how to train; its seed is the first.
        seeds: how many; at least two.
        model: name of the fusion model.
        model_config: its settings.
        watch: opened around each run.
    """
    check_out(out)
    results = []
    for seed in range(config.seed, config.seed + seeds):
        own, folder = replace(config, seed=seed), out / f"seed-{seed}"
        finished = _finished(folder, {
            "settings": settings_of(prepared, own, model, dict(model_config)), "data": prepared.facts
        })  # fmt: skip
        if finished:
            _log.info("%s", t("{folder}: finished earlier", folder=folder))
            results.append(finished)
            continue
        with watch(own, folder) as on_epoch:
            result = train_on(
                prepared, out=folder, config=own, model=model, model_config=model_config, on_epoch=on_epoch
            )
        results.append(result)
    summary = Summary(tuple(results), _figures([result.folder for result in results]) if is_first_process() else {})
    if is_first_process():
        write_whole(out, {SUMMARY: json_bytes(summary.to_json(), indent=2) + b"\n"})
    return summary


def _finished(folder: Path, wanted: Mapping[str, Any]) -> TrainResult | None:
    """Return what an earlier call made of the same settings and data, if it is whole."""
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
        history = History.from_json(json.loads((folder / "history.json").read_text(encoding="utf-8")))
        # As JSON has them: tuples are lists there.
        if any(record[key] != json.loads(json.dumps(values)) for key, values in wanted.items()):
            return None
        return TrainResult(folder, load_bundle(folder)[0], history)
    except (OSError, ValueError, KeyError, TypeError, BundleError):
        return None


def _figures(folders: Sequence[Path]) -> dict[str, list[float]]:
    sheets = [score_sheet(read_predictions(folder / PREDICTIONS)) for folder in folders]
    return {key: [sheet.rows[key].value for sheet in sheets] for key in sheets[0].rows}


def _or_none(value: float) -> float | None:
    return None if value != value else value
