"""How weights move: the learning rate of each step, clipping, the moving average, precision."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from trisent import training
from trisent.training import fit
from trisent.training.learner import Learner
from trisent.training.machine import make_accelerator
from trisent.training.resume import CHECKPOINT, load_checkpoint
from trisent.training.schedule import rate_share
from unit.training.test_training import config, model, same, split

SOURCE = Path(training.__file__).parents[2]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_rises_to_its_highest_and_falls_as_the_schedule_says(schedule: str) -> None:
    shares = [rate_share(i, steps=100, warmup=0.1, schedule=schedule) for i in range(100)]
    assert shares[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    middle = {"constant": 1.0, "linear": 0.5, "cosine": 0.5}[schedule]
    assert shares[55] == pytest.approx(middle)
    quarter = {"constant": 1.0, "linear": 2 / 3, "cosine": (1 + math.cos(math.pi / 3)) / 2}[schedule]
    assert shares[40] == pytest.approx(quarter)
    assert max(shares) == 1.0


def learner_of(**settings: object) -> tuple[torch.nn.Module, Learner]:
    wanted = config(precision="fp32", **settings)
    network = model(dropout=0.0, modality_dropout=0.0).train()
    return network, Learner(network, wanted, accelerator=make_accelerator(wanted), steps=10)


def test_a_gradient_longer_than_the_limit_is_shortened_to_it_and_others_stay() -> None:
    lengths = {}
    for clip in (0.0, 0.01):
        network, learner = learner_of(clip=clip, lr=1e-4)
        batch = split().batch(torch.arange(32))
        before = [p.detach().clone() for p in network.parameters()]
        learner.learn(batch)
        # The first moment of AdamW after one step is a tenth of the gradient it was given.
        moments = [state["exp_avg"] for state in learner.optimizer.state.values()]
        lengths[clip] = 10 * math.sqrt(sum(float((m**2).sum()) for m in moments))
        assert any((p != was).any() for p, was in zip(network.parameters(), before, strict=True))
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-3)
    assert lengths[0.0] > 0.1


def test_the_moving_average_is_that_of_the_weights_after_each_step() -> None:
    network, learner = learner_of(ema=0.5)
    batch = split().batch(torch.arange(32))
    expected = [p.detach().clone() for p in network.parameters()]
    for step in range(1, 9):
        learner.learn(batch)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * e + (1 - decay) * p.detach() for e, p in zip(expected, network.parameters(), strict=True)]
    now = [p.detach().clone() for p in network.parameters()]
    with learner.averaged():
        for p, e in zip(network.parameters(), expected, strict=True):
            torch.testing.assert_close(p.detach(), e)
    assert all(torch.equal(p.detach(), was) for p, was in zip(network.parameters(), now, strict=True))


def test_bf16_learns_what_fp32_learns_but_for_rounding() -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        fusion = model(dropout=0.0, modality_dropout=0.0)
        history = fit(fusion, split(), split(seed=1), config(precision=precision))
        losses[precision] = history.epochs[-1].train_loss
        assert all(p.dtype == torch.float32 for p in fusion.parameters())
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
    assert losses["bf16"] != losses["fp32"]


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{source!r}, {here!r}]
from test_training import config, fit, model, split
from trisent.training import learner
steps, learn = [0], learner.Learner.learn
def dying(self, batch, **named):
    steps[0] += 1
    if steps[0] == 4 * 3 + 3:  # in the middle of the fourth epoch of four steps
        os.kill(os.getpid(), signal.SIGKILL)
    return learn(self, batch, **named)
learner.Learner.learn = dying
settings = config(schedule="cosine", warmup=0.2, ema=0.9, clip=0.5)
fit(model(), split(), split(seed=1), settings, run_folder=Path({folder!r}))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_in_the_middle_of_an_epoch_ends_with_the_same_bits_whatever_the_schedule(tmp_path: Path) -> None:
    script = _KILLED.format(source=str(SOURCE), here=str(Path(__file__).parent), folder=str(tmp_path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    settings = config(schedule="cosine", warmup=0.2, ema=0.9, clip=0.5)
    resumed, whole = model(), model()
    history = fit(resumed, split(), split(seed=1), settings, run_folder=tmp_path)
    expected = fit(whole, split(), split(seed=1), settings)
    assert history.resumed_after == 3
    assert history.to_json() == expected.to_json()
    assert same(resumed, whole)


def test_what_a_checkpoint_holds_comes_back_where_torch_lets_tensors_begin(tmp_path: Path) -> None:
    """Matrix products of tensors that begin elsewhere may differ in their last bit, and a resumed run with them."""
    settings = config(epochs=2, ema=0.9)
    fit(model(), split(), split(seed=1), settings, run_folder=tmp_path)
    with safe_open(tmp_path / CHECKPOINT, framework="pt") as file:
        digest = file.metadata()["settings"]
    found = load_checkpoint(tmp_path, settings=digest)
    assert found is not None
    tensors = [*found.model.values(), *found.best.values(), *found.optimizer.values(), *found.average]
    assert len(tensors) > 40
    assert all(x.data_ptr() % 64 == 0 for x in tensors)
