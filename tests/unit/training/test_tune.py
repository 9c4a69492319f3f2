"""The search for settings: it sees valid alone, finds what is better, and goes on after it was killed."""

import inspect
import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

import trisent
from trisent.data.cleaning import CleaningOptions
from trisent.data.sample import write_sample
from trisent.errors import DataError, TrisentError, UsageError
from trisent.fusion.registry import FUSION_MODELS, build
from trisent.training import TrainConfig
from trisent.training import tune as training_tune
from trisent.training.search_space import search_space, settings_of
from trisent.training.settings import read_settings
from trisent.training.tune import Trial, tune

CONFIG = TrainConfig(epochs=2, device="cpu", patience=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder, rows=(48, 24, 8))
    return folder


@pytest.mark.parametrize("model", list(FUSION_MODELS))
def test_whatever_is_drawn_from_a_model_s_space_builds_that_model(model: str) -> None:
    random = np.random.default_rng(0)
    space = search_space(model)
    assert {"train.lr", "train.weight_decay", "train.batch_size", "model.dropout"} <= set(space)
    for _ in range(12):
        drawn = {}
        for name, d in space.items():
            if hasattr(d, "choices"):
                drawn[name] = d.choices[random.integers(len(d.choices))]
            elif d.__class__.__name__ == "IntDistribution":
                drawn[name] = int(random.integers(d.low, d.high + 1))
            else:
                drawn[name] = float(random.choice([d.low, d.high]))
        settings = settings_of(drawn)
        TrainConfig(**settings["train"])
        build(model, {"dims": {"text": 4, "audio": 3, "video": 5}, **settings["model"]})


def test_a_search_writes_the_best_of_its_trials_where_training_can_read_it(data: Path, tmp_path: Path) -> None:
    heard: list[Trial] = []
    result = tune(data, out=tmp_path / "found", trials=7, config=CONFIG, on_trial=heard.append)
    assert tuple(heard) == result.trials
    assert [trial.number for trial in heard] == list(range(7))
    assert result.best.score == min(trial.score for trial in heard if not trial.pruned)
    assert math.isclose(sum(result.importance.values()), 1.0)
    found = tomllib.loads((tmp_path / "found/best.toml").read_text())
    assert TrainConfig(**found["train"]).epochs == 2
    assert found["train"]["lr"] == result.best.settings["train.lr"]
    assert found["model"]["name"] == "concat"
    assert found["model"]["hidden"] == result.best.settings["model.hidden"]
    told = json.loads((tmp_path / "found/tune.json").read_text())
    assert [trial["score"] for trial in told["trials"]] == [trial.score for trial in heard]
    page = (tmp_path / "found/importance.html").read_text()
    assert "train.lr" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_training_with_the_settings_found_gives_the_score_found(data: Path, tmp_path: Path) -> None:
    from trisent.training import train

    result = tune(data, out=tmp_path / "found", trials=2, config=CONFIG, modalities=["text", "audio"])
    settings = read_settings(tmp_path / "found/best.toml")
    assert (settings.model, settings.modalities) == ("concat", ("text", "audio"))
    again = train(
        data,
        out=tmp_path / "run",
        config=settings.train,
        model_config=settings.model_config,
        modalities=settings.modalities,
    )
    assert again.history.best.valid.mae == pytest.approx(result.best.score, abs=1e-6)


def test_a_second_call_goes_on_and_tries_only_what_is_left(data: Path, tmp_path: Path) -> None:
    first = tune(data, out=tmp_path, trials=2, config=CONFIG)
    heard: list[Trial] = []
    second = tune(data, out=tmp_path, trials=4, config=CONFIG, on_trial=heard.append)
    assert second.trials[:2] == first.trials
    assert second.trials[2:] == tuple(heard)
    assert len({json.dumps(trial.settings) for trial in second.trials}) == 4  # nothing is drawn twice


def _epochs_in(study: Path) -> int:
    """Count the epochs that trials reported; optuna itself would make the tables that the search is making."""
    try:
        with closing(sqlite3.connect(f"file:{study}?mode=ro", uri=True)) as database:
            return int(database.execute("select count(*) from trial_intermediate_values").fetchone()[0])
    except sqlite3.OperationalError:  # there is no file yet, or no table
        return 0


