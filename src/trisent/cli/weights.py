"""trisent weights: list, fetch and check pretrained weights, and find out why they do not come."""

from dataclasses import asdict
from typing import Annotated

import typer

from trisent.errors import UsageError
from trisent.i18n import t

app = typer.Typer(no_args_is_help=True)
_Json = Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))]
_Preset = Annotated[str | None, typer.Option(help=t("all weights of a preset: embedded or pretrained"))]
_Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help=t("catalog names or hub ids ORG/NAME"))]


def _wanted(names: list[str] | None, preset: str | None) -> list[str]:
    from trisent.config import PRESETS
    from trisent.weights import entries

    if preset is not None and preset not in PRESETS:
        raise UsageError(t("no preset is called {name!r}; there are: {names}", name=preset, names=", ".join(PRESETS)))
    return [*(names or ()), *(e.name for e in entries(preset) if preset)]


@app.command("list", help=t("What the catalog knows, and what is on this machine."))
def list_(as_json: _Json = False) -> None:
    """Print the catalog."""
    from rich.table import Table

    from trisent.cli.console import output, print_json
    from trisent.weights import entries

    catalog = entries()
    sizes = [sum(f.bytes for f in e.needed) for e in catalog]
    states = [_state(e.name) for e in catalog]
    if as_json:
        print_json(
            [
                {
                    "name": e.name,
                    "preset": e.preset,
                    "modality": e.modality,
                    "bytes": size,
                    "licence": e.licence,
                    "state": state,
                }
                for e, size, state in zip(catalog, sizes, states, strict=True)
            ]
        )
        return
    table = Table()
    for name in ("name", "preset", "modality", "megabytes", "licence", "state"):
        table.add_column(t(name), justify="right" if name == "megabytes" else "left")
    for e, size, state in zip(catalog, sizes, states, strict=True):
        table.add_row(e.name, e.preset, t(e.modality or ""), f"{size / 1e6:.1f}", e.licence, t(state))
    output().print(table)


def _state(name: str) -> str:
    from trisent.errors import WeightsError
    from trisent.weights import find

    try:
        return "here" if find(name) else "not here"
    except WeightsError:
        return "damaged"


@app.command("pull", help=t("Fetch weights, verify them, and keep them; nothing is fetched twice."))
def pull(names: _Names = None, preset: _Preset = None, as_json: _Json = False) -> None:
    """Fetch what is named."""
    wanted = _wanted(names, preset)
    if not wanted:
        raise UsageError(
            t("say which weights: trisent weights pull NAME, or --preset embedded (see: trisent weights list)")
        )
    from trisent.cli.console import print_json, progress
    from trisent.weights import pull as pull_weights

    with progress(of_bytes=True) as on_progress:
        pulled = pull_weights(wanted, on_progress=on_progress)
    if as_json:
        print_json([{"name": w.name, "folder": str(w.folder), "sha256": w.digest, "pinned": w.pinned} for w in pulled])
        return
    for weights in pulled:
        typer.echo(t("{name}: verified, in {folder}", name=weights.name, folder=weights.folder))


@app.command("verify", help=t("Hash every file again and compare with the catalog."))
def verify(names: _Names = None, preset: _Preset = None, as_json: _Json = False) -> int:
    """Check files; exit code 1 when one is wrong."""
    from trisent.cli.console import print_json
    from trisent.weights import verify as verify_weights

    verdicts = verify_weights(_wanted(names, preset))
    if as_json:
        print_json([{"file": file, "verdict": verdict} for file, verdict in verdicts])
    else:
        for file, verdict in verdicts:
            typer.echo(f"{file}: {verdict}")
    # Not to have weights is no fault, unless they were asked for.
    good = {"ok", "not the catalog's"} | (set() if names or preset else {"missing"})
    return 0 if all(verdict in good for _, verdict in verdicts) else 1


@app.command("doctor", help=t("Find out why weights do not come: package index, hubs, disk."))
def doctor(as_json: _Json = False) -> None:
    """Probe every source."""
    from trisent.cli.console import output, print_json
    from trisent.weights import doctor as examine

    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    from rich.table import Table

    table = Table()
    for name in ("subject", "state", "detail", "fix"):
        table.add_column(t(name))
    for finding in findings:
        table.add_row(finding.subject, finding.state, finding.detail, finding.fix)
    output().print(table, markup=False)
