"""Options that several verbs of `trisent weights` share."""

import os
from typing import Annotated

import typer

from trisent.i18n import t

Json = Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))]
Preset = Annotated[str | None, typer.Option(help=t("all weights of a preset: embedded or pretrained"))]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help=t("catalog names or hub ids ORG/NAME"))]


def _go_offline(wanted: bool) -> bool:
    """Forbid the network to this run, and to the libraries it loads."""
    if wanted:
        os.environ.update(TRISENT_OFFLINE="1", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    return wanted


Offline = Annotated[
    bool,
    typer.Option(
        "--offline", callback=_go_offline, is_eager=True, help=t("use what is on this machine, fetch nothing")
    ),
]


def wanted_names(names: list[str] | None, preset: str | None) -> list[str]:
    """Put names and the names of a preset together.

    Raises:
        UsageError: there is no such preset.
    """
    from trisent.config import named_preset
    from trisent.weights import entries

    if preset is not None:
        named_preset(preset)
    return [*(names or ()), *(e.name for e in entries(preset) if preset)]
