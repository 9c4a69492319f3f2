"""What people and scripts get to see of predictions: a JSON document and a self-contained HTML page."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trisent import __version__
from trisent.checkpoint import Bundle
from trisent.files import json_bytes, write_whole
from trisent.i18n import t
from trisent.pages import fill
from trisent.types import CLASS_NAMES, MODALITIES, Modality, Prediction, Provenance, VideoPrediction

SCHEMA = Path(__file__).parent / "schemas" / "predictions.schema.json"
_DIGITS = 4  # of what is stored; more would be noise


@dataclass(frozen=True, slots=True)
class Results:
    """What one run judged: the videos, and for each failed file its path and the reason."""

    bundle: Bundle
    provenance: Mapping[Modality, Provenance]
    videos: Sequence[VideoPrediction]
    failed: Sequence[tuple[Path, str]] = ()


def to_json(results: Results) -> dict[str, Any]:
    """Build the document that schemas/predictions.schema.json describes."""
    return {
        "trisent": __version__,
        "bundle": {
            "model": results.bundle.model_name,
            "preset": results.bundle.preset,
            "synthetic": results.bundle.synthetic,
            "licence": results.bundle.licence,
            "weights": {m: {"name": p.weights, "sha256": p.digest} for m, p in results.provenance.items()},
        },
        "videos": [
            {
                "path": str(video.path),
                "duration_s": round(video.duration_s, _DIGITS),
                "missing": dict(video.missing),
                "utterances": [_utterance(p) for p in video.predictions],
            }
            for video in results.videos
        ],
        "failed": [{"path": str(path), "error": error} for path, error in results.failed],
    }


def _utterance(prediction: Prediction) -> dict[str, Any]:
    utterance, judgement = prediction.utterance, prediction.judgement
    return {
        "id": utterance.id,
        "start_s": round(utterance.start, _DIGITS),
        "end_s": round(utterance.end, _DIGITS),
        "text": utterance.text,
        "sentiment": round(judgement.sentiment, _DIGITS),
        "class": judgement.class_index - 3,
        "class_name": CLASS_NAMES[judgement.class_index],
        "probability": round(judgement.class_probabilities[judgement.class_index], _DIGITS),
        "class_probabilities": [round(p, _DIGITS) for p in judgement.class_probabilities],
        "baseline": round(judgement.baseline, _DIGITS),
        "modalities": {
            m: {
                "alone": round(judgement.alone[m], _DIGITS),
                "contribution": round(judgement.contributions[m], _DIGITS),
            }
            for m in judgement.alone
        },
        "missing": dict(prediction.missing),
    }


def to_html(results: Results) -> str:
    """Draw the page: a timeline of each video, then one row an utterance."""
    filters = {
        "jpeg": lambda data: base64.b64encode(data).decode(),
        "clock": clock,
        "signed": lambda value: f"{value:+.2f}",
        "colour": colour,
    }
    names = [t(name) for name in CLASS_NAMES]
    return fill(
        Path(__file__).with_name("report.html.j2"),
        filters,
        {"results": results, "modalities": MODALITIES, "class_names": names},
    )


def clock(seconds: float) -> str:
    """Write seconds as minutes and seconds, and hours where there are any.

    >>> clock(75.25), clock(119.98), clock(7384)
    ('1:15.2', '2:00.0', '2:03:04.0')
    """
    minutes, tenths = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{tenths / 10:04.1f}" if hours else f"{minutes}:{tenths / 10:04.1f}"


def colour(sentiment: float) -> str:
    """Pick the colour of a sentiment in [-3, 3]: red over grey to green, also told apart by the colour-blind by
    lightness.
    """
    strength = min(abs(sentiment) / 2, 1.0)  # most judgements lie within -2..2
    hue, lightness = (150, 62 - 26 * strength) if sentiment >= 0 else (8, 62 - 12 * strength)
    return f"hsl({hue} {10 + 65 * strength:.0f}% {lightness:.0f}%)"


def write_report(folder: Path, results: Results) -> None:
    """Write predictions.json and report.html into `folder`, whole or not at all."""
    page = to_html(results).encode(errors="replace")  # the name of a file may be no text
    write_whole(folder, {"report.html": page, "predictions.json": json_bytes(to_json(results), indent=2) + b"\n"})
