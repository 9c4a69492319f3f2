"""trisent weights: list, fetch and check pretrained weights, and find out why they do not come."""

from dataclasses import asdict
from typing import Annotated

import typer

from trisent.cli import weights_byhand
from trisent.cli.weights_words import Json, Names, Offline, Preset, wanted_names
from trisent.errors import UsageError
from trisent.i18n import t

app = typer.Typer(no_args_is_help=True)
_DryRun = Annotated[bool, typer.Option("--dry-run", help=t("only say what would be fetched, from where, how long"))]


@app.command("list", help=t("What the catalog knows, and what is on this machine."))
def list_(as_json: Json = False) -> None:
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
                    "unpinned": e.unpinned,
                }
                for e, size, state in zip(catalog, sizes, states, strict=True)
            ]
        )
        return
    table = Table()
    for name in ("name", "preset", "modality", "megabytes", "licence", "state"):
        table.add_column(t(name), justify="right" if name == "megabytes" else "left")
    for e, size, state in zip(catalog, sizes, states, strict=True):
        preset = t("unpinned") if e.unpinned else e.preset
        megabytes = f"{size / 1e6:.1f}" if size else "–"
        table.add_row(e.name, preset, t(e.modality or ""), megabytes, e.licence, t(state))
    output().print(table)


def _state(name: str) -> str:
    from trisent.errors import WeightsError
    from trisent.weights import find

    try:
        return "here" if find(name) else "not here"
    except WeightsError:
        return "damaged"


@app.command("pull", help=t("Fetch weights, verify them, and keep them; nothing is fetched twice."))
def pull(
    names: Names = None,
    preset: Preset = None,
    dry_run: _DryRun = False,
    offline: Offline = False,  # noqa: ARG001
    as_json: Json = False,
) -> None:
    """Say what will be fetched, and fetch it."""
    wanted = wanted_names(names, preset)
    if not wanted:
        raise UsageError(
            t("say which weights: trisent weights pull NAME, or --preset embedded (see: trisent weights list)")
        )
    from trisent.cli.console import print_json, progress
    from trisent.cli.weights_plan import show_plan, with_total
    from trisent.weights import plan
    from trisent.weights import pull as pull_weights

    planned = plan(wanted)
    if dry_run and as_json:
        print_json(planned.as_json())
        return
    show_plan(planned, on_stderr=not dry_run)
    if dry_run:
        return
    with progress(of_bytes=True) as on_progress:
        pulled = pull_weights(wanted, on_progress=with_total(on_progress, planned))
    if as_json:
        print_json([{"name": w.name, "folder": str(w.folder), "sha256": w.digest, "pinned": w.pinned} for w in pulled])
        return
    for weights in pulled:
        typer.echo(t("{name}: verified, in {folder}", name=weights.name, folder=weights.folder))


@app.command("verify", help=t("Hash every file again and compare with the catalog."))
def verify(names: Names = None, preset: Preset = None, as_json: Json = False) -> int:
    """Check files; exit code 1 when one is wrong."""
    from trisent.cli.console import print_json
    from trisent.weights import verify as verify_weights

    verdicts = verify_weights(wanted_names(names, preset))
    if as_json:
        print_json([{"file": file, "verdict": verdict} for file, verdict in verdicts])
    else:
        for file, verdict in verdicts:
            typer.echo(f"{file}: {verdict}")
    # Not to have weights is no fault, unless they were asked for.
    good = {"ok", "not the catalog's"} | (set() if names or preset else {"missing"})
    return 0 if all(verdict in good for _, verdict in verdicts) else 1


@app.command("where", help=t("The places weights are looked for in, what is in each, and which one wins."))
def where(names: Names = None, preset: Preset = None, as_json: Json = False) -> None:
    """Print the places in order."""
    from rich.table import Table

    from trisent.cli.console import output, print_json
    from trisent.weights import where as look

    found = look(wanted_names(names, preset))
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "winner": None if one.winner is None else str(one.winner),
                    "why": one.why,
                    "places": [{**asdict(place), "folder": str(place.folder)} for place in one.places],
                }
                for one in found
            ]
        )
        return
    for one in found:
        table = Table(title=f"{one.name}: {one.why}", title_justify="left")
        for name in ("", "place", "state", "folder", "detail"):
            table.add_column(t(name) if name else "", overflow="fold")
        for place in one.places:
            table.add_row("→" if place.wins else "", t(place.kind), t(place.state), str(place.folder), place.detail)
        output().print(table, markup=False)


@app.command("doctor", help=t("Find out why weights do not come: package index, hubs, disk."))
def doctor(as_json: Json = False) -> None:
    """Probe every source."""
    from trisent.cli.console import output, print_json
    from trisent.weights import doctor as examine

    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    from rich.table import Table

    table = Table()
    for name in ("subject", "state", "detail"):
        table.add_column(t(name), overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, finding.state, finding.detail)
    output().print(table, markup=False)
    for finding in findings:
        if finding.fix:  # not in the table, whose cells break a line that is to be pasted
            typer.echo(f"{finding.subject} ({finding.state}):\n  {finding.fix}")


app.command("adopt", help=t("Take in files, folders and archives that came by hand: recognised by their bytes."))(
    weights_byhand.adopt
)
app.command("export", help=t("Copy weights into a folder for a stick or a class-room, with SHA256SUMS."))(
    weights_byhand.export
)
app.command("serve", help=t("Give an exported folder to other machines, as a model hub."))(weights_byhand.serve)
app.command("remove", help=t("Remove weights that trisent stored; never what was placed by hand."))(
    weights_byhand.remove
)
