"""Train a fusion model: one loop for all of them, the epoch chosen on the validation split.

`fit` and `evaluate` work on examples; `train` is the whole way from a data set of any format to a run folder.
"""

from trisent.training.config import TrainConfig
from trisent.training.history import EpochReport, History
from trisent.training.judging import Judged, evaluate, judge
from trisent.training.loop import fit
from trisent.training.run import TrainResult, train

__all__ = [
    "EpochReport",
    "History",
    "Judged",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "fit",
    "judge",
    "train",
]
