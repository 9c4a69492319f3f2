"""How far a training is: a table that grows on a terminal, a line an epoch elsewhere. All on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from trisent.cli.console import progress_console
from trisent.cli.extract_progress import length
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.training import EpochReport, TrainConfig
    from trisent.training.loop import OnEpoch

_ROWS = 12  # epochs that are shown on a terminal


@contextmanager
def shown_epochs(config: "TrainConfig") -> "Iterator[OnEpoch]":
    """Give what shows each epoch, and how long the others will take at most."""
    console = progress_console()
    reports: list[EpochReport] = []
    started_s = time.monotonic()

    def left_s() -> float:
        taken_s = (time.monotonic() - started_s) / len(reports)
        return taken_s * (config.epochs - reports[-1].epoch)

    if not console.is_terminal:

        def print_line(report: "EpochReport") -> None:
            reports.append(report)
            console.print(line(report, epochs=config.epochs, left_s=left_s()), markup=False)

        yield print_line
        return
    with Live(console=console, auto_refresh=False) as live:

        def grow(report: "EpochReport") -> None:
            reports.append(report)
            live.update(table(reports, config, left_s=left_s()), refresh=True)

        yield grow


def line(report: "EpochReport", *, epochs: int, left_s: float) -> str:
    """Put an epoch into a line."""
    message = "epoch {epoch}/{epochs}  loss {loss:.4f}  valid MAE {mae:.4f}  Pearson r {corr:.4f}  {left} left at most"
    return t(
        message,
        epoch=report.epoch,
        epochs=epochs,
        loss=report.train_loss,
        mae=report.valid.mae,
        corr=report.valid.corr,
        left=length(left_s),
    )


def table(reports: "list[EpochReport]", config: "TrainConfig", *, left_s: float) -> Table:
    """Draw the last epochs and, in bold, the best one."""
    from trisent.training import History

    best = History(tuple(reports), select=config.select).best
    now = reports[-1].epoch
    message = "epoch {epoch}/{epochs}, best {best}, stops after {patience} without a better one; {left} left at most"
    said = t(
        message,
        epoch=now,
        epochs=config.epochs,
        best=best.epoch,
        patience=config.patience,
        left=length(left_s),
    )
    drawn = Table(title=t("seed {seed}", seed=config.seed), caption=said)
    for name in (t("epoch"), t("training loss"), t("valid MAE"), "Pearson r", "Acc-2"):
        drawn.add_column(name, justify="right")
    for report in [r for r in reports[:-_ROWS] if r is best] + reports[-_ROWS:]:
        valid = report.valid
        cells = [str(report.epoch), *(f"{x:.4f}" for x in (report.train_loss, valid.mae, valid.corr, valid.acc2_non0))]
        drawn.add_row(*cells, style="bold" if report is best else None)
    return drawn
