"""trisent evaluate: everything that can be said of a trained model on a split."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trisent.errors import UsageError
from trisent.files import check_out
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.runs.evaluate import Evaluation
    from trisent.runs.seeds import SeedSummary


def run(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help=t("folder of a bundle, of several seeds (seed-0 …), or embedded"))
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help=t("a data set of any format, with the split"))],
    split: Annotated[
        str, typer.Option(help=t("valid, or test: each look at test is written into the bundle's test log"))
    ] = "valid",
    bootstrap: Annotated[
        int, typer.Option(metavar="N", help=t("95 % intervals from N resamples of whole videos; 0 for none"))
    ] = 1000,
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=t("folder of the results; the bundle's, or on-NAME in it for other data")),
    ] = None,
    robustness: Annotated[bool, typer.Option(help=t("also judge with modalities missing, noisy and shuffled"))] = True,
    device: Annotated[str, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> None:
    """Evaluate with a bar on stderr, write the files, then show the figures."""
    from trisent.checkpoint import find_bundle, shipped_bundles
    from trisent.cli.console import print_json, progress
    from trisent.runs.evaluate import EvaluateOptions, evaluate_bundle, results_folder, write_files
    from trisent.runs.page import to_html
    from trisent.runs.paper_table import to_latex
    from trisent.runs.seeds import seed_folders, summarise, write_summary
    from trisent.runs.source import read_source

    options = EvaluateOptions(split, bootstrap, seed, robustness, device)
    if bundle in shipped_bundles() and out is None:
        raise UsageError(t("{bundle} came with trisent and is not written into; say where: --out DIR", bundle=bundle))
    folder = find_bundle(bundle)
    check_out(out or folder)
    seeds = seed_folders(folder)
    source = read_source(data)
    shipped_log = out if bundle in shipped_bundles() else None
    evaluations, files = [], list[Path]()
    for where in seeds or [folder]:
        with progress(of_bytes=False) as on_progress:
            evaluation = evaluate_bundle(
                where, source, options=options, log_folder=shipped_log, on_progress=on_progress
            )
        place = out or results_folder(folder, evaluation)
        target = place / where.name if seeds else place
        files += write_files(target, evaluation, page=to_html(evaluation), table=to_latex(evaluation))
        evaluations.append(evaluation)
    if not seeds:
        _tell(evaluations[0], files, as_json=as_json)
        return
    with progress(of_bytes=False) as on_progress:
        name = folder.resolve().name
        summary = summarise(name, evaluations, resampling=options.resampling, on_progress=on_progress)
    files += write_summary(out or results_folder(folder, evaluations[0]), summary)
    if as_json:
        print_json({"bundle": bundle, **summary.to_json()})
    else:
        _show_seeds(summary, files)


def _tell(evaluation: "Evaluation", files: list[Path], *, as_json: bool) -> None:
    from trisent.cli.console import output, print_json
    from trisent.cli.score import show

    if as_json:
        print_json(evaluation.to_json())
        return
    console = output()
    groups = {by: found for by, found in evaluation.sheet.groups.items() if by != "video"}  # the report has them
    show(
        replace(evaluation.sheet, groups=groups),
        f"{evaluation.name}, {evaluation.data['name']} {evaluation.split}",
        confusion=False,
    )
    _show_ridge(evaluation, console)
    _show_modalities(evaluation, console)
    for said in evaluation.statements():
        console.print(said, style="bold", markup=False)
    for path in files:
        typer.echo(str(path))


def _show_ridge(evaluation: "Evaluation", console: Any) -> None:
    from trisent.evaluation.figures import FIGURES

    ridge = evaluation.ridge
    if ridge is None:
        console.print(t("text-only ridge: no text to learn from (no text features, or no labelled train split)"))
        return
    parts = [f"{FIGURES[key].name} {FIGURES[key].written(ridge.values[key])}" for key in ("mae", "corr", "acc2_non0")]
    console.print(t("text-only ridge (alpha {alpha}): {figures}", alpha=f"{ridge.alpha:g}", figures=", ".join(parts)))
    difference = ridge.differences.get("mae")
    if difference and difference.interval.low == difference.interval.low:  # of one video there is no interval
        low, high = difference.interval.low, difference.interval.high
        message = "MAE of the model minus that of the ridge: {value:+.4f} ({low:+.4f} … {high:+.4f})"
        console.print(t(message, value=difference.value, low=low, high=high))


def _show_modalities(evaluation: "Evaluation", console: Any) -> None:
    from rich.table import Table

    from trisent.evaluation.figures import FIGURES
    from trisent.runs.exam import KEYS
    from trisent.runs.modalities import shown

    table = Table(title=t("judged from each subset of modalities"))
    table.add_column(t("modalities"))
    for key in KEYS:
        table.add_column(key, justify="right")
    for name, figures in evaluation.modalities.subsets.items():
        table.add_row(shown(name), *(FIGURES[key].written(figures[key]) for key in KEYS))
    console.print(table)
    shares = ", ".join(f"{t(m)} {share:+.4f}" for m, share in evaluation.modalities.mae_shares.items())
    console.print(t("taken off MAE by each (Shapley): {shares}", shares=shares), markup=False)


def _show_seeds(summary: "SeedSummary", files: list[Path]) -> None:
    from rich.table import Table

    from trisent.cli.console import output
    from trisent.evaluation.figures import FIGURES

    first, console = summary.evaluations[0], output()
    title = t("{name}, {data} {split}: {n} seeds", name=summary.name, data=first.data["name"], split=first.split,
              n=len(summary.evaluations))  # fmt: skip
    table = Table(title=title)
    table.add_column(t("measure and its convention"))
    for column in (t("mean"), t("deviation"), t("95 % interval"), t("text-only ridge"), t("best constant")):
        table.add_column(column, justify="right", no_wrap=True)
    for key, cell in summary.cells.items():
        figure, ridge = FIGURES[key], first.ridge
        interval = "" if cell.interval is None else " … ".join(
            figure.written(end) for end in (cell.interval.low, cell.interval.high)
        )  # fmt: skip
        beside = [ridge.values.get(key) if ridge else None, first.sheet.baselines.best.get(key)]
        cells = [figure.written(cell.value), figure.written(cell.std or 0.0), interval]
        table.add_row(figure.name, *cells, *("" if value is None else figure.written(value) for value in beside))
    console.print(table)
    for evaluation in summary.evaluations:
        for said in (*evaluation.statements(), *evaluation.sheet.alarms):
            console.print(f"{evaluation.name}: {said}", style="bold", markup=False)
    for path in files:
        typer.echo(str(path))
