"""The verbs of `trisent`, put together."""

from typing import Annotated

import typer

from trisent import __version__
from trisent.cli import compare, data, demo, evaluate, extract, predict, score, train, tune, weights
from trisent.cli.weights_words import Offline
from trisent.i18n import LANGUAGES, t

app = typer.Typer(
    name="trisent",
    help=t("Sentiment from talking-head video: what is said, how it sounds and how it looks."),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trisent {__version__}")
        raise typer.Exit


def _language(wanted: str) -> str:
    if wanted and wanted not in LANGUAGES:
        raise typer.BadParameter(t("{got!r} is not one of {expected}", got=wanted, expected=", ".join(LANGUAGES)))
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=t("say the version"))
    ] = False,
    lang: Annotated[str, typer.Option(callback=_language, help=t("en or zh; otherwise as the system says"))] = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help=t("say more, and show tracebacks"))] = False,
    offline: Offline = False,
) -> None:
    """Take the options that stand before the verb; `main` has acted on --lang and -v already."""


app.command("demo", help=t("Judge the sample clip and write a report: the whole way in one command."))(demo.run)
app.command("predict", help=t("Judge your own videos."))(predict.run)
app.command("extract", help=t("Turn videos into features to train on."))(extract.run)
app.command("train", help=t("Train a fusion model on features and write a bundle."))(train.run)
app.command("tune", help=t("Search for good settings on the validation split."))(tune.run)
app.command("evaluate", help=t("Say everything of a trained model on a split: figures, report, table."))(evaluate.run)
app.command("score", help=t("Score a file of predictions under every paper's convention."))(score.run)
app.command("compare", help=t("Compare runs on the same utterances: difference, interval, p."))(compare.run)
app.add_typer(weights.app, name="weights", help=t("Pretrained weights: list, fetch, check, find what is wrong."))
app.add_typer(data.app, name="data", help=t("Data sets of features."))
