"""The reliability diagram: is what a model is 80 % sure of right in 80 of 100?"""

from dataclasses import asdict, dataclass
from typing import Any

from trisent.evaluation.figures import true_class_index
from trisent.evaluation.predictions import Predictions
from trisent.evaluation.sums import ECE_BINS, calibration_terms


@dataclass(frozen=True, slots=True)
class Bin:
    """Utterances whose most probable class has a probability in (low, high]: how sure and how right on average."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def reliability(predictions: Predictions) -> tuple[Bin, ...]:
    """Sort utterances by confidence into the bins of ECE; empty bins are left out, as is everything without
    probabilities.
    """
    if predictions.probabilities is None:
        return ()
    terms = calibration_terms(predictions.probabilities, true_class_index(predictions))[:, 1:]
    confidence, right = terms[:, :ECE_BINS], terms[:, ECE_BINS:]
    found = []
    for k in range(ECE_BINS):
        # A bin's sums are 0 for utterances of other bins, and no utterance has a confidence of 0.
        if n := int((confidence[:, k] > 0).sum()):
            sure, hit = float(confidence[:, k].sum() / n), float(right[:, k].sum() / n)
            found.append(Bin(k / ECE_BINS, (k + 1) / ECE_BINS, n, sure, hit))
    return tuple(found)
