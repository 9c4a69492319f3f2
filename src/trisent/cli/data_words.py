"""Arguments and options that several verbs of `trisent data` share."""

from pathlib import Path
from typing import Annotated

import typer

from trisent.i18n import t

Json = Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))]
Source = Annotated[
    Path, typer.Argument(metavar="SRC", help=t("a file or folder of any format that trisent data inspect knows"))
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help=t("where nothing is yet"))]
Seed = Annotated[int, typer.Option(help=t("seed of everything random"))]


def bytes_in_words(count: int) -> str:
    """Write a size for people.

    >>> bytes_in_words(1_234_567)
    '1.2 MB'
    """
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
