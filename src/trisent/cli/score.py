"""trisent score: anybody's predictions under every paper's convention."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.i18n import t

if TYPE_CHECKING:
    from rich.console import Console

    from trisent.evaluation.breakdown import Group
    from trisent.evaluation.sheet import ScoreSheet


def run(
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", help=t("CSV, JSON, JSONL or npz with predictions beside their labels")),
    ],
    bootstrap: Annotated[
        int, typer.Option(metavar="N", help=t("95 % intervals from N resamples of whole videos; 0 for none"))
    ] = 0,
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help=t("break down by video, length or a column; may be given again")),
    ] = None,
    confusion: Annotated[bool, typer.Option(help=t("show labels against predictions, class by class"))] = False,
    prediction: Annotated[
        str | None, typer.Option(metavar="COLUMN", help=t("the column of the predictions, if not found by its name"))
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help=t("the column of the labels, if not found by its name"))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> None:
    """Score a file with a bar on stderr while resampling."""
    from trisent.cli.console import print_json, progress
    from trisent.evaluation.bootstrap import Resampling
    from trisent.evaluation.reading import read_predictions
    from trisent.evaluation.sheet import score_sheet

    resampling = Resampling(bootstrap, seed) if bootstrap else None
    read = read_predictions(predictions, prediction=prediction, label=label)
    with progress(of_bytes=False) as on_progress:
        sheet = score_sheet(read, resampling=resampling, by=by or (), on_progress=on_progress)
    if as_json:
        print_json({"predictions": str(predictions), **sheet.to_json()})
    else:
        show(sheet, predictions.name, confusion=confusion)


def warn_of_narrow_intervals(console: "Console") -> None:
    """Say that utterances were drawn because their videos are not known."""
    message = "The intervals take utterances for independent and are too narrow: add a column that names the video."
    console.print(t(message), style="bold red")


def show(sheet: "ScoreSheet", name: str, *, confusion: bool) -> None:
    """Print every figure of a sheet under each paper's convention, its groups and its alarms."""
    from trisent.cli.console import output

    console = output()
    if sheet.videos is None:
        said = t("{name}: {n} utterances; their videos are not known", name=name, n=len(sheet.predictions))
    else:
        message = "{name}: {n} utterances of {videos} videos"
        said = t(message, name=name, n=len(sheet.predictions), videos=sheet.videos)
    console.print(said, markup=False)
    _show_papers(sheet, console)
    _show_figures(sheet, console)
    for by, groups in sheet.groups.items():
        _show_groups(by, groups, console)
    if confusion:
        for key, counts in sheet.confusions().items():
            _show_confusion(sheet.rows[key].figure.name, counts, console)
    if sheet.resampling and sheet.videos is None:
        warn_of_narrow_intervals(console)
    for alarm in sheet.alarms:
        console.print(alarm, style="bold red", markup=False)


def _show_papers(sheet: "ScoreSheet", console: "Console") -> None:
    from rich.table import Table

    from trisent.evaluation.papers import COLUMNS

    table = Table(title=t("as each paper would print it (Acc and F1 in %; kept, dropped: labels of 0)"))
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for paper in sheet.papers:
        rows = [sheet.rows.get(paper.columns.get(column, "")) for column in COLUMNS]
        table.add_row(paper.name, *(f"{r.figure.written(r.value)}\nn={r.n}" if r else "" for r in rows))
    console.print(table)


def _show_figures(sheet: "ScoreSheet", console: "Console") -> None:
    from rich.table import Table

    table = Table(title=t("every figure, beside what a constant prediction gets on these labels"))
    table.add_column(t("measure and its convention"))
    columns = [t("value"), *([t("95 % interval")] if sheet.resampling else []), "n", t("predict 0"), t("best constant")]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for key, row in sheet.rows.items():
        figure, cells = row.figure, [row.figure.written(row.value)]
        if row.interval:
            cells.append(f"{figure.written(row.interval.low)} … {figure.written(row.interval.high)}")
        constants = [constant.get(key) for constant in (sheet.baselines.zero, sheet.baselines.best)]
        table.add_row(figure.name, *cells, str(row.n), *("" if c is None else figure.written(c) for c in constants))
    console.print(table)


def _show_groups(by: str, groups: "list[Group]", console: "Console") -> None:
    from rich.table import Table

    from trisent.evaluation.figures import FIGURES
    from trisent.evaluation.sheet import GROUP_KEYS

    table = Table(title=t("by {column}", column=by))
    table.add_column(by)
    for column in ("n", *GROUP_KEYS):
        table.add_column(column, justify="right")
    for group in groups:
        table.add_row(group.name, str(group.n), *(FIGURES[key].written(group.values[key]) for key in GROUP_KEYS))
    console.print(table)


def _show_confusion(name: str, counts: list[list[int]], console: "Console") -> None:
    from rich.table import Table

    classes = [f"{c:+d}" if c else "0" for c in range(-3, 4)]
    table = Table(title=t("labels (rows) against predictions, classes of {name}", name=name))
    for column in ("", *classes):
        table.add_column(column, justify="right")
    for label, row in zip(classes, counts, strict=True):
        table.add_row(label, *map(str, row))
    console.print(table)
