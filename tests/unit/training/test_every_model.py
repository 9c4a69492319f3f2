"""Every fusion model learns by the one loop, in every precision, from sequences of all lengths."""

import math

import pytest

from trisent.data.batching import Examples
from trisent.fusion.registry import FUSION_MODELS, build
from trisent.seeding import seeded
from trisent.training import fit, judge
from unit.training.test_training import DIMS, config
from unit.training.test_training_data import sequences_of


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", FUSION_MODELS)
def test_a_model_of_the_zoo_learns_and_judges(name: str, precision: str) -> None:
    data = sequences_of(48)
    train, valid = (Examples(data, data.index(split)) for split in ("train", "valid"))
    with seeded(0):
        network = build(name, {"dims": DIMS})
    history = fit(network, train, valid, config(epochs=2, lr=1e-3, precision=precision))
    assert all(math.isfinite(report.train_loss) for report in history.epochs)
    assert history.epochs[1].train_loss < history.epochs[0].train_loss
    judged = judge(network, valid)
    assert judged.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
