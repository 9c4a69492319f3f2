"""A search for settings as one HTML page that needs nothing else: which settings matter, and how it went."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trisent.pages import fill


def to_html(record: Mapping[str, Any]) -> str:
    """Draw the page of what tune.json holds."""
    scored = [trial for trial in record["trials"] if trial["score"] is not None]
    scores = [trial["score"] for trial in scored]
    low, high = min(scores), max(scores)
    points = [(trial, (trial["score"] - low) / (high - low or 1.0)) for trial in scored]
    values = {"record": record, "points": points, "low": low, "high": high}
    return fill(Path(__file__).with_name("tune_report.html.j2"), {}, values)
