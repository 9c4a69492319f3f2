"""What the guide's entry scripts run. They speak Chinese, as the guide does, and fail in one line.

Each function returns the exit code: 0, that of the error, or 130 after Ctrl-C.
"""

import argparse
import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trisent.errors import TrisentError
from trisent.i18n import set_language, t

if TYPE_CHECKING:
    from trisent.training import TrainConfig, TrainResult

_DATA_DIR = Path("data/mosei/processed_cleaned_correct")  # the guide's


def fusion() -> int:
    """Run `python src/models/fusion_module_v2.py`: test the fusion module."""

    def work() -> None:
        import torch

        from trisent.fusion.check import check_fusion

        # A few rows at a time: on a busy machine, threads that wait for each other cost 40 times what they bring.
        torch.set_num_threads(1)
        check_fusion(print)

    return run_guarded(work)


def train() -> int:
    """Run `python scripts/train_pretrained.py`: train on a folder of the guide and write a bundle."""
    return run_guarded(_train)


def run_guarded(work: Callable[[], None]) -> int:
    """Do `work` in Chinese, with the log on stderr; turn what goes wrong into one line on stderr and an exit code."""
    set_language("zh")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that cannot show Chinese must not end the run
            stream.reconfigure(errors="replace")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("trisent")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        work()
    except TrisentError as error:
        return _fail(t("error: {reason}", reason=error), error.exit_code)
    except ModuleNotFoundError as error:
        return _fail(
            t("error: the Python package {name} is missing. In trisent's folder: pip install -e .", name=error.name), 1
        )
    except OSError as error:
        return _fail(t("error: {reason}", reason=error), 1)
    except KeyboardInterrupt:
        return _fail(t("stopped; the same command goes on after what is finished"), 130)
    finally:
        log.removeHandler(handler)
    return 0


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return exit_code


def _train() -> None:
    arguments = _parser().parse_args()
    from rich.console import Console

    from trisent.training import EpochReport, TrainConfig
    from trisent.training import train as train_bundle

    config = TrainConfig(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        seed=arguments.seed,
        device=arguments.device,
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def on_epoch(report: EpochReport) -> None:
        console.print(
            t(
                "epoch {epoch}/{epochs}  training loss {loss:.4f}  valid MAE {mae:.4f}  Pearson r {corr:.4f}",
                epoch=report.epoch,
                epochs=config.epochs,
                loss=report.train_loss,
                mae=report.valid.mae,
                corr=report.valid.corr,
            )
        )

    result = train_bundle(
        arguments.data_dir,
        out=arguments.out or Path("runs") / arguments.model,
        config=config,
        model=arguments.model,
        preset=arguments.preset,
        on_epoch=on_epoch,
    )
    show_result(result, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=t("Train a fusion model on features extracted before."))
    add = parser.add_argument
    add("--data-dir", type=Path, default=_DATA_DIR, help=t("folder with train.npz, val.npz and test.npz"))
    add("--epochs", type=int, default=50, help=t("passes over the training split, at most"))
    add("--batch-size", type=int, default=32, help=t("utterances a step"))
    add("--lr", type=float, default=1e-4, help=t("learning rate of AdamW"))
    add("--device", default="auto", help=t("auto, cpu, cuda or cuda:N"))
    add("--model", default="concat", help=t("name of the fusion model"))
    add("--out", type=Path, help=t("folder of the bundle; runs/MODEL unless said otherwise"))
    add("--seed", type=int, default=0, help=t("seed of everything random"))
    add("--preset", help=t("whose extractors made the features, such as pretrained; needed to judge a video"))
    return parser


def show_result(result: "TrainResult", config: "TrainConfig") -> None:
    """Print the scores of a finished training with their conventions, where the bundle is, and what to do next."""
    from rich.console import Console
    from rich.table import Table

    # Into a file or a pipe rich would assume 80 columns, which breaks the names of the conventions.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 100)
    bundle, best = result.bundle, result.history.best.epoch
    table = Table(
        title=t("scores, weights of epoch {best} (lowest valid MAE), seed {seed}", best=best, seed=config.seed)
    )
    table.add_column(t("measure and its convention"))
    for split in bundle.scores:
        table.add_column(split, justify="right")
    for group in zip(*(scores.rows() for scores in bundle.scores.values()), strict=True):
        cells = [f"{value:.4f} (n={n})" if value == value else t("not defined") for _, value, n in group]
        table.add_row(group[0][0], *cells)
    console.print(table)
    if bundle.synthetic:
        console.print(
            t("THE DATA ARE SYNTHETIC: these scores mean nothing, this model judges nothing."), style="bold red"
        )
    console.print(t("bundle: {folder}", folder=result.folder), markup=False)
    if bundle.preset:
        console.print(t("next: trisent predict --bundle {folder} VIDEO", folder=result.folder), markup=False)
    else:
        console.print(
            t("next: say --preset (whose extractors made the features?) so that the bundle can judge a video")
        )
