"""trisent predict: judge the user's own videos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.errors import MediaError, UsageError
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.report import Results


def run(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO", help=t("any files with sound or pictures"))],
    text: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|STRING", help=t("what is said (.txt, .srt, .vtt or the words); replaces recognition")
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=t("extractors: embedded or pretrained; a bundle usually knows its own"))
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(metavar="DIR", help=t("a trained bundle; otherwise the one that ships"))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help=t("write predictions.json and report.html there"))
    ] = None,
    device: Annotated[str, typer.Option(help=t("auto, cpu, cuda or cuda:N"))] = "auto",
) -> int:
    """Judge every file; one that fails is reported and the others go on."""
    if text is not None and len(videos) > 1:
        raise UsageError(t("--text belongs to one video, got {n} videos; run them one by one", n=len(videos)))
    from trisent.cli.console import print_json
    from trisent.cli.judgements import show_video
    from trisent.report import to_json

    results = judge(videos, text=text, preset=preset, bundle=bundle, device=device, out=out)
    if results.bundle.synthetic:
        typer.echo(t("This model was trained on synthetic data. Do not believe its judgements."), err=True)
    if as_json:
        print_json(to_json(results))
    else:
        for video in results.videos:
            show_video(video)
        if out is not None and results.videos:
            typer.echo(t("report: {path}", path=out / "report.html"))
    return 1 if results.failed else 0


def judge(
    videos: Sequence[Path],
    *,
    text: str | None = None,
    preset: str | None = None,
    bundle: str | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> "Results":
    """Judge videos with progress on stderr; write the report when `out` names a folder."""
    where = bundle or _shipped_bundle(preset or "embedded")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)  # better refused now than after the work
    from trisent.cli.console import progress
    from trisent.predictor import Predictor
    from trisent.report import Results, write_report

    with progress(of_bytes=True) as on_bytes:
        predictor = Predictor.from_bundle(where, preset=preset, device=device, on_progress=on_bytes)
    judged, failed = [], []
    with progress(of_bytes=False) as on_utterances:
        for path in videos:
            try:
                judged.append(predictor.predict(path, text, on_progress=on_utterances))
            except MediaError as error:
                failed.append((path, str(error)))
                typer.echo(t("error: {reason}", reason=" ".join(str(error).split())), err=True)
    results = Results(predictor.bundle, predictor.provenance, judged, failed)
    if out is not None:
        write_report(out, results)
    return results


def _shipped_bundle(preset: str) -> str:
    from trisent.checkpoint import shipped_bundles
    from trisent.config import named_preset

    named_preset(preset)
    if preset not in shipped_bundles():
        message = (
            "no trained fusion model ships for the preset {preset}: train one on your features (trisent train DATA "
            "--preset {preset} --out DIR) and name it with --bundle DIR, or use --preset embedded, which works now"
        )
        raise UsageError(t(message, preset=preset))
    return preset
