"""Progress bars on stderr, tables on stdout."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from trisent.i18n import t
from trisent.report import clock
from trisent.types import CLASS_NAMES, MODALITIES, OnProgress, VideoPrediction

_WIDTH_OF_A_PIPE = 120  # into a file or a pipe rich would assume 80 columns


def output() -> Console:
    """Return the console for results."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)


def print_json(document: Any) -> None:
    """Print a document for scripts: UTF-8 JSON on stdout and nothing else."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def progress_console() -> Console:
    """Return the console for what happens meanwhile."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(*, of_bytes: bool) -> Iterator[OnProgress]:
    """Show a bar for each `what` that is reported on, in bytes or in pieces; nothing before the first report."""
    pieces = TextColumn("{task.completed:.0f}/{task.total:.0f}")
    numbers = [DownloadColumn(), TransferSpeedColumn()] if of_bytes else [pieces]
    columns = [TextColumn("{task.description}"), BarColumn(), *numbers, TimeRemainingColumn()]
    bars = Progress(*columns, console=progress_console())
    tasks: dict[str, TaskID] = {}

    def on_progress(what: str, done: int, total: int) -> None:
        if not tasks:
            bars.start()
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done, total=total)

    try:
        yield on_progress
    finally:
        if tasks:
            bars.stop()


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
