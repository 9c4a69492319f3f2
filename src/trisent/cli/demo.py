"""trisent demo: the whole way on the clip that comes with the package."""

from pathlib import Path
from typing import Annotated

import typer

from trisent.i18n import t


def run(
    out: Annotated[Path, typer.Option(metavar="DIR", help=t("where the report is written"))] = Path("runs/demo"),
) -> int:
    """Judge the sample clip, print the table, write predictions.json and report.html."""
    from trisent.cli.judgements import show_video
    from trisent.cli.predict import judge
    from trisent.samples import TALK

    results = judge([TALK], out=out)
    for video in results.videos:
        show_video(video)
    typer.echo(t("report: {path}", path=out / "report.html"))
    typer.echo(t("next: trisent predict YOUR_VIDEO.mp4 --out runs/mine"))
    return 1 if results.failed else 0
