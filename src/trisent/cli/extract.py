"""trisent extract: videos to features, stored so that training can read them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.features.settings import ExtractSettings

_NAME_HELP = "an extractor, weights (a name of the catalog, a hub id, a folder), or none to leave it out"


def run(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SRC", help=t("videos, folders, a folder with label.csv beside Raw, or a table (CSV)")),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help=t("folder of the features; made, or gone on with"))],
    preset: Annotated[str, typer.Option(help=t("extractors: embedded or pretrained"))] = "embedded",
    text: Annotated[str | None, typer.Option(metavar="NAME", help=t(_NAME_HELP))] = None,
    audio: Annotated[str | None, typer.Option(metavar="NAME", help=t("likewise, for sound"))] = None,
    video: Annotated[str | None, typer.Option(metavar="NAME", help=t("likewise, for pictures"))] = None,
    layers: Annotated[
        str | None, typer.Option(help=t("of text and audio: last, all, or numbers such as 3,6; else the preset's own"))
    ] = None,
    fps: Annotated[float, typer.Option(help=t("pictures looked at in a second"))] = 2.0,
    frames: Annotated[str | None, typer.Option(help=t("face or full; else the extractor's own"))] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="HZ", help=t("average sound and pictures into so many steps a second"))
    ] = None,
    dtype: Annotated[str, typer.Option(help=t("how numbers are stored: fp16 or fp32"))] = "fp16",
    device: Annotated[str, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = "auto",
    precision: Annotated[str, typer.Option(help=t("of the computation: auto, fp32, bf16 or int8"))] = "auto",
    backend: Annotated[str, typer.Option(help=t("of the computation: auto, torch, openvino or onnx"))] = "auto",
    engine: Annotated[str, typer.Option(help=t("local, or ray for a cluster"))] = "local",
    address: Annotated[str | None, typer.Option(help=t("of the Ray cluster"))] = None,
    workers: Annotated[int | None, typer.Option(help=t("processes; else one a core"))] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("only say what would be done, how large, how long"))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> int:
    """Extract what is not there yet; what fails is told at the end, and the exit code is then 1."""
    from trisent.features.settings import ExtractSettings, parse_layers

    named: dict[str, Any] = {"frames": frames, "dtype": dtype, "precision": precision, "backend": backend}
    settings = ExtractSettings(
        preset=preset,
        text=text,
        audio=audio,
        video=video,
        layers=None if layers is None else parse_layers(layers),
        fps=fps,
        rate_hz=rate,
        device=device,
        workers=workers,
        engine=engine,  # type: ignore[arg-type]  # refused by the settings when it is none
        address=address,
        **named,
    )
    return (_plan if dry_run else _extract)(sources, out, settings, as_json=as_json)


def _plan(sources: list[Path], out: Path, settings: "ExtractSettings", *, as_json: bool) -> int:
    from trisent.cli.console import print_json
    from trisent.cli.extract_words import plan_to_json, show_failures, show_plan
    from trisent.features.plan import plan

    planned = plan(sources, out, settings)
    if as_json:
        print_json(plan_to_json(planned))
    else:
        show_plan(planned)
        show_failures(planned.failures, ledger=None)
    return 1 if planned.failures else 0


def _extract(sources: list[Path], out: Path, settings: "ExtractSettings", *, as_json: bool) -> int:
    from trisent.cli.console import print_json
    from trisent.cli.extract_progress import progress
    from trisent.cli.extract_words import show_failures, show_summary, summary_to_json
    from trisent.features.extract import extract
    from trisent.features.index import FAILURES

    with progress() as (on_extract, on_progress):
        summary = extract(sources, out, settings, on_extract=on_extract, on_progress=on_progress)
    if as_json:
        print_json(summary_to_json(summary))
    else:
        show_summary(summary)
    show_failures(summary.failures, ledger=out / FAILURES)
    return 1 if summary.failures else 0
