"""Where commands print: progress bars on stderr, results on stdout."""

import sys
import time
from collections.abc import Iterator
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

from trisent.files import json_bytes
from trisent.types import OnProgress

_BAR = 20  # characters: a source has to have room beside it
_DETAIL = TextColumn("{task.fields[detail]}", markup=False, style="dim")
_SHOWN_EVERY_S = 0.1  # rich keeps 1000 reports: with more in a second they would not cover the 30 s
_WIDTH_OF_A_PIPE = 120  # into a file or a pipe rich would assume 80 columns


def output() -> Console:
    """Return the console for results."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)


def print_json(document: Any) -> None:
    """Print a document for scripts: UTF-8 JSON on stdout and nothing else."""
    sys.stdout.write(json_bytes(document, indent=2).decode() + "\n")


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
