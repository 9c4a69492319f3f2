"""Training curves elsewhere: TensorBoard, trackio or Weights & Biases, through the trackers of accelerate."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trisent.errors import UsageError
from trisent.i18n import t
from trisent.training.config import TrainConfig
from trisent.training.history import EpochReport
from trisent.training.loop import OnEpoch

TRACKERS = ("tensorboard", "trackio", "wandb")
LOGS = "logs"


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

    Args:
        name: one of `TRACKERS`.
        config: the settings, which the tracker stores.
        folder: of the run; its name is that of the run.
    """
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    check_tracker(name)
    kind: Any = LOGGER_TYPE_TO_CLASS[name]
    tracker = kind(folder.name, logging_dir=folder / LOGS) if kind.requires_logging_directory else kind(folder.name)
    tracker.start()
    tracker.store_init_configuration(asdict(config))

    def on_epoch(report: EpochReport) -> None:
        valid = {f"valid/{key}": v for key, v in report.valid.to_json().items() if v is not None}
        tracker.log({"train/loss": report.train_loss, **valid}, step=report.epoch)

    try:
        yield on_epoch
    finally:
        tracker.finish()
