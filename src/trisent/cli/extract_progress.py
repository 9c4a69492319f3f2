"""How far an extraction is: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from trisent.cli.console import progress_console
from trisent.features.extract import OnExtract, Progress
from trisent.i18n import t
from trisent.types import OnProgress

_LINE_S = 30.0  # between two lines of a log


@contextmanager
def progress() -> Iterator[tuple[OnExtract, OnProgress]]:
    """Show on stderr what `extract` reports; nothing before the first report."""
    display = _Display()
    try:
        yield display.on_extract, display.on_progress
    finally:
        display.stop()


class _Display:
    """Keeps what was shown last, and when."""

    def __init__(self) -> None:
        self._console = progress_console()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
        self._bars = Bars(*columns, console=self._console)
        self._tasks: dict[str, TaskID] = {}
        self._first: Progress | None = None
        self._line_s: dict[str, float] = {}

    def on_extract(self, now: Progress) -> None:
        self._first = self._first or now
        self._show(t("extracting"), now.done, now.total, said(now, self._first))

    def on_progress(self, what: str, done: int, total: int) -> None:
        numbers = f"{done}/{total}" if what == t("listening") else f"{done / 1e6:.1f}/{total / 1e6:.1f} MB"
        self._show(what, done, total, numbers)

    def stop(self) -> None:
        if self._tasks:
            self._bars.stop()

    def _show(self, what: str, done: int, total: int, numbers: str) -> None:
        if not self._console.is_terminal:
            now_s = time.monotonic()
            if done >= total or now_s - self._line_s.get(what, -_LINE_S) >= _LINE_S:
                self._line_s[what] = now_s
                self._console.print(f"{what}  {numbers}", markup=False)
            return
        if not self._tasks:
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, said="")
        self._bars.update(self._tasks[what], completed=done, total=total, said=numbers)


def said(now: Progress, first: Progress) -> str:
    """Put a report into words; the speed is counted from the first report on, when everything was loaded."""
    words = t("{done}/{total} clips, {hours:.2f} h of video", done=now.done, total=now.total, hours=now.hours)
    if now.failed:
        words += t(", {count} failed", count=now.failed)
    done, elapsed_s = now.done - first.done, now.elapsed_s - first.elapsed_s
    if done > 0 and elapsed_s > 0:
        times = 3600 * (now.hours - first.hours) / elapsed_s
        words += t(", {times:.1f} x real time", times=times)
        if now.done < now.total:
            words += t(", {left} left", left=length((now.total - now.done) * elapsed_s / done))
    return words


def length(seconds: float) -> str:
    """Write a length of time.

    >>> length(75.2), length(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
