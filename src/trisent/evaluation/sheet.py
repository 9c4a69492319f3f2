"""All there is to say of one set of predictions: every figure, whose table it may stand in, and what to suspect."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trisent.evaluation import breakdown
from trisent.evaluation.baselines import Baselines, alarms, baselines
from trisent.evaluation.bootstrap import LEVEL, Interval, Resampling, intervals
from trisent.evaluation.classes import cmu_classes, rounded_classes
from trisent.evaluation.figures import FIGURES, Figure, figures_for
from trisent.evaluation.papers import Paper, papers_for
from trisent.evaluation.predictions import Predictions
from trisent.types import OnProgress, no_progress

GROUP_KEYS = ("mae", "corr", "acc7_round", "acc2_has0", "acc2_non0")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a set: its value (nan when not defined), how many utterances it counts, its interval if drawn."""

    figure: Figure
    value: float
    n: int
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ScoreSheet:
    """Everything `trisent score` shows; `groups` by what they were grouped by."""

    predictions: Predictions
    rows: dict[str, Row]
    papers: tuple[Paper, ...]
    baselines: Baselines
    alarms: list[str]
    resampling: Resampling | None
    groups: dict[str, list[breakdown.Group]]

    @property
    def videos(self) -> int | None:
        """Count the videos; None when it is not known which an utterance is from."""
        return None if self.predictions.videos is None else len(set(self.predictions.videos))

    def confusions(self) -> dict[str, list[list[int]]]:
        """Count labels against predictions under both rules of seven classes: rows are labels, -3 first."""
        p, y = self.predictions.predicted, self.predictions.truth
        rules = {"acc7_round": rounded_classes, "acc7_cmu": cmu_classes}
        return {key: breakdown.confusion(rule(y, 3), rule(p, 3)).tolist() for key, rule in rules.items()}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {
            "n": len(self.predictions),
            "videos": self.videos,
            "figures": {
                key: {
                    "name": row.figure.name,
                    "definition": row.figure.definition,
                    "source": row.figure.source,
                    "value": _or_none(row.value),
                    "n": row.n,
                    "interval": row.interval and row.interval.to_json(),
                    "predict_zero": _or_none(self.baselines.zero.get(key)),
                    "predict_mean": _or_none(self.baselines.mean.get(key)),
                    "best_constant": _or_none(self.baselines.best.get(key)),
                }
                for key, row in self.rows.items()
            },
            "papers": {
                paper.key: {"name": paper.name, "source": paper.source, "columns": paper.columns}
                for paper in self.papers
            },
            "bootstrap": self.resampling
            and {
                "resamples": self.resampling.resamples,
                "seed": self.resampling.seed,
                "level": LEVEL,
                "drawn": "utterances" if self.videos is None else "videos",
            },
            "confusion": self.confusions(),
            "alarms": self.alarms,
            "groups": {
                by: [
                    {"name": g.name, "n": g.n, "figures": {key: _or_none(v) for key, v in g.values.items()}}
                    for g in groups
                ]
                for by, groups in self.groups.items()
            },
        }


def score_sheet(
    predictions: Predictions,
    *,
    resampling: Resampling | None = None,
    by: Sequence[str] = (),
    on_progress: OnProgress = no_progress,
) -> ScoreSheet:
    """Compute every figure that the predictions allow.

    Args:
        predictions: with their labels.
        resampling: draw 95 % intervals; none without it.
        by: break down by "video", "length" or the name of a column, each.
        on_progress: told of resamples.
    """
    figures = figures_for(predictions)
    found = intervals(predictions, figures, resampling=resampling, on_progress=on_progress) if resampling else {}
    rows = {}
    for figure in figures:
        value, n = figure.of(predictions)
        rows[figure.key] = Row(figure, value, n, found.get(figure.key))
    return ScoreSheet(
        predictions,
        rows,
        papers_for(predictions),
        baselines(predictions, figures),
        alarms(predictions),
        resampling,
        {name: _groups(predictions, name) for name in by},
    )


def _groups(predictions: Predictions, name: str) -> list[breakdown.Group]:
    figures = [FIGURES[key] for key in GROUP_KEYS]
    if name == "video":
        return breakdown.by_video(predictions, figures)
    if name == "length":
        return breakdown.by_length(predictions, figures)
    return breakdown.by_column(predictions, name, figures=figures)


def _or_none(value: float | None) -> float | None:
    return None if value is None or value != value else value
