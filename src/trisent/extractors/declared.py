"""What the folder of some weights says of them, without loading any."""

import json
from typing import Any

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights import Weights


def read_json(weights: Weights, name: str) -> dict[str, Any]:
    """Read a JSON object from a weights folder; {} when there is no such file.

    Raises:
        WeightsError: it is no JSON object.
    """
    path = weights.folder / name
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise WeightsError(t("{path}: is no valid JSON ({reason}); fetch it again", path=path, reason=error)) from error
