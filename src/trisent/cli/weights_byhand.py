"""trisent weights adopt, export, serve, remove: weights that travel by hand, or through one's own room."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trisent.cli.weights_words import Json, Names, Preset, wanted_names
from trisent.errors import UsageError
from trisent.i18n import t
from trisent.types import OnProgress

_Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help=t("files, folders, zip archives or wheels"))]
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help=t("the folder for a stick or a class-room"))]
_Host = Annotated[str, typer.Option(help=t("the address to listen on; 0.0.0.0 for everybody in the network"))]
_Port = Annotated[int, typer.Option(min=0, max=65535, help=t("the port to listen on; 0 takes a free one"))]
_DryRun = Annotated[bool, typer.Option("--dry-run", help=t("only say what would be removed"))]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help=t("do not ask before removing what other programs read, too"))]
_WORTH_A_BAR = 10 << 20
_LOOPBACK = ("127.", "localhost", "::1")


def adopt(paths: _Paths, as_json: Json = False) -> int:
    """Take in what came by hand; exit code 1 when something was not adopted."""
    from trisent.cli.console import print_json, progress
    from trisent.weights import adopt as take_in

    with progress(of_bytes=True) as on_progress:
        adoption = take_in(paths, on_progress=_of_large_files(on_progress))
    if as_json:
        rows = [
            {"source": f.source, "kind": f.kind, "what": f.what, "landed": [str(path) for path in f.landed]}
            for f in adoption.files
        ]
        print_json({"files": rows, "complete": adoption.complete, "missing": adoption.missing})
        return 0 if adoption.all_adopted else 1
    for file in adoption.files:
        if file.kind != "right":
            typer.echo(t("{source}: not adopted: {what}", source=file.source, what=file.what))
        elif file.landed:
            landed = ", ".join(map(str, file.landed))
            typer.echo(t("{source}: {what}, copied to {landed}", source=file.source, what=file.what, landed=landed))
        else:
            typer.echo(t("{source}: {what}, here already", source=file.source, what=file.what))
    for name in adoption.complete:
        typer.echo(t("{name}: complete and verified", name=name))
    for name, missing in adoption.missing.items():
        typer.echo(t("{name}: still missing {files}", name=name, files=", ".join(missing)))
    return 0 if adoption.all_adopted else 1


def export(folder: _Folder, names: Names = None, preset: Preset = None, as_json: Json = False) -> None:
    """Copy what is named into a folder."""
    from trisent.cli.console import print_json, progress
    from trisent.weights import export as copy_out

    with progress(of_bytes=True) as on_progress:
        exported = copy_out(folder, wanted_names(names, preset), on_progress=_of_large_files(on_progress))
    if as_json:
        print_json(
            {
                "folder": str(exported.folder),
                "names": exported.names,
                "files": exported.files,
                "bytes": exported.bytes,
                "copied_bytes": exported.copied_bytes,
            }
        )
        return
    typer.echo(
        t(
            "{folder}: {count} files, {megabytes} MB, verified; README.txt there says how to use it",
            folder=exported.folder,
            count=len(exported.files),
            megabytes=f"{exported.bytes / 1e6:.1f}",
        )
    )


def serve(folder: _Folder, host: _Host = "127.0.0.1", port: _Port = 8000, as_json: Json = False) -> None:
    """Serve a folder until Ctrl-C."""
    from trisent.cli.console import print_json
    from trisent.weights import serve as open_server

    with open_server(folder, host=host, port=port) as server:
        for name in server.shelf.broken:
            typer.echo(t("{file}: missing or damaged, not served", file=name), err=True)
        if as_json:
            repos = sorted(server.shelf.repos)
            print_json({"url": server.url, "repos": repos, "files": sorted(server.shelf.files)})
        else:
            typer.echo(t("serving {folder} at {url}; stop with Ctrl-C", folder=folder, url=server.url))
            typer.echo(t("on the other machines: HF_ENDPOINT={url} trisent weights pull NAME", url=server.url))
        if not host.startswith(_LOOPBACK):
            message = t("everybody who reaches {host} in the network can read these files", host=host)
            typer.echo(message, err=True)
        sys.stdout.flush()
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            typer.echo(t("stopped"), err=True)


def remove(
    names: Names = None, preset: Preset = None, dry_run: _DryRun = False, yes: _Yes = False, as_json: Json = False
) -> None:
    """Remove what is named; asks before it touches a cache that other programs read, too."""
    from trisent.cli.console import print_json
    from trisent.weights import remove as take_away

    wanted = wanted_names(names, preset)
    if not wanted:
        raise UsageError(t("say which weights: trisent weights remove NAME (see: trisent weights where)"))
    doomed = take_away(wanted, dry_run=True)
    shared = [one for one in doomed if one.shared]
    with_shared = yes or not shared
    if shared and not yes and not dry_run:
        with_shared = _confirmed(len(shared), sum(one.bytes for one in shared))
    removed = doomed if dry_run else take_away(wanted, shared=with_shared)
    freed = sum(one.bytes for one in removed)
    if as_json:
        rows = [{"name": r.name, "path": str(r.path), "bytes": r.bytes, "shared": r.shared} for r in removed]
        print_json({"removed": rows, "bytes": freed, "dry_run": dry_run})
        return
    for one in removed:
        typer.echo(str(one.path))
    megabytes = f"{freed / 1e6:.1f}"
    if dry_run:
        typer.echo(t("would free {megabytes} MB ({bytes} bytes)", megabytes=megabytes, bytes=freed))
    else:
        typer.echo(t("freed {megabytes} MB ({bytes} bytes)", megabytes=megabytes, bytes=freed))


def _of_large_files(on_progress: OnProgress) -> OnProgress:
    """Leave out the files that are copied before a bar is drawn."""

    def report(what: str, done: int, total: int) -> None:
        if total >= _WORTH_A_BAR:
            on_progress(what, done, total)

    return report


def _confirmed(count: int, size: int) -> bool:
    if not sys.stdin.isatty():
        msg = t(
            "{count} of the files are in caches that other programs read, too. Say --yes to remove them, or --dry-run "
            "to see them",
            count=count,
        )
        raise UsageError(msg)
    question = t(
        "{count} files ({megabytes} MB) are in caches that other programs read, too. Remove them?",
        count=count,
        megabytes=f"{size / 1e6:.1f}",
    )
    return typer.confirm(question, err=True)
