"""Progress bars on stderr, tables on stdout."""

import json
import sys
import time
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

_BAR = 20  # characters: a source has to have room beside it
_DETAIL = TextColumn("{task.fields[detail]}", markup=False, style="dim")
_SHOWN_EVERY_S = 0.1  # rich keeps 1000 reports: with more in a second they would not cover the 30 s
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
    """Show a bar for each `what` that is reported on, in bytes or in pieces; nothing before the first report.

    In bytes, the detail of "name: detail" stands behind the bar of the name, and speed and remaining time are those of
    the last 30 s.
    """
    pieces = TextColumn("{task.completed:.0f}/{task.total:.0f}")
    numbers = [DownloadColumn(), TransferSpeedColumn()] if of_bytes else [pieces]
    columns = [TextColumn("{task.description}"), BarColumn(_BAR), *numbers, TimeRemainingColumn(), _DETAIL]
    bars = Progress(*columns, console=progress_console(), speed_estimate_period=30.0)
    tasks: dict[str, TaskID] = {}
    shown: dict[str, float] = {}

    def on_progress(what: str, done: int, total: int) -> None:
        name, detail = named(what) if of_bytes else (what, "")
        if not tasks:
            bars.start()
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total, detail=detail)
        elif done < total and time.monotonic() - shown[name] < _SHOWN_EVERY_S:
            return
        shown[name] = time.monotonic()
        bars.update(tasks[name], completed=done, total=total)
        if detail:
            bars.update(tasks[name], detail=detail)

    try:
        yield on_progress
    finally:
        if tasks:
            bars.stop()


def named(what: str) -> tuple[str, str]:
    """Take what is reported on apart: the name, and the detail or "".

    >>> named("bert-base-uncased: vocab.txt from huggingface.co")
    ('bert-base-uncased', 'vocab.txt from huggingface.co')
    """
    name, _, detail = what.partition(": ")
    return name, detail


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
