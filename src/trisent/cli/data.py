"""trisent data: data sets of features, whatever tool wrote them."""

from pathlib import Path
from typing import Annotated

import typer

from trisent.cli import data_audit, data_convert, data_inspect
from trisent.cli.data_words import Json, Seed
from trisent.i18n import t

app = typer.Typer(no_args_is_help=True)

app.command("inspect", help=t("Say what a file or folder is: format, arrays, whether it is a published file."))(
    data_inspect.inspect
)
app.command("describe", help=t("Count utterances, videos, labels and steps."))(data_inspect.describe)
app.command("audit", help=t("Find what is wrong with a data set: leaks, bad numbers, labels, times."))(data_audit.audit)
app.command("convert", help=t("Write a data set in another format."))(data_convert.convert)
app.command("split", help=t("Draw a new split by video and write the data set with it."))(data_convert.split)


@app.command("sample", help=t("Write a small set of the guide's format, made up, to try training at once."))
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write train.npz, val.npz and test.npz of SYNTHETIC rows."""
    from trisent.cli.console import print_json
    from trisent.data.sample import write_sample

    write_sample(folder, seed=seed)
    if as_json:
        print_json({"path": str(folder), "format": "npz", "synthetic": True, "seed": seed})
        return
    typer.echo(
        t("wrote a SYNTHETIC data set to {folder}; next: trisent train {folder} --out runs/concat", folder=folder)
    )
