"""The test log of a bundle: every look at a test split is written down before its labels are used."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from trisent import __version__
from trisent.errors import BundleError
from trisent.i18n import system_reason, t

LOG = "test_log.jsonl"


def record_opening(folder: Path, *, model: str, data: str, predictions: str) -> int:
    """Append a line to the log, safe on the disk when this returns; say how often this model's test was opened.

    Nothing in trisent shortens or rewrites the log. A line that cannot be read counts as an opening.

    Args:
        folder: of the bundle; made if need be.
        model: sha256 of the weights: retraining into the same folder begins to count anew.
        data: sha256 of the data set.
        predictions: sha256 of the predictions, which are made without looking at labels.

    Raises:
        BundleError: the log cannot be written.
    """
    path = folder / LOG
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model,
        "data_sha256": data,
        "predictions_sha256": predictions,
        "trisent": __version__,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        torn = bool(before) and not before.endswith(b"\n")  # the machine went down in the middle of a line
        with path.open("ab") as file:
            file.write((b"\n" if torn else b"") + json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = (
            "{path} cannot be written ({reason}), and test is not opened without a line in it. "
            "Copy the bundle to where you may write, with its log if it has one"
        )
        raise BundleError(t(message, path=path, reason=system_reason(error))) from error
    return count_openings(folder, model=model)


def count_openings(folder: Path, *, model: str) -> int:
    """Count how often the test split was opened with the weights `model`."""
    path = folder / LOG
    if not path.exists():
        return 0
    count = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            count += not isinstance(entry, dict) or entry.get("model_sha256", model) == model
        except json.JSONDecodeError:
            count += bool(line.strip())
    return count
