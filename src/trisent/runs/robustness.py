"""How a model bears what goes wrong in life: modalities missing, noisy, or belonging to somebody else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from trisent.i18n import t
from trisent.runs.changes import Change, add_noise, drop, swap
from trisent.runs.exam import KEYS, Exam, presence
from trisent.runs.modalities import figures_json
from trisent.types import Modality, OnProgress, no_progress

RATES = tuple(k / 10 for k in range(10))
LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0)
DRAWS = 3

Curve = tuple[tuple[float, dict[str, float]], ...]
"""Points (rate or level, figures by key)."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """Figures of a spoiled split; what is drawn is the mean over `DRAWS` draws.

    Attributes:
        missing: each modality of each utterance is hidden with the rate, on its own; some lose all and are judged
            from nothing.
        noise: Gaussian, in standard deviations of each column; by the modality it is added to, and "all".
        shuffled: each modality permuted among the utterances that have it.
    """

    missing: Curve
    noise: dict[str, Curve]
    shuffled: dict[Modality, dict[str, float]]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {
            "missing": [{"rate": x, **figures_json(figures)} for x, figures in self.missing],
            "noise": {
                name: [{"level": x, **figures_json(figures)} for x, figures in curve]
                for name, curve in self.noise.items()
            },
            "shuffled": {m: figures_json(figures) for m, figures in self.shuffled.items()},
            "draws": DRAWS,
            "seed": self.seed,
        }


def measure_robustness(
    exam: Exam,
    *,
    untouched: dict[str, float],
    stds: dict[Modality, Tensor],
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> Robustness:
    """Judge the utterances again and again, spoiled in every way.

    Args:
        exam: the model and the utterances.
        untouched: the figures without any change.
        stds: of each column [dim], by modality; the unit of noise.
        seed: of all that is drawn.
        on_progress: told of passes over the utterances.
    """
    modalities, n = exam.modalities, len(exam)
    targets: dict[str, tuple[Modality, ...]] = {m: (m,) for m in modalities}
    if len(modalities) > 1:
        targets["all"] = modalities
    total = DRAWS * (len(RATES) - 1) + len(targets) * (len(LEVELS) - 1) + DRAWS * len(modalities)
    done = 0

    def measure(change: Change) -> dict[str, float]:
        nonlocal done
        done += 1
        figures = exam.measure(exam.judge_changed(change).sentiment.astype(np.float64))
        on_progress(t("robustness"), done, total)
        return figures

    draws = [
        {m: np.random.default_rng([seed, draw, k]).random(n, np.float32) for k, m in enumerate(modalities)}
        for draw in range(DRAWS)
    ]
    missing = tuple(
        (rate, _mean([measure(drop(chances, rate=rate)) for chances in draws]) if rate else untouched) for rate in RATES
    )
    noise = {
        name: tuple(
            (
                level,
                measure(add_noise({m: stds[m] for m in chosen}, level=level, seed=seed)) if level else untouched,
            )
            for level in LEVELS
        )
        for name, chosen in targets.items()
    }
    source = exam.examples()
    there = presence(source)
    shuffled = {}
    for k, m in enumerate(modalities):
        some = np.flatnonzero(there[m])
        found = []
        for draw in range(DRAWS):
            order = np.arange(n)
            order[some] = np.random.default_rng([seed, draw, k, 1]).permutation(some)
            found.append(measure(swap(m, order=order, source=source)))
        shuffled[m] = _mean(found)
    return Robustness(missing, noise, shuffled, seed)


def _mean(draws: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([figures[key] for figures in draws])) for key in KEYS}