def test_a_search_that_was_killed_goes_on_with_the_trial_it_was_at(data: Path, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from trisent.training import TrainConfig
from trisent.training.tune import tune
config = TrainConfig(epochs=2000, device="cpu", patience=2000)
tune(Path({str(data)!r}), out=Path({str(tmp_path)!r}), trials=3, config=config)
"""
    source = str(Path(trisent.__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": source, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not _epochs_in(tmp_path / "study.db"):
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    import optuna

    states = optuna.trial.TrialState
    study = optuna.load_study(study_name="concat", storage=f"sqlite:///{tmp_path}/study.db")
    [left] = study.get_trials(states=(states.RUNNING,))
    study.set_user_attr("facts", None)  # the trials of this test are shorter
    result = tune(data, out=tmp_path, trials=1, config=CONFIG)
    assert [trial.settings for trial in result.trials] == [left.params]


def test_a_study_of_other_data_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    tune(data, out=tmp_path / "found", trials=1, config=CONFIG)
    write_sample(tmp_path / "other", seed=1, rows=(16, 16, 4))
    with pytest.raises(UsageError, match="other data"):
        tune(tmp_path / "other", out=tmp_path / "found", trials=2, config=CONFIG)
    with pytest.raises(UsageError, match="other cleaning"):
        tune(data, out=tmp_path / "found", trials=2, config=CONFIG, cleaning=CleaningOptions())
    with pytest.raises(UsageError, match="other config"):
        tune(data, out=tmp_path / "found", trials=2, config=TrainConfig(epochs=3))


def test_time_that_is_over_ends_the_search_after_the_trial_that_runs(data: Path, tmp_path: Path) -> None:
    result = tune(data, out=tmp_path, trials=1000, minutes=0.5 / 60, config=CONFIG)
    assert 1 <= len(result.trials) < 1000


def test_there_is_no_way_to_name_the_test_split() -> None:
    assert not [name for name in inspect.signature(tune).parameters if "test" in name or "split" in name]


def test_another_test_split_changes_nothing(data: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "other", seed=1, rows=(48, 24, 8))
    for name in ("train.npz", "val.npz"):
        (tmp_path / "other" / name).write_bytes((data / name).read_bytes())
    assert (tmp_path / "other/test.npz").read_bytes() != (data / "test.npz").read_bytes()
    one = tune(data, out=tmp_path / "one", trials=2, config=CONFIG)
    other = tune(tmp_path / "other", out=tmp_path / "another", trials=2, config=CONFIG)
    assert one.trials == other.trials


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"minutes": 0.0}, {"minutes": math.nan}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float], data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        tune(data, out=tmp_path, config=CONFIG, **wrong)


def test_two_processes_do_not_work_on_one_study(data: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / "study.db.lock"), pytest.raises(UsageError, match="another process"):
        tune(data, out=tmp_path, trials=1, config=CONFIG)


def test_trials_whose_loss_is_no_number_end_and_are_not_the_best(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trisent.fusion.concat import ConcatFusion

    monkeypatch.setattr(ConcatFusion, "loss", lambda _, output, __: output.sentiment.mean() * torch.nan)
    with pytest.raises(TrisentError, match="no trial came to an end"):
        tune(data, out=tmp_path, trials=2, config=CONFIG)


def test_what_no_trial_could_mend_ends_the_search_with_its_reason(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match="is a file"):
        tune(data, out=tmp_path / "file", trials=2, config=CONFIG)
    (tmp_path / "study.db").write_text("no study, but something long enough to be looked at" * 99)
    with pytest.raises(UsageError, match=r"study\.db cannot be used for a search .*--storage"):
        tune(data, out=tmp_path, trials=2, config=CONFIG)


def test_a_trial_that_ctrl_c_cut_off_is_begun_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def interrupted(network: object, train: object, valid: object, config: TrainConfig, **rest: object) -> object:
        asked.append({name: getattr(config, name) for name in ("lr", "weight_decay", "batch_size")})
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(network, train, valid, config, **rest)

    real = training_tune.fit
    monkeypatch.setattr(training_tune, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(data, out=tmp_path, trials=3, config=CONFIG)
    assert len(tune(data, out=tmp_path, trials=3, config=CONFIG).trials) == 3
    assert len(asked) == 4
    assert asked[2] == asked[1]


def test_the_files_are_json_also_where_a_trial_has_no_correlation(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = training_tune.fit, []

    def fit(network: torch.nn.Module, *args: object, **keywords: object) -> object:
        calls.append(1)
        if len(calls) == 1:  # says the same of every utterance
            network.loss = lambda output, _: 0.0 * output.sentiment.sum()
            for p in network.parameters():
                p.data.zero_()
        return real(network, *args, **keywords)

    monkeypatch.setattr(training_tune, "fit", fit)
    result = tune(data, out=tmp_path, trials=2, config=TrainConfig(epochs=2, device="cpu", select="corr"))
    assert result.trials[0].score is None
    assert "NaN" not in (tmp_path / "tune.json").read_text()


def test_data_without_features_are_refused(tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text("video_id,clip_id,text,label,mode\nv,1,good,1.0,train\nv,2,bad,-1.0,valid\n")
    with pytest.raises(DataError, match="features"):
        tune(tmp_path, out=tmp_path / "found", trials=1, config=CONFIG)
