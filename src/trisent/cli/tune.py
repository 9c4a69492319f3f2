"""trisent tune: search for good settings on the validation split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.training.tune import Trial, TuneResult


def run(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help=t("a data set of any format, with features, a train and a valid split")),
    ],
    model: Annotated[str, typer.Option(help=t("name of the fusion model"))] = "concat",
    trials: Annotated[int, typer.Option(help=t("how many settings are tried, those of earlier calls among them"))] = 30,
    minutes: Annotated[float | None, typer.Option(help=t("begin no further trial after this time"))] = None,
    storage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=t("SQLite file of the search; OUT/study.db unless said otherwise")),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=t("folder of what is found; runs/tune-MODEL unless said otherwise")),
    ] = None,
    epochs: Annotated[int, typer.Option(help=t("passes over the training split, at most"))] = 20,
    patience: Annotated[int, typer.Option(help=t("epochs without a better score before a trial ends"))] = 5,
    select: Annotated[str, typer.Option(help=t("which valid score is searched for: mae or corr"))] = "mae",
    device: Annotated[str, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = "auto",
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
    modalities: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help=t("learn from these alone, such as text,audio; from all if not said")),
    ] = None,
    clean: Annotated[
        bool,
        typer.Option("--clean", help=t("leave out exploding and constant columns, z-score on train, clip at ±3 σ")),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> None:
    """Search with a line a trial on stderr, then show the best settings and what matters."""
    from dataclasses import asdict

    from trisent.cli.console import print_json, progress_console
    from trisent.data.cleaning import FINITE, CleaningOptions
    from trisent.training import TrainConfig
    from trisent.training.tune import tune

    config = TrainConfig(epochs=epochs, patience=patience, select=select, device=device, seed=seed)
    console = progress_console()

    def on_trial(trial: "Trial") -> None:
        score = "–" if trial.score is None else f"{trial.score:.4f}"
        message = (
            t("trial {number}: given up after epoch {epochs}, valid {select} {score}")
            if trial.pruned
            else t("trial {number}: {epochs} epochs, valid {select} {score}")
        )
        console.print(message.format(number=trial.number, epochs=trial.epochs, select=select, score=score))

    result = tune(
        data,
        out=out or Path("runs") / f"tune-{model}",
        model=model,
        trials=trials,
        minutes=minutes,
        storage=storage,
        config=config,
        cleaning=CleaningOptions() if clean else FINITE,
        modalities=None if modalities is None else [name.strip() for name in modalities.split(",")],
        on_trial=on_trial,
    )
    if as_json:
        print_json({"out": str(result.folder), "best": asdict(result.best), "importance": result.importance})
    else:
        _show(result, data, select)


def _show(result: "TuneResult", data: Path, select: str) -> None:
    from rich.table import Table

    from trisent.cli.console import output

    best = result.best
    title = t("best of {n} trials: number {number}, valid {select} {score:.4f}",
              n=len(result.trials), number=best.number, select=select, score=best.score or 0.0)  # fmt: skip
    table = Table(title=title)
    table.add_column(t("setting"))
    table.add_column(t("value"), justify="right")
    table.add_column(t("matters"), justify="right")
    for name, value in best.settings.items():
        share = result.importance.get(name)
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        table.add_row(name, shown, "" if share is None else f"{share:.0%}")
    output().print(table)
    typer.echo(t("plots: {path}", path=result.folder / "importance.html"))
    typer.echo(t("next: trisent train {data} --config {path}", data=data, path=result.folder / "best.toml"))
