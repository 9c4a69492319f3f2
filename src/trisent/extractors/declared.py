"""What the folder of some weights says of them, without loading any."""

import codecs
import json
from pathlib import Path
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
    refuse_mark(path)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise WeightsError(t("{path}: is no valid JSON ({reason}); fetch it again", path=path, reason=error)) from error


def refuse_mark(path: Path) -> None:
    """Refuse a text with a mark of its encoding in front: of a vocabulary, that would be part of the first piece.

    Raises:
        WeightsError: it has one.
    """
    try:
        with path.open("rb") as file:
            start = file.read(3)
    except OSError:  # whoever reads it will say so
        return
    if start.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        message = "{path}: begins with a byte order mark, as some editors write it; save it as UTF-8 without BOM"
        raise WeightsError(t(message, path=path))
