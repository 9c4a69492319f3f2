"""The judgements of a video as a table on stdout."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from trisent.cli.console import output
from trisent.i18n import t
from trisent.report import clock
from trisent.types import CLASS_NAMES, MODALITIES, VideoPrediction


def show_video(video: VideoPrediction) -> None:
    """Print the table of one video."""
    table = Table(title=f"{video.path.name}  ({clock(video.duration_s)})", title_justify="left")
    for name, options in _columns():
        table.add_column(t(name), **options)
    for prediction in video.predictions:
        judgement, utterance = prediction.judgement, prediction.utterance
        index = judgement.class_index
        contributions = [
            f"{judgement.contributions[m]:+.2f}" if m in judgement.contributions else "–" for m in MODALITIES
        ]
        table.add_row(
            f"{clock(utterance.start)}–{clock(utterance.end)}",
            utterance.text or "–",
            f"{judgement.sentiment:+.2f}",
            f"{t(CLASS_NAMES[index])} {100 * judgement.class_probabilities[index]:.0f} %",
            *contributions,
        )
    console = output()
    console.print(table, markup=False)
    for modality, reason in video.missing.items():
        console.print(t("without {modality}: {reason}", modality=t(modality), reason=reason), markup=False)


def _columns() -> Sequence[tuple[str, Mapping[str, Any]]]:
    right = {"justify": "right", "no_wrap": True}
    return (
        ("time", {"no_wrap": True}),
        ("what is said", {"ratio": 1}),
        ("sentiment", right),
        ("class", {"no_wrap": True}),
        ("text", right),
        ("audio", right),
        ("video", right),
    )
