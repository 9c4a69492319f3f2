"""The report of an evaluation as one HTML page that needs nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trisent.evaluation.breakdown import Group
from trisent.evaluation.figures import FIGURES
from trisent.i18n import t
from trisent.pages import fill
from trisent.report import colour
from trisent.runs.evaluate import Evaluation
from trisent.runs.exam import KEYS
from trisent.runs.modalities import shown
from trisent.runs.plots import Plot, plot
from trisent.runs.robustness import Robustness

_GROUPS_SHOWN = 12
_CLASSES = ("-3", "-2", "-1", "0", "+1", "+2", "+3")


def to_html(evaluation: Evaluation) -> str:
    """Draw the page."""
    filters: dict[str, Callable[..., object]] = {
        "figure": lambda value, figure: figure.written(value),
        "signed": lambda value: f"{value:+.2f}",
        "colour": colour,
        "shown": shown,
    }
    values = {
        "e": evaluation,
        "sheet": evaluation.sheet,
        "figures": FIGURES,
        "keys": KEYS,
        "training": _training(evaluation.history),
        "best_epoch": (evaluation.history or {}).get("best_epoch"),
        "confusions": {FIGURES[key].name: counts for key, counts in evaluation.sheet.confusions().items()},
        "classes": _CLASSES,
        "calibration": _calibration(evaluation),
        "robustness": _curves(evaluation.robustness) if evaluation.robustness else [],
        "groups": {_group_title(by): _cut(_named(by, groups)) for by, groups in evaluation.sheet.groups.items()},
    }
    return fill(Path(__file__).with_name("run_report.html.j2"), filters, values)


def _training(history: dict[str, Any] | None) -> list[Plot]:
    """Draw loss and valid figures by epoch."""
    epochs = (history or {}).get("epochs", [])

    def along(key: str) -> list[tuple[float, float]]:
        values = [(report["epoch"], report["valid"].get(key)) for report in epochs]
        return [(float(epoch), float(value)) for epoch, value in values if value is not None]

    loss = [(float(report["epoch"]), float(report["train_loss"])) for report in epochs]
    found = [
        plot(t("training loss"), {t("training loss"): loss}, x_name=t("epoch")),
        plot(t("valid MAE"), {"MAE": along("mae")}, x_name=t("epoch")),
        plot(t("valid Pearson r"), {"r": along("corr")}, x_name=t("epoch")),
    ]
    return [drawn for drawn in found if drawn]


def _calibration(evaluation: Evaluation) -> Plot | None:
    points = [(b.confidence, b.accuracy) for b in evaluation.reliability]
    return plot(
        t("how right, by how sure"), {t("share right"): points}, x_name=t("probability of the class"), unit=(0.0, 1.0)
    )


def _curves(robustness: Robustness) -> list[Plot]:
    found = []
    for key in ("mae", "corr"):
        name = FIGURES[key].name
        missing = {t("all modalities"): [(x, figures[key]) for x, figures in robustness.missing]}
        title = t("{figure} when modalities are missing", figure=name)
        found.append(plot(title, missing, x_name=t("share hidden")))
        noise = {
            t("all modalities") if modality == "all" else t(modality): [(x, figures[key]) for x, figures in curve]
            for modality, curve in robustness.noise.items()
        }
        title = t("{figure} under noise", figure=name)
        found.append(plot(title, noise, x_name=t("noise, in standard deviations")))
    return [drawn for drawn in found if drawn]


def _group_title(by: str) -> str:
    titles = {
        "video": t("by video, the worst first"),
        "length": t("by length"),
        "modalities": t("by which modalities an utterance has"),
    }
    return titles[by]


def _named(by: str, groups: list[Group]) -> list[Group]:
    return [replace(group, name=shown(group.name)) for group in groups] if by == "modalities" else groups


def _cut(groups: list[Group]) -> tuple[list[Group], int]:
    """Return the groups to show, and how many there are."""
    return groups[:_GROUPS_SHOWN], len(groups)
