"""trisent train: a fusion model on features extracted before; scripts/train_pretrained.py does the same work."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.training import TrainConfig, TrainResult


def run(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help=t("a data set of any format: a folder with train.npz, a feature store, a file …")
        ),
    ],
    model: Annotated[str, typer.Option(help=t("name of the fusion model"))] = "concat",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help=t("folder of the bundle; runs/MODEL unless said otherwise"))
    ] = None,
    epochs: Annotated[int, typer.Option(help=t("passes over the training split, at most"))] = 50,
    batch_size: Annotated[int, typer.Option(help=t("utterances a step"))] = 32,
    lr: Annotated[float, typer.Option(help=t("learning rate of AdamW"))] = 1e-4,
    device: Annotated[str, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = "auto",
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
    preset: Annotated[
        str | None,
        typer.Option(help=t("whose extractors made the features, such as pretrained; needed to judge a video")),
    ] = None,
    clean: Annotated[
        bool,
        typer.Option("--clean", help=t("leave out exploding and constant columns, z-score on train, clip at ±3 σ")),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> None:
    """Train with a line an epoch on stderr, then show the scores."""
    from trisent.cli.console import print_json, progress_console
    from trisent.data.cleaning import FINITE, CleaningOptions
    from trisent.training import EpochReport, TrainConfig, train

    logging.getLogger("trisent").setLevel(logging.INFO)  # where it goes on, what it took for what
    config = TrainConfig(epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, device=device)
    console = progress_console()

    def on_epoch(report: EpochReport) -> None:
        message = "epoch {epoch}/{epochs}  training loss {loss:.4f}  valid MAE {mae:.4f}  Pearson r {corr:.4f}"
        console.print(
            t(
                message,
                epoch=report.epoch,
                epochs=config.epochs,
                loss=report.train_loss,
                mae=report.valid.mae,
                corr=report.valid.corr,
            )
        )

    folder = out or Path("runs") / model
    cleaning = CleaningOptions() if clean else FINITE
    result = train(data, out=folder, config=config, model=model, preset=preset, cleaning=cleaning, on_epoch=on_epoch)
    if as_json:
        print_json({"bundle": str(result.folder), **result.bundle.to_json()})
    else:
        _show(result, config)


def _show(result: "TrainResult", config: "TrainConfig") -> None:
    """Print the scores with their conventions, where the bundle is, and what to do next."""
    from rich.table import Table

    from trisent.cli.console import output

    console, bundle = output(), result.bundle
    best = result.history.best.epoch
    table = Table(
        title=t("scores, weights of epoch {best} (lowest valid MAE), seed {seed}", best=best, seed=config.seed)
    )
    table.add_column(t("measure and its convention"))
    for split in bundle.scores:
        table.add_column(split, justify="right")
    for group in zip(*(scores.rows() for scores in bundle.scores.values()), strict=True):
        cells = [f"{value:.4f} (n={n})" if value == value else t("not defined") for _, value, n in group]
        table.add_row(group[0][0], *cells)
    console.print(table)
    if bundle.synthetic:
        console.print(
            t("THE DATA ARE SYNTHETIC: these scores mean nothing, this model judges nothing."), style="bold red"
        )
    typer.echo(t("bundle: {folder}", folder=result.folder))
    if bundle.preset:
        typer.echo(t("next: trisent predict --bundle {folder} VIDEO", folder=result.folder))
    else:
        typer.echo(t("next: say --preset (whose extractors made the features?) so that the bundle can judge a video"))
