"""Curves in TensorBoard; a tracker that is not there is told in one line."""

from pathlib import Path

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
