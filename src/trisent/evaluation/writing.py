"""Write predictions as `trisent score` reads them."""

import csv
import io

from trisent.evaluation.predictions import Predictions
from trisent.evaluation.reading import PROBABILITIES


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
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue().encode()
