"""What `trisent extract` says at the end, or before the beginning: summary, plan, failures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trisent.cli.extract_progress import length
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.features.extract import Summary
    from trisent.features.part import Failure
    from trisent.features.plan import Plan

_FAILURES_SHOWN = 10


def show_summary(summary: "Summary") -> None:
    """Print what an extraction did, on stdout."""
    message = "{out}: {utterances} utterances, {extracted} of them new: {hours:.2f} h of video in {time}{speed}"
    typer.echo(
        t(
            message,
            out=summary.out,
            utterances=summary.utterances,
            extracted=summary.extracted,
            hours=summary.hours,
            time=length(summary.elapsed_s),
            speed=t(", {times:.1f} x real time", times=_times(summary)) if summary.extracted else "",
        )
    )
    for modality, dim in summary.dims.items():
        if modality in summary.precision:
            message = "{modality}: {dim} wide, computed in {precision} with {backend}"
            precision, backend = summary.precision[modality], summary.backend[modality]
            typer.echo(t(message, modality=t(modality), dim=dim, precision=precision, backend=backend))
        if summary.unseen[modality]:
            reasons = {"text": t("no words"), "audio": t("no sound"), "video": t("no face or no picture")}
            message = "{modality}: nothing for {count} of {n} utterances ({reason})"
            said = {"count": summary.unseen[modality], "n": summary.utterances, "reason": reasons[modality]}
            typer.echo(t(message, modality=t(modality), **said))


def summary_to_json(summary: "Summary") -> dict[str, Any]:
    """Turn a summary into a JSON document."""
    return {
        "out": str(summary.out),
        "utterances": summary.utterances,
        "extracted": summary.extracted,
        "failed": len(summary.failures),
        "hours": round(summary.hours, 6),
        "elapsed_s": round(summary.elapsed_s, 3),
        "times_real_time": round(_times(summary), 3),
        "workers": summary.workers,
        "dims": dict(summary.dims),
        "unseen": dict(summary.unseen),
        "precision": dict(summary.precision),
        "backend": dict(summary.backend),
        "digest": summary.digest,
        "failures": [asdict(failure) for failure in summary.failures],
    }


def _times(summary: "Summary") -> float:
    return 3600 * summary.hours / summary.elapsed_s if summary.elapsed_s else 0.0


def show_plan(plan: "Plan") -> None:
    """Print what an extraction would do, on stdout."""
    message = "{out}: {files} files, {utterances} known utterances, {done} of them done"
    typer.echo(t(message, out=plan.out, files=plan.files, utterances=plan.utterances, done=plan.done))
    for modality, count in plan.todo.items():
        typer.echo(t("{modality}: {count} utterances to do", modality=t(modality), count=count))
    if plan.changed:
        message = "of these, {count} again, because their file, time or text has changed"
        typer.echo(t(message, count=plan.changed))
    if plan.to_listen:
        message = "{count} files are to be listened to first; how many utterances they have is not known yet"
        typer.echo(t(message, count=plan.to_listen))
    if plan.weights_absent:
        message = "weights to be fetched first: {names}; with them here, time and size can be measured"
        typer.echo(t(message, names=" ".join(plan.weights_absent)))
    typer.echo(t("{hours:.2f} h of video to go through", hours=plan.hours) + _cost(plan))


def _cost(plan: "Plan") -> str:
    if plan.bytes is None or plan.seconds is None:
        return ""
    message = ": about {megabytes:.1f} MB and {time} (workers: {workers}; measured on {sample} utterances)"
    megabytes, time = plan.bytes / 1e6, length(plan.seconds)
    said = t(message, megabytes=megabytes, time=time, workers=plan.workers, sample=plan.sample)
    return said + (t(", without the listening") if plan.to_listen else "")


def plan_to_json(plan: "Plan") -> dict[str, Any]:
    """Turn a plan into a JSON document."""
    return {
        "out": str(plan.out),
        "files": plan.files,
        "to_listen": plan.to_listen,
        "utterances": plan.utterances,
        "done": plan.done,
        "todo": dict(plan.todo),
        "changed": plan.changed,
        "hours": round(plan.hours, 6),
        "weights_absent": list(plan.weights_absent),
        "bytes": plan.bytes,
        "seconds": plan.seconds,
        "workers": plan.workers,
        "sample": plan.sample,
        "failures": [asdict(failure) for failure in plan.failures],
    }


def show_failures(failures: Sequence["Failure"], *, ledger: Path | None) -> None:
    """Print the first failures as a table, how many more there are, and where all are, on stderr."""
    if not failures:
        return
    from rich.table import Table
    from rich.text import Text

    from trisent.cli.console import progress_console

    table = Table(title=t("failures: {count}", count=len(failures)), title_justify="left")
    table.add_column(t("what"))
    table.add_column(t("why"), overflow="fold")
    for failure in failures[:_FAILURES_SHOWN]:
        reason = failure.reason if failure.modality is None else f"{t(failure.modality)}: {failure.reason}"
        table.add_row(Text(failure.id), Text(reason))
    console = progress_console()
    console.print(table)
    more = len(failures) - _FAILURES_SHOWN
    if more > 0:
        console.print(t("and {count} more", count=more), markup=False)
    if ledger is not None:
        message = (
            "all of them: {ledger}. Mend what can be mended and run the same command again: it does only the rest."
        )
        console.print(t(message, ledger=ledger), markup=False)
