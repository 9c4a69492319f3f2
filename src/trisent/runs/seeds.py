"""Several seeds of one run: mean and standard deviation over them, and intervals over seeds and videos."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trisent.errors import DataError
from trisent.evaluation.bootstrap import Interval, Resampling, mean_intervals
from trisent.evaluation.compare import Run
from trisent.evaluation.figures import figures_for
from trisent.evaluation.latex import Cell
from trisent.files import json_bytes, write_whole
from trisent.i18n import t
from trisent.runs.evaluate import Evaluation
from trisent.runs.paper_table import table_of
from trisent.types import OnProgress, no_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SeedSummary:
    """Evaluations of the seeds of one run, and each figure over them: mean, population deviation, interval."""

    name: str
    evaluations: tuple[Evaluation, ...]
    cells: dict[str, Cell]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""

        def known(value: float | None) -> float | None:
            return None if value is None or value != value else value

        first = self.evaluations[0]
        return {
            "name": self.name,
            "data": {key: first.data[key] for key in ("name", "split", "sha256", "split_sha256", "relation")},
            "n": len(first.sheet.predictions),
            "videos": first.sheet.videos,
            "test_opened": [evaluation.opened for evaluation in self.evaluations],
            "statements": first.statements(),
            "alarms": {evaluation.name: evaluation.sheet.alarms for evaluation in self.evaluations},
            "seeds": [evaluation.name for evaluation in self.evaluations],
            "figures": {
                key: {
                    "mean": known(cell.value),
                    "std": known(cell.std),
                    "interval": cell.interval and cell.interval.to_json(),
                    "seeds": [known(evaluation.sheet.rows[key].value) for evaluation in self.evaluations],
                }
                for key, cell in self.cells.items()
            },
            "text_ridge": first.ridge and first.ridge.to_json(),
        }


def seed_folders(folder: Path) -> list[Path]:
    """List the runs of several seeds in a folder, seed-0 first; none when the folder is a bundle itself."""
    if (folder / "bundle.json").exists():
        return []
    every = sorted((p for p in folder.glob("seed-*") if p.is_dir()), key=lambda path: (len(path.name), path.name))
    found = [path for path in every if (path / "bundle.json").is_file()]
    if found and (others := [path.name for path in every if path not in found]):
        message = "{folder}: {names} are not finished and left out. To finish them, give the same trisent train again"
        _log.warning("%s", t(message, folder=folder, names=", ".join(others)))
    return found


def summarise(
    name: str,
    evaluations: Sequence[Evaluation],
    *,
    resampling: Resampling | None,
    on_progress: OnProgress = no_progress,
) -> SeedSummary:
    """Summarise evaluations of the same utterances.

    Raises:
        DataError: they are not of the same data and split.
    """
    if len({(e.data["sha256"], e.split) for e in evaluations}) > 1:
        raise DataError(t("{name}: the seeds were not judged on the same data", name=name))
    seeds = tuple(evaluation.sheet.predictions for evaluation in evaluations)
    run, figures = Run(name, seeds), figures_for(seeds[0])
    found: dict[str, Interval] = {}
    if resampling:
        found = mean_intervals(seeds, figures, resampling=resampling, on_progress=on_progress)
    cells = {figure.key: Cell(*run.mean(figure), found.get(figure.key)) for figure in figures}
    return SeedSummary(name, tuple(evaluations), cells)


def write_summary(folder: Path, summary: SeedSummary) -> tuple[Path, ...]:
    """Write evaluation-SPLIT.json and table-SPLIT.tex beside the seeds; return their paths."""
    first = summary.evaluations[0]
    opened = None
    if first.opened is not None:
        counts = ", ".join(str(evaluation.opened) for evaluation in summary.evaluations)
        opened = f"Test opened {counts} times with the models of the seeds."
    label = f"{summary.name} ({first.bundle.model_name}, {len(summary.evaluations)} seeds)"
    files = {
        f"table-{first.split}.tex": table_of(first, summary.cells, name=label, opened=opened).encode(),
        f"evaluation-{first.split}.json": json_bytes(summary.to_json(), indent=2) + b"\n",
    }
    write_whole(folder, files)
    return tuple(folder / name for name in files)
