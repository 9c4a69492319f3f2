"""Whose table a number may stand in: each paper's or toolkit's own choice of figures."""

from dataclasses import dataclass

from trisent.evaluation.figures import SIMS_KEYS, is_sims_scale
from trisent.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Paper:
    """A convention as published: `columns` maps a column of its table to the figure that fills it."""

    key: str
    name: str
    source: str
    columns: dict[str, str]


# "kept" and "dropped" say what happens to labels of 0 in a binary figure; Acc-2/F1 differ further by the sign of 0.
COLUMNS = ("MAE", "r", "Acc-7", "Acc-5", "Acc-2 kept", "F1 kept", "Acc-2 dropped", "F1 dropped")

_REGRESSION = {"MAE": "mae", "r": "corr"}
_ROUND = {**_REGRESSION, "Acc-7": "acc7_round", "Acc-5": "acc5_round"}
_BOTH = {"Acc-2 kept": "acc2_has0", "Acc-2 dropped": "acc2_non0"}
_SWAPPED = {"F1 kept": "f1_has0_swapped", "F1 dropped": "f1_non0_swapped"}

PAPERS = (
    Paper(
        "mmsa", "MMSA", "thuiar/MMSA, metricsTop.py, since May 2021",
        {**_ROUND, **_BOTH, "F1 kept": "f1_has0", "F1 dropped": "f1_non0"},
    ),
    Paper(
        "mmsa-2020", "MMSA until 2021", "thuiar/MMSA, metricsTop.py, before May 2021: F1 with its arguments swapped",
        {**_ROUND, **_BOTH, **_SWAPPED},
    ),
    Paper(
        "cmu", "CMU SDK", "CMU-MultimodalSDK, CMU_MOSEI/README.md",
        {**_REGRESSION, "Acc-7": "acc7_cmu", **_BOTH},
    ),
    Paper(
        "mult", "MulT", "Tsai et al. 2019, src/eval_metrics.py, exclude_zero=True: F1 with its arguments swapped",
        {**_ROUND, "Acc-2 dropped": "acc2_non0", "F1 dropped": "f1_non0_swapped"},
    ),
    Paper(
        "misa", "MISA", "Hazarika et al. 2020, src/solver.py: prints both binary conventions, F1 arguments swapped",
        {**_ROUND, **_BOTH, "F1 dropped": "f1_non0_swapped"},
    ),
    Paper(
        "mult-fixed", "MulT/MISA, F1 fixed", "the two above with f1_score(labels, predictions)",
        {**_ROUND, **_BOTH, "F1 dropped": "f1_non0"},
    ),
    Paper(
        "mag", "MAG-BERT", "Rahman et al. 2020, multimodal_driver.py: labels of 0 dropped everywhere, 0 is positive",
        {"MAE": "mae_non0", "r": "corr_non0", "Acc-2 dropped": "acc2_ge_non0", "F1 dropped": "f1_ge_non0"},
    ),
    Paper(
        "multibench", "MultiBench", "Liang et al. 2021, performance.py: > 0 is positive, with and without labels of 0",
        {"Acc-2 kept": "acc2_gt_all", "Acc-2 dropped": "acc2_non0"},
    ),
    Paper(
        "merbench", "MERBench", "Lian et al. 2024, toolkit/dataloader/cmudata.py",
        {"Acc-2 dropped": "acc2_non0", "F1 dropped": "f1_non0"},
    ),
    Paper(
        "sims", "CH-SIMS", "thuiar/MMSA, metricsTop.py: both sides clipped to [-1, 1], 0 is negative",
        {"MAE": "sims_mae", "r": "sims_corr", "Acc-5": "sims_acc5", "Acc-2 kept": "sims_acc2", "F1 kept": "sims_f1"},
    ),
)  # fmt: skip


def papers_for(predictions: Predictions) -> tuple[Paper, ...]:
    """List the papers whose figures the labels allow: CH-SIMS's only when they lie in [-1, 1]."""
    sims = is_sims_scale(predictions)
    return tuple(paper for paper in PAPERS if sims or not set(paper.columns.values()) & set(SIMS_KEYS))
