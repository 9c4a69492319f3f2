"""Several seeds: a run each, how much they vary, and none done twice."""

import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trisent.training import TrainConfig
from trisent.training.loop import OnEpoch, ignore_epoch
from trisent.training.preparing import prepare
from trisent.training.seeds import Summary, train_seeds
from unit.training.test_training import config, write_folder


def train(data: Path, out: Path, *, epochs: int = 2, seen: list[int] | None = None) -> Summary:
    @contextmanager
    def watch(own: TrainConfig, _: Path) -> Iterator[OnEpoch]:
        if seen is not None:
            seen.append(own.seed)
        yield ignore_epoch

    wanted = config(epochs=epochs, seed=4)
    return train_seeds(
        prepare(data), out=out, config=wanted, seeds=3, model="concat", model_config={"hidden": 16}, watch=watch
    )


def test_each_seed_has_a_folder_and_the_summary_is_over_all(tmp_path: Path) -> None:
    summary = train(write_folder(tmp_path / "data"), tmp_path / "runs")
    values = []
    for seed in (4, 5, 6):
        bundle = json.loads((tmp_path / f"runs/seed-{seed}/bundle.json").read_text())
        assert bundle["seed"] == seed
        values.append(bundle["scores"]["valid"]["mae"])
    assert len(set(values)) == 3
    written = json.loads((tmp_path / "runs/summary.json").read_text())
    assert written["seeds"] == [4, 5, 6]
    assert written["valid"]["mae"]["mean"] == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert written["valid"]["mae"]["std"] == pytest.approx(statistics.pstdev(values), abs=1e-6)
    assert summary.mean("mae") == pytest.approx(written["valid"]["mae"]["mean"])


def test_a_finished_seed_is_not_trained_again_unless_the_settings_changed(tmp_path: Path) -> None:
    data, seen = write_folder(tmp_path / "data"), list[int]()
    train(data, tmp_path / "runs", seen=seen)
    (tmp_path / "runs/seed-5/run.json").unlink()  # as if it had been killed
    train(data, tmp_path / "runs", seen=seen)
    assert seen == [4, 5, 6, 5]
    train(data, tmp_path / "runs", epochs=1, seen=seen)
    assert seen == [4, 5, 6, 5, 4, 5, 6]
