"""Write predictions as `trisent score` reads them."""

from trisent.evaluation.predictions import Predictions
from trisent.evaluation.reading import PROBABILITIES
from trisent.files import table_bytes


def predictions_csv(predictions: Predictions) -> bytes:
    """Return a CSV: id, video, label, prediction, p0 … p6 (the classes -3 … 3), then the further columns.

    What is not known has no column. Numbers are written with all their digits, so they come back the same.
    """
    columns: dict[str, list[str]] = {}
    if predictions.ids is not None:
        columns["id"] = list(predictions.ids)
    if predictions.videos is not None:
        columns["video"] = list(predictions.videos)
    columns["label"] = [repr(float(y)) for y in predictions.truth]
    columns["prediction"] = [repr(float(p)) for p in predictions.predicted]
    if predictions.probabilities is not None:
        for k, name in enumerate(PROBABILITIES):
            columns[name] = [repr(float(p)) for p in predictions.probabilities[:, k]]
    columns |= {name: list(cells) for name, cells in predictions.columns.items()}
    return table_bytes([[*columns], *zip(*columns.values(), strict=True)])
