"""Which modality helped: every subset judged, and exact Shapley values of the set and of each utterance."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trisent.evaluation.predictions import Numbers
from trisent.fusion.contributions import Subset, shapley, subsets
from trisent.i18n import t
from trisent.runs.changes import keep_only
from trisent.runs.exam import Exam
from trisent.types import MODALITIES, Modality, OnProgress, no_progress


@dataclass(frozen=True, slots=True, eq=False)
class Modalities:
    """What a model makes of each subset of modalities.

    Attributes:
        subsets: name such as "text+audio", or "none" -> figures by key.
        mae_shares: how much of MAE(none) - MAE(all) each modality takes away: Shapley values of -MAE.
        shares: for each modality the Shapley values of each utterance's sentiment [utterances]; they sum to the
            sentiment minus what is judged from nothing.
    """

    subsets: dict[str, dict[str, float]]
    mae_shares: dict[Modality, float]
    shares: dict[Modality, Numbers]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {
            "subsets": {name: figures_json(figures) for name, figures in self.subsets.items()},
            "shapley_of_mae": self.mae_shares,
            "mean_absolute_shapley": {m: float(np.abs(values).mean()) for m, values in self.shares.items()},
        }


def judge_subsets(exam: Exam, *, on_progress: OnProgress = no_progress) -> Modalities:
    """Judge every utterance with every subset of its modalities."""
    modalities = exam.modalities
    sentiment: dict[Subset, Numbers] = {}
    every = subsets(modalities)
    for done, subset in enumerate(every, start=1):
        sentiment[subset] = exam.judge_changed(keep_only(tuple(subset))).sentiment.astype(np.float64)
        on_progress(t("subsets of modalities"), done, len(every))
    figures = {subset: exam.measure(values) for subset, values in sentiment.items()}
    return Modalities(
        {name_of(subset): figures[subset] for subset in every},
        shapley({subset: -figures[subset]["mae"] for subset in every}, modalities),
        shapley(sentiment, modalities),
    )


def name_of(subset: Subset) -> str:
    """Name a subset of modalities.

    >>> name_of(frozenset({"video", "text"})), name_of(frozenset())
    ('text+video', 'none')
    """
    return "+".join(m for m in MODALITIES if m in subset) or "none"


def shown(name: str) -> str:
    """Say a name of `name_of` in the reader's language."""
    return "+".join(map(t, name.split("+")))


def figures_json(figures: dict[str, float]) -> dict[str, float | None]:
    """Return figures as JSON; what is not defined is None."""
    return {key: None if value != value else value for key, value in figures.items()}
