"""What happened while a fusion model was trained, epoch by epoch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trisent.evaluation.metrics import Scores


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One pass over the training split: `epoch` from 1, mean training loss an utterance, scores on valid."""

    epoch: int
    train_loss: float
    valid: Scores

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"epoch": self.epoch, "train_loss": self.train_loss, "valid": self.valid.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EpochReport":
        """Rebuild from `to_json`."""
        return cls(values["epoch"], values["train_loss"], Scores.from_json(values["valid"]))


@dataclass(frozen=True, slots=True)
class History:
    """Every epoch of a run; the first `resumed_after` of them were done by an earlier process.

    `select` is the valid score that decides which epoch is best: "mae" (lowest) or "corr" (highest).
    """

    epochs: tuple[EpochReport, ...]
    resumed_after: int = 0
    select: str = "mae"

    @property
    def best(self) -> EpochReport:
        """The epoch with the best valid score; the earliest of equals."""
        return min(self.epochs, key=self._badness)

    def _badness(self, report: EpochReport) -> float:
        if self.select == "mae":
            return report.valid.mae
        return math.inf if math.isnan(report.valid.corr) else -report.valid.corr  # nan: all predictions the same

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, the same whether the run was interrupted or not."""
        return {
            "select": self.select,
            "best_epoch": self.best.epoch,
            "epochs": [report.to_json() for report in self.epochs],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "History":
        """Rebuild from `to_json`; all epochs count as done earlier."""
        epochs = tuple(EpochReport.from_json(report) for report in values["epochs"])
        return cls(epochs, len(epochs), values["select"])
