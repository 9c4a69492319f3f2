"""Curves in TensorBoard; a tracker that is not there is told in one line."""

import logging
from pathlib import Path
from typing import Any, ClassVar

import accelerate
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trisent.errors import UsageError
from trisent.training import fit
from trisent.training.tracking import check_tracker, tracked
from unit.training.test_training import config, model, split


def test_tensorboard_reads_back_every_epoch(tmp_path: Path) -> None:
    settings = config(epochs=3)
    with tracked("tensorboard", settings, tmp_path / "run") as on_epoch:
        history = fit(model(), split(), split(seed=1), settings, on_epoch=on_epoch)
    events = EventAccumulator(str(tmp_path / "run/logs/run")).Reload()
    for tag, values in (
        ("train/loss", [report.train_loss for report in history.epochs]),
        ("valid/mae", [report.valid.mae for report in history.epochs]),
    ):
        assert [event.step for event in events.Scalars(tag)] == [1, 2, 3]
        assert [event.value for event in events.Scalars(tag)] == pytest.approx(values)


@pytest.mark.parametrize(
    ("name", "words"), [("mlflow", "--log must be one of tensorboard, trackio, wandb"), ("wandb", "pip install wandb")]
)
def test_a_tracker_that_is_unknown_or_not_installed_is_refused(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=words):
        check_tracker(name)


class Other:
    """A tracker as accelerate's of trackio and W&B are, that fails where it is told to."""

    requires_logging_directory = False
    made: ClassVar[list["Other"]] = []

    def __init__(self, project: str, *, name: str) -> None:
        self.project, self.name, self.told = project, name, list[Any]()
        self.made.append(self)

    def start(self) -> None:
        if self.name.endswith("nobody"):
            msg = "api_key not configured (no-tty).\ncall login"
            raise RuntimeError(msg)

    def store_init_configuration(self, values: object) -> None:
        self.told.append(values)

    def log(self, values: object, *, step: int) -> None:  # noqa: ARG002
        self.told.append(step)
        if step == 2:
            msg = "no network"
            raise ConnectionError(msg)

    def finish(self) -> None:
        pytest.fail("it was to be left alone")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> type[Other]:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    monkeypatch.setitem(accelerate.tracking.LOGGER_TYPE_TO_CLASS, "wandb", Other)
    Other.made.clear()
    return Other


def test_a_tracker_that_does_not_begin_is_told_in_one_line_before_training(other: type[Other], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told, tracked("wandb", config(), tmp_path / "nobody"):
        pass
    assert str(told.value) == "--log wandb cannot begin: api_key not configured (no-tty). call login"
    assert other.made[0].project == "trisent"


def test_a_tracker_that_fails_later_does_not_end_the_training(
    other: type[Other], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(epochs=3)
    with caplog.at_level(logging.WARNING), tracked("wandb", settings, tmp_path / "five" / "seed-0") as on_epoch:
        assert len(fit(model(), split(), split(seed=1), settings, on_epoch=on_epoch).epochs) == 3
    assert [r.getMessage() for r in caplog.records if "--log" in r.getMessage()] == [
        "--log wandb has failed and is told no more: no network"
    ]
    assert other.made[0].name == "five-seed-0"
    assert other.made[0].told[1:] == [1, 2]
