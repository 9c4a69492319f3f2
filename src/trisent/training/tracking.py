"""Training curves elsewhere: TensorBoard, trackio or Weights & Biases, through the trackers of accelerate."""

import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trisent.errors import UsageError, one_line
from trisent.i18n import t
from trisent.training.config import TrainConfig
from trisent.training.history import EpochReport
from trisent.training.loop import OnEpoch

_log = logging.getLogger(__name__)

TRACKERS = ("tensorboard", "trackio", "wandb")
LOGS = "logs"
PROJECT = "trisent"
"""Where trackio and W&B put all runs, so that they can be compared there."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown or not installed.

    Raises:
        UsageError: it is.
    """
    if name not in TRACKERS:
        names = ", ".join(TRACKERS)
        raise UsageError(t("{name} must be one of {names}, got {value!r}", name="--log", names=names, value=name))
    if importlib.util.find_spec(name) is None:
        raise UsageError(t("--log {name} needs the package {name}: pip install {name}", name=name))


@contextmanager
def tracked(name: str, config: TrainConfig, folder: Path) -> Iterator[OnEpoch]:
    """Give what tells a tracker of each epoch; TensorBoard finds its files in FOLDER/logs.

    A tracker that fails later is told once and left alone: training does not end for it.

    Args:
        name: one of `TRACKERS`.
        config: the settings, which the tracker stores.
        folder: of the run; its name, behind that of the folder it is in, is that of the run.

    Raises:
        UsageError: the tracker is not installed, or does not begin, as when nobody is logged in.
    """
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    check_tracker(name)
    kind: Any = LOGGER_TYPE_TO_CLASS[name]
    run = "-".join(folder.resolve().parts[-2:])
    try:
        if kind.requires_logging_directory:
            tracker = kind(folder.name, logging_dir=folder / LOGS)
        else:
            tracker = kind(PROJECT, name=run)
        tracker.start()
        tracker.store_init_configuration(asdict(config))
    except Exception as error:  # each tracker has its own: nobody logged in, no network, another version
        raise UsageError(t("--log {name} cannot begin: {reason}", name=name, reason=one_line(error))) from error
    works = True

    def tell(what: Callable[[], None]) -> None:
        nonlocal works
        if works:
            try:
                what()
            except Exception as error:  # as above
                works = False
                message = "--log {name} has failed and is told no more: {reason}"
                _log.warning("%s", t(message, name=name, reason=one_line(error)))

    def on_epoch(report: EpochReport) -> None:
        valid = {f"valid/{key}": v for key, v in report.valid.to_json().items() if v is not None}
        tell(lambda: tracker.log({"train/loss": report.train_loss, **valid}, step=report.epoch))

    try:
        yield on_epoch
    finally:
        tell(tracker.finish)
