"""How good a prediction of sentiment is, in the few figures that a bundle carries.

"Acc-7" and "Acc-2" mean different things in different papers. The conventions here are those of MMSA's `metricsTop`,
which most published CMU-MOSEI tables use; `trisent.evaluation.figures` defines them, and all the others.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from trisent.evaluation.figures import FIGURES
from trisent.evaluation.predictions import predictions_of

# field of Scores -> (what people read, the field that holds how many utterances it was computed on)
CONVENTIONS = {
    "mae": (FIGURES["mae"].name, "n"),
    "corr": (FIGURES["corr"].name, "n"),
    "acc7_round": (FIGURES["acc7_round"].name, "n"),
    "acc2_has0": (FIGURES["acc2_has0"].name, "n"),
    "acc2_non0": (FIGURES["acc2_non0"].name, "n_non0"),
}


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one model on one split. `nan` stands for what is not defined; JSON has None for it.

    Attributes:
        n: utterances judged.
        mae: mean absolute error; predictions are not clipped.
        corr: Pearson's r; nan when the predictions or the labels are all the same.
        acc7_round: both sides clipped to [-3, 3] and rounded half to even (0.5 -> 0, 1.5 -> 2, 2.5 -> 2), equal.
        acc2_has0: (p >= 0) == (y >= 0) on all.
        acc2_non0: (p > 0) == (y > 0) where y != 0; nan when every label is 0.
        n_non0: utterances with y != 0.
    """

    n: int
    mae: float
    corr: float
    acc7_round: float
    acc2_has0: float
    acc2_non0: float
    n_non0: int

    def rows(self) -> list[tuple[str, float, int]]:
        """List (name with its convention, value, n) in the order people expect."""
        return [(name, getattr(self, field), getattr(self, n)) for field, (name, n) in CONVENTIONS.items()]

    def to_json(self) -> dict[str, float | int | None]:
        """Return a JSON object; what is not defined is None."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Scores":
        """Rebuild from `to_json`."""
        read: dict[str, Any] = {name: float("nan") if value is None else value for name, value in values.items()}
        return cls(**read)


def scores(predicted: ArrayLike, truth: ArrayLike) -> Scores:
    """Compare predicted sentiment with the labels.

    >>> scores([0.5, -1.2, 2.0, 0.1], [0.0, -1.0, 3.0, 0.0]).acc2_non0
    1.0

    Raises:
        DataError: nothing to compare, different lengths, or a value that is not a finite number.
    """
    predictions = predictions_of(predicted, truth)
    found = {key: FIGURES[key].of(predictions) for key in CONVENTIONS}
    return Scores(
        n=len(predictions),
        mae=found["mae"][0],
        corr=found["corr"][0],
        acc7_round=found["acc7_round"][0],
        acc2_has0=found["acc2_has0"][0],
        acc2_non0=found["acc2_non0"][0],
        n_non0=found["acc2_non0"][1],
    )
