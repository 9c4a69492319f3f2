"""trisent data: data sets of features."""

from pathlib import Path
from typing import Annotated

import typer

from trisent.i18n import t

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `sample` a verb of its own although it is the only one."""


@app.command("sample", help=t("Write a small set of the guide's format, made up, to try training at once."))
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
) -> None:
    """Write train.npz, val.npz and test.npz of SYNTHETIC rows."""
    from trisent.data.npz import write_sample

    write_sample(folder, seed=seed)
    typer.echo(
        t("wrote a SYNTHETIC data set to {folder}; next: trisent train {folder} --out runs/concat", folder=folder)
    )
