"""The training loop: it learns, it selects on valid, it survives kill -9."""

import inspect
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trisent import training
from trisent.checkpoint import load_bundle
from trisent.compute import choose_device
from trisent.data.batching import Examples
from trisent.data.dataset import Dataset, Sequences
from trisent.errors import TrainingError, UsageError
from trisent.evaluation.reading import read_predictions
from trisent.fusion.batch import Batch, Output
from trisent.fusion.concat import ConcatFusion
from trisent.seeding import seeded
from trisent.training import TrainConfig, evaluate, fit, train
from trisent.training.resume import CHECKPOINT

DIMS = {"text": 8, "audio": 6, "video": 7}
SOURCE = Path(training.__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Widths of 16 gain nothing from threads, and lose much where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made_up(n: int = 32, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.uniform(-3, 3, n).astype(np.float32)
    features = {m: random.standard_normal((n, dim)).astype(np.float32) for m, dim in DIMS.items()}
    features["text"][:, 0] += labels
    return features, labels


def examples(features: dict[str, np.ndarray], labels: np.ndarray) -> Examples:
    n = len(labels)
    steps = np.arange(n + 1), np.zeros(n, np.float32), np.ones(n, np.bool_)
    rows = {m: Sequences(values, *steps) for m, values in features.items()}
    return Examples(Dataset("made up", "", tuple(map(str, range(n))), ("",) * n, {"sentiment": labels}, rows))


def split(n: int = 32, seed: int = 0) -> Examples:
    return examples(*made_up(n, seed))


def model(**settings: float) -> ConcatFusion:
    with seeded(0):
        return ConcatFusion(DIMS, **{"hidden": 16, **settings})


def config(**settings: object) -> TrainConfig:
    return TrainConfig(**{"epochs": 6, "batch_size": 8, "lr": 1e-2, "device": "cpu", **settings})


def same(a: nn.Module, b: nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Scripted(nn.Module):
    """A fusion model that says the number of the epoch it is in, so the best epoch is known beforehand."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("epoch", torch.zeros(()))

    def train(self, mode: bool = True) -> "Scripted":
        self.epoch += float(mode)
        return super().train(mode)

    def forward(self, batch: Batch) -> Output:
        n = len(batch)
        return Output(self.epoch.expand(n) + 0 * self.weight, torch.zeros(n, 7))

    def loss(self, output: Output, batch: Batch) -> Tensor:  # noqa: ARG002
        return output.sentiment.mean()


def labelled(values: list[float]) -> Examples:
    return examples({"text": np.zeros((len(values), 1), np.float32)}, np.float32(values))


def test_thirty_two_utterances_are_learnt_by_heart():
    data = split()
    fusion = model(hidden=64, dropout=0.0, modality_dropout=0.0)
    fit(fusion, data, data, config(epochs=60, patience=60, batch_size=16))
    result = evaluate(fusion, data)
    assert result.acc7_round == 1.0
    assert result.mae < 0.25  # what saying the nearest whole number would cost on average
    assert result.corr > 0.98


def test_the_epoch_kept_is_the_best_on_valid():
    fusion = Scripted()
    history = fit(fusion, labelled([0.0, 1.0]), labelled([2.9, 3.1]), config(epochs=5))
    assert [report.valid.mae for report in history.epochs] == pytest.approx([2, 1, 0.1, 1, 2], abs=1e-6)
    assert history.best.epoch == 3
    assert fusion.epoch == 3


def test_training_stops_when_patience_runs_out():
    history = fit(Scripted(), labelled([0.0]), labelled([2.0]), config(epochs=50, patience=3))
    assert len(history.epochs) == 5


def test_no_test_split_can_enter_fit():
    names = list(inspect.signature(fit).parameters)
    assert names == ["model", "train", "valid", "config", "run_folder", "on_epoch"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    models = [model(), model(), model()]
    for fusion, seed in zip(models, (1, 1, 2), strict=True):
        fit(fusion, split(), split(seed=1), config(seed=seed))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_fit_leaves_the_generators_of_the_process_alone():
    before = torch.get_rng_state()
    fit(model(), split(), split(seed=1), config(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


_KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = [{source!r}, {here!r}]
from test_training import config, fit, model, split
def on_epoch(report):
    print(report.epoch, flush=True)
    time.sleep(0.05 if report.epoch < 3 else 60)
fit(model(), split(), split(seed=1), config(), run_folder=Path({folder!r}), on_epoch=on_epoch)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_with_kill_9_goes_on_to_the_same_bits(tmp_path: Path):
    script = _KILLED.format(source=str(SOURCE), here=str(Path(__file__).parent), folder=str(tmp_path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ["1", "2", "3"]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed, whole = model(), model()
    history = fit(resumed, split(), split(seed=1), config(), run_folder=tmp_path)
    expected = fit(whole, split(), split(seed=1), config())
    assert history.resumed_after == 3
    assert history.to_json() == expected.to_json()
    assert same(resumed, whole)


@pytest.mark.parametrize("change", ["seed", "data", "model"])
def test_a_checkpoint_of_another_run_is_not_continued(tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str):
    fit(model(), split(), split(seed=1), config(epochs=2), run_folder=tmp_path)
    caplog.set_level(logging.INFO)
    history = fit(
        model(dropout=0.1) if change == "model" else model(),
        split(),
        split(seed=9) if change == "data" else split(seed=1),
        config(epochs=2, seed=5) if change == "seed" else config(epochs=2),
        run_folder=tmp_path,
    )
    assert history.resumed_after == 0
    assert "other settings or data: starting afresh" in caplog.text


def test_a_damaged_checkpoint_is_told_and_not_continued(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / CHECKPOINT).write_bytes(b"torn")
    assert fit(model(), split(), split(seed=1), config(epochs=1), run_folder=tmp_path).resumed_after == 0
    assert "cannot be read" in caplog.text


def test_a_finished_run_that_is_fitted_again_has_nothing_left_to_do(tmp_path: Path):
    first, second = model(), model()
    fit(first, split(), split(seed=1), config(), run_folder=tmp_path)
    again = fit(second, split(), split(seed=1), config(), run_folder=tmp_path, on_epoch=pytest.fail)
    assert again.resumed_after == 6
    assert same(first, second)


def test_a_loss_that_is_no_number_stops_training_and_names_the_learning_rate():
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 \(loss nan\).*--lr 0.001"):
        fit(_NanLoss(), split(), split(), config())


def test_a_model_whose_last_step_was_fatal_is_told_as_diverged_too():
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 \(loss 1.0\).*--lr"):
        fit(_LostInEval(), split(), split(), config())


class _LostInEval(Scripted):
    def forward(self, batch: Batch) -> Output:
        output = super().forward(batch)
        return output if self.training else Output(output.sentiment * float("nan"), output.class_logits)


class _NanLoss(Scripted):
    def loss(self, output: Output, batch: Batch) -> Tensor:
        return super().loss(output, batch) * float("nan")


def test_what_is_no_fusion_model_is_refused():
    with pytest.raises(UsageError, match="Linear is not a fusion model"):
        fit(nn.Linear(1, 1), split(), split(), config())


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"batch_size": 0}, {"lr": 0}, {"lr": float("nan")}, {"weight_decay": -1}, {"patience": 0}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict):
    with pytest.raises(UsageError):
        TrainConfig(**settings)


def test_cuda_without_cuda_warns_in_one_line_and_runs_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cuda:1").type == "cpu"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "\n" not in caplog.text.strip()
    assert "--device cpu" in caplog.text
    assert choose_device("auto").type == "cpu"
    assert len(caplog.records) == 1


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="'tpu'"):
        choose_device("tpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2")


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate(("train", "val", "test")):
        features, labels = made_up(seed=seed)
        np.savez(folder / f"{name}.npz", **{f"{m}_features": x for m, x in features.items()}, labels=labels)
    return folder


def test_train_goes_from_the_folder_to_a_bundle_that_scores_the_same(tmp_path: Path):
    result = train(write_folder(tmp_path / "data"), out=tmp_path / "run", config=config(), preset="embedded")
    bundle, fusion = load_bundle(tmp_path / "run")
    assert bundle == result.bundle
    assert (bundle.preset, bundle.synthetic, bundle.data["rows"]["test"]) == ("embedded", False, 32)
    assert evaluate(fusion, split(seed=1)) == bundle.scores["valid"]
    history = json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8"))
    assert history["best_epoch"] == result.history.best.epoch
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "bundle.json",
        "model.safetensors",
        "history.json",
        "README.md",
        "run.json",
        "predictions-valid.csv",
    }


@pytest.mark.parametrize("name", ["concat", "gated", "lf_dnn"])
def test_classes_are_calibrated_on_valid_and_the_sentiment_stays(name: str, tmp_path: Path):
    train(write_folder(tmp_path / "data"), out=tmp_path / "run", config=config(epochs=12), model=name)
    _, fusion = load_bundle(tmp_path / "run")
    valid = split(seed=1)
    given = valid.batch(torch.arange(32))
    with torch.no_grad():
        calibrated = fusion(given)
        temperature = fusion.head.temperature.item()
        fusion.head.temperature.fill_(1.0)
        raw = fusion(given)
    classes = given.labels.round().long() + 3
    surprise = [torch.nn.functional.cross_entropy(o.class_logits, classes) for o in (calibrated, raw)]
    assert temperature != 1
    assert surprise[0] < surprise[1]
    assert torch.equal(calibrated.sentiment, raw.sentiment)


def test_training_again_into_a_finished_run_replaces_the_bundle_and_nothing_else(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    train(data, out=tmp_path, config=config(epochs=1))
    train(data, out=tmp_path, config=config(epochs=1, seed=7))
    assert load_bundle(tmp_path)[0].seed == 7
    assert (data / "train.npz").is_file()


def test_what_the_test_split_holds_has_no_influence_on_training(tmp_path: Path):
    data = write_folder(tmp_path / "data")
    first = train(data, out=tmp_path / "a", config=config(epochs=2))
    with np.load(data / "test.npz") as file:
        arrays = dict(file)
    np.savez(data / "test.npz", **{name: -3 * values for name, values in arrays.items() if name != "labels"},
             labels=-arrays["labels"])  # fmt: skip
    other = train(data, out=tmp_path / "b", config=config(epochs=2))
    assert [*first.bundle.scores] == ["valid"]
    assert first.bundle.scores == other.bundle.scores
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_the_run_folder_says_how_the_model_came_about(tmp_path: Path):
    result = train(write_folder(tmp_path / "data"), out=tmp_path / "run", config=config(seed=3))
    record = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert record["seed"] == 3
    assert record["settings"]["train"]["lr"] == 1e-2
    assert record["settings"]["model"]["name"] == "concat"
    assert record["data"]["sha256"] == result.bundle.data["sha256"]
    assert record["data"]["split_sha256"] == result.bundle.data["split_sha256"]
    assert {"python", "torch"} <= {name.lower() for name in record["environment"]}
    read = read_predictions(tmp_path / "run/predictions-valid.csv")
    assert len(read) == 32
    assert float(np.abs(read.predicted - read.truth).mean()) == pytest.approx(result.bundle.scores["valid"].mae)


def test_a_file_where_the_bundle_should_go_is_refused_before_training(tmp_path: Path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file"):
        train(tmp_path / "no data needed", out=tmp_path / "taken", config=config())
