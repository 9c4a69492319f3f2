"""Every fusion model learns by the one loop, in every precision, from sequences of all lengths."""

import math

import pytest
import torch

from trisent.data.batching import Examples
from trisent.fusion.registry import FUSION_MODELS, build
from trisent.seeding import seeded
from trisent.training import fit, judge
from trisent.training.loop import Averages
from unit.training.test_training import DIMS, config
from unit.training.test_training_data import sequences_of


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", FUSION_MODELS)
def test_a_model_of_the_zoo_learns_and_judges(name: str, precision: str) -> None:
    data = sequences_of(48)
    train, valid = (Examples(data, data.index(split)) for split in ("train", "valid"))
    with seeded(0):
        network = build(name, {"dims": DIMS})
    history = fit(network, train, valid, config(epochs=4, lr=1e-3, precision=precision))
    assert all(math.isfinite(report.train_loss) for report in history.epochs)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    judged = judge(network, valid)
    assert judged.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"), [*((name, {}) for name in FUSION_MODELS), ("lf_dnn", {"encoder": "lstm"})]
)
def test_a_model_says_that_averages_are_enough_exactly_if_its_answers_stay_the_same(name: str, settings: dict) -> None:
    data = Examples(sequences_of(48))
    with seeded(0):
        network = build(name, {"dims": DIMS, **settings})
    said, of_averages = judge(network, data).sentiment, judge(network, data.averaged()).sentiment
    enough = isinstance(network, Averages) and network.averages
    assert enough == (abs(said - of_averages).max() < 1e-5)


def test_steps_are_averaged_once_for_a_model_that_looks_at_nothing_else() -> None:
    data = sequences_of(48)
    train, valid = (Examples(data, data.index(split)) for split in ("train", "valid"))
    weights = []
    for given in (train, train.averaged()):
        with seeded(0):
            network = build("lf_dnn", {"dims": DIMS})
        seen: list[int] = []
        network.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0].values["text"].shape[1]))
        fit(network, given, valid, config(epochs=2))
        assert set(seen) == {1}
        weights.append(network.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))
