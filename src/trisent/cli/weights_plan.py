"""What `trisent weights pull` says before it fetches: what, from where, how much, how long, and whether it fits."""

from typing import TYPE_CHECKING

import typer

from trisent.cli.console import named
from trisent.i18n import t
from trisent.types import OnProgress

if TYPE_CHECKING:
    from trisent.weights.planned import Plan, PlannedModel


def show_plan(plan: "Plan", *, on_stderr: bool) -> None:
    """Print a plan, a line a model; nothing when nothing is to fetch and results follow on stdout."""
    if not plan.left and all(model.files for model in plan.models) and on_stderr:
        return
    for model in plan.models:
        typer.echo(_line(model), err=on_stderr)
    for volume in plan.volumes:
        line = t(
            "disk: {needed} MB needed, {free} MB free in {folder}",
            needed=-(-volume.needed // 10**6),
            free=volume.free // 10**6,
            folder=volume.folder,
        )
        typer.echo(line, err=on_stderr)
    if plan.left and len(plan.models) > 1:
        line = t(
            "in all: {megabytes} MB{time}", megabytes=f"{plan.left / 1e6:.1f}", time=_time(plan.seconds, plan.left)
        )
        typer.echo(line, err=on_stderr)


def with_total(on_progress: OnProgress, plan: "Plan") -> OnProgress:
    """Report on all models together, too, when several are to fetch and their sizes are known."""
    fetched = [model for model in plan.models if model.left]
    if len(fetched) < 2 or not all(model.files for model in plan.models):
        return on_progress
    size = sum(file.bytes for model in fetched for file in model.files if file.left)
    done_by_name: dict[str, int] = {}

    def report(what: str, done: int, total: int) -> None:
        on_progress(what, done, total)
        done_by_name[named(what)[0]] = done
        on_progress(t("in all"), min(size, sum(done_by_name.values())), size)

    return report


def _line(model: "PlannedModel") -> str:
    note = f" ({model.note})" if model.note else ""
    if not model.left:
        if model.files:
            return t("{name}: on this machine already", name=model.name) + note
        return t("{name}: to be asked for", name=model.name) + note
    source = model.source or t("the first source that answers")
    return (
        t(
            "{name}: {count} files, {megabytes} MB to fetch from {source}{time}",
            name=model.name,
            count=sum(1 for file in model.files if file.left),
            megabytes=f"{model.left / 1e6:.1f}",
            source=source,
            time=_time(model.seconds, model.left),
        )
        + note
    )


def _time(seconds: float | None, left: int) -> str:
    if seconds is None:  # of a wheel pip tells no speed
        from trisent.weights.planned import seconds_at_10_mbps

        minutes = max(1, round(seconds_at_10_mbps(left) / 60))
        return t(", speed not measured: about {minutes} min at 10 Mbps", minutes=minutes)
    if seconds < 60:
        return t(", less than a minute")
    return t(", about {minutes} minutes", minutes=round(seconds / 60))
