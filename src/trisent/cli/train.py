"""trisent train: a fusion model on features extracted before; scripts/train_pretrained.py does the same work."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.errors import UsageError
from trisent.files import check_out
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.evaluation.sheet import ScoreSheet
    from trisent.training import TrainConfig, TrainResult
    from trisent.training.history import EpochReport
    from trisent.training.loop import OnEpoch
    from trisent.training.seeds import Summary

_SHOWN = ("mae", "corr", "acc7_round", "acc2_has0", "acc2_non0")  # of several seeds


def _list_models(wanted: bool) -> None:
    """Print the fusion models with the first line of what they say of themselves."""
    if not wanted:
        return
    from rich.table import Table

    from trisent.cli.console import output
    from trisent.fusion.registry import fusion_class, fusion_models

    table = Table()
    table.add_column(t("fusion model"), no_wrap=True)
    table.add_column(t("what it is"))
    for name in fusion_models():
        try:
            said = (fusion_class(name).__doc__ or "").strip().partition("\n")[0]
        except UsageError as error:  # of another package; the others can be used all the same
            said = str(error)
        table.add_row(name, said)
    output().print(table)
    raise typer.Exit


def run(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help=t("a data set of any format: a folder with train.npz, a feature store, a file …")
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help=t("name of the fusion model; concat unless said otherwise (see --list-models)"))
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help=t("the run folder; runs/MODEL unless said otherwise"))
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=t("passes over the training split, at most; 50 unless said otherwise"))
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help=t("utterances a step; 32 unless said otherwise"))] = None,
    lr: Annotated[float | None, typer.Option(help=t("learning rate of AdamW; 1e-4 unless said otherwise"))] = None,
    device: Annotated[str | None, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = None,
    seed: Annotated[int | None, typer.Option(help=t("seed of everything random; the first of several"))] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help=t("train with N seeds, and tell mean and deviation"))] = 1,
    preset: Annotated[
        str | None,
        typer.Option(help=t("whose extractors made the features, such as pretrained; needed to judge a video")),
    ] = None,
    finetune: Annotated[
        str | None,
        typer.Option(
            metavar="full|lora",
            help=t(
                "let a text encoder learn along, whole or by adapters; --model is then gated, --epochs 2, --lr 1e-3"
            ),
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=t("that text encoder: a name, a hub id or a folder; minilm-l6 if not said")),
    ] = None,
    modalities: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help=t("learn from these alone, such as text,audio; from all if not said")),
    ] = None,
    clean: Annotated[
        bool,
        typer.Option("--clean", help=t("leave out exploding and constant columns, z-score on train, clip at ±3 σ")),
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help=t("TOML file with [train], [model], [cleaning], [data]"))
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help=t("one setting, such as train.lr=3e-4; may be given again")),
    ] = None,
    log: Annotated[
        str | None, typer.Option(metavar="NAME", help=t("curves also in tensorboard, trackio or wandb"))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--list-models", callback=_list_models, is_eager=True, help=t("name the fusion models and what they are")
        ),
    ] = False,
) -> None:
    """Train with a live table on stderr, then show the scores on valid."""
    if "RANK" in os.environ:  # torch reads it when it is imported; it would warn of unused weights, which may be
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from trisent.cli.console import print_json
    from trisent.training.machine import is_first_process
    from trisent.training.preparing import prepare
    from trisent.training.run import train_on
    from trisent.training.seeds import train_seeds
    from trisent.training.settings import read_settings
    from trisent.training.tracking import check_tracker

    if seeds < 1:
        raise UsageError(t("{name} must be at least {least}, got {value}", name="--seeds", least=1, value=seeds))
    if text and not (finetune or config):
        raise UsageError(t("--text names the encoder that learns along; say how: --finetune full or --finetune lora"))
    if log:
        check_tracker(log)
    flags = {"train.epochs": epochs, "train.batch_size": batch_size, "train.lr": lr, "train.device": device}
    flags |= {"train.seed": seed, "model.name": model, "data.modalities": modalities}
    flags |= {"finetune.method": finetune, "finetune.weights": text}
    settings = read_settings(config, flags=flags, assignments=assignments or (), clean=clean)
    folder = out or Path("runs") / settings.model
    check_out(folder)
    first = is_first_process()
    # Where it goes on, what it took for what; of several processes one is enough to hear.
    logging.getLogger("trisent").setLevel(logging.INFO if first else logging.ERROR)
    prepared = prepare(
        data,
        preset=preset,
        cleaning=settings.cleaning,
        finetune=settings.finetune,
        modalities=settings.modalities,
    )
    if seeds > 1:
        summary = train_seeds(
            prepared,
            out=folder,
            config=settings.train,
            seeds=seeds,
            model=settings.model,
            model_config=settings.model_config,
            watch=lambda own, place: _watched(own, place, log=log),
        )
        if first and as_json:
            print_json({"folder": str(folder), **summary.to_json()})
        elif first:
            _show_summary(summary, folder)
        return
    with _watched(settings.train, folder, log=log) as on_epoch:
        result = train_on(
            prepared,
            out=folder,
            config=settings.train,
            model=settings.model,
            model_config=settings.model_config,
            on_epoch=on_epoch,
        )
    if first and as_json:
        print_json({"bundle": str(result.folder), **result.bundle.to_json()})
    elif first:
        _show(result, settings.train)


@contextmanager
def _watched(config: "TrainConfig", folder: Path, *, log: str | None) -> "Iterator[OnEpoch]":
    """Show every epoch, and tell the tracker `log` of it; silent in all processes but the first."""
    from trisent.cli.train_progress import shown_epochs
    from trisent.training.loop import ignore_epoch
    from trisent.training.machine import is_first_process
    from trisent.training.tracking import tracked

    if not is_first_process():
        yield ignore_epoch
        return
    with ExitStack() as stack:
        listeners = [stack.enter_context(shown_epochs(config))]
        if log:
            listeners.append(stack.enter_context(tracked(log, config, folder)))

        def on_epoch(report: "EpochReport") -> None:
            for listener in listeners:
                listener(report)

        yield on_epoch


def _show(result: "TrainResult", config: "TrainConfig") -> None:
    """Print the scores beside what constants get, what to suspect, where the bundle is, and what to do next."""
    from rich.table import Table

    from trisent.cli.console import output
    from trisent.evaluation.metrics import CONVENTIONS

    console, bundle, sheet = output(), result.bundle, _sheet(result)
    best = result.history.best.epoch
    title = t(
        "scores on valid, weights of epoch {best} (best valid {select}), seed {seed}",
        best=best,
        select={"mae": "MAE", "corr": "Pearson r"}[config.select],
        seed=config.seed,
    )
    table = Table(title=title)
    table.add_column(t("measure and its convention"))
    for column in ("valid", t("predict 0"), t("best constant")):
        table.add_column(column, justify="right")
    for key, (name, value, n) in zip(CONVENTIONS, bundle.scores["valid"].rows(), strict=True):
        constants = [_said(constant[key]) for constant in (sheet.baselines.zero, sheet.baselines.best)]
        table.add_row(name, f"{value:.4f} (n={n})" if value == value else t("not defined"), *constants)
    console.print(table)
    for alarm in sheet.alarms:
        console.print(alarm, style="bold red", markup=False)
    _warn_of_synthetic(bundle.synthetic)
    typer.echo(t("bundle: {folder}", folder=result.folder))
    if set(bundle.model_config.get("dims", ())) <= set(bundle.extractors or ()) or bundle.preset:
        typer.echo(t("next: trisent predict --bundle {folder} VIDEO", folder=result.folder))
    else:
        typer.echo(t("next: say --preset (whose extractors made the features?) so that the bundle can judge a video"))
    typer.echo(t("test, once all is decided: trisent evaluate {folder} DATA --split test", folder=result.folder))


def _show_summary(summary: "Summary", folder: Path) -> None:
    """Print mean and standard deviation of the usual figures over the seeds."""
    from rich.table import Table

    from trisent.cli.console import output
    from trisent.evaluation.figures import FIGURES

    table = Table(title=t("scores on valid over {n} seeds", n=len(summary.results)))
    columns = [t("measure and its convention"), t("mean"), t("standard deviation"), t("lowest"), t("highest")]
    columns.append(t("best constant"))
    sheets = [_sheet(result) for result in summary.results]
    for name in columns:
        table.add_column(name, justify="left" if name is columns[0] else "right")
    for key in _SHOWN:
        values = (summary.mean(key), summary.std(key), min(summary.values[key]), max(summary.values[key]))
        table.add_row(FIGURES[key].name, *map(_said, (*values, sheets[0].baselines.best[key])))
    output().print(table)
    for result, sheet in zip(summary.results, sheets, strict=True):
        for alarm in sheet.alarms:
            output().print(f"{result.folder.name}: {alarm}", style="bold red", markup=False)
    _warn_of_synthetic(summary.results[0].bundle.synthetic)
    typer.echo(t("runs: {folder}/seed-*; all figures: {folder}/summary.json", folder=folder))


def _sheet(result: "TrainResult") -> "ScoreSheet":
    """Score what the trained model says of valid, as `trisent score` would."""
    from trisent.evaluation.reading import read_predictions
    from trisent.evaluation.sheet import score_sheet
    from trisent.training.record import PREDICTIONS

    return score_sheet(read_predictions(result.folder / PREDICTIONS))


def _said(value: float) -> str:
    return f"{value:.4f}" if value == value else t("not defined")


def _warn_of_synthetic(synthetic: bool) -> None:
    from trisent.cli.console import output

    if synthetic:
        output().print(
            t("THE DATA ARE SYNTHETIC: these scores mean nothing, this model judges nothing."), style="bold red"
        )
