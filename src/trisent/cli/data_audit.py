"""trisent data audit: what is wrong with a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.cli.data_words import Json, Source
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.data.audit import Report


def audit(
    source: Source,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help=t("also write a page with plots"))] = None,
    as_json: Json = False,
) -> int:
    """Print the findings, worst first; exit code 1 when one of them is an error."""
    from trisent.cli.console import print_json
    from trisent.data.audit import audit
    from trisent.data.audit.page import write_page
    from trisent.data.readers import read

    dataset = read(source)
    report = audit(dataset, path=source)
    if html is not None:
        write_page(html, report, dataset)
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
        if html is not None:
            typer.echo(t("report: {path}", path=html))
    return 1 if report.of("error") else 0


def _show(report: "Report") -> None:
    from trisent.cli.console import output
    from trisent.data.audit.findings import LEVELS

    console = output()
    names = {"error": t("ERROR"), "warning": t("WARNING"), "note": t("note")}
    styles = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
    for level in LEVELS:
        for finding in report.of(level):
            console.print(f"{names[level]} {finding.code}: {finding.title}", style=styles[level], markup=False)
            if finding.ids:
                more = finding.count - len(finding.ids)
                rest = t(" and {n} more", n=more) if more > 0 else ""
                console.print(f"    {', '.join(finding.ids)}{rest}", markup=False)
            console.print("    " + t("why: {why}", why=finding.why), markup=False)
            console.print("    " + t("do: {todo}", todo=finding.todo), markup=False)
    said = t("{name}: {n} utterances, {errors} errors, {warnings} warnings, {notes} notes",
             name=report.description.name, n=report.description.utterances, errors=len(report.of("error")),
             warnings=len(report.of("warning")), notes=len(report.of("note")))  # fmt: skip
    console.print(said, markup=False)
