"""Heads and their calibration."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch, Output
from trisent.fusion.gated import GatedFusion
from trisent.fusion.outputs import HEADS, ClassHead, OrdinalHead, bounded, calibrate, make_head, ordinal_logits
from trisent.seeding import seeded

VALUES = torch.arange(-3.0, 4.0, dtype=torch.float64)


def head(name: str) -> nn.Module:
    with seeded(0):
        made = make_head(name, 5)
        for p in made.parameters():
            p.data += 0.3 * torch.randn_like(p)
    return made


def vectors(n: int = 50, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(n, 5, generator=torch.Generator().manual_seed(0))


def labelled(n: int = 50) -> Batch:
    return Batch({}, {}, torch.empty(n).uniform_(-3, 3, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_a_sentiment_in_range_and_class_logits_together_and_its_loss_reaches_every_parameter(name: str):
    made = head(name)
    output = made(vectors(scale=30.0))
    assert output.sentiment.shape == (50,)
    assert output.class_logits.shape == (50, 7)
    assert (output.sentiment.abs() <= 3).all()
    assert output.class_logits.isfinite().all()
    made.loss(output, labelled()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in made.parameters())


@pytest.mark.parametrize("name", HEADS)
def test_class_and_sentiment_agree_on_the_side(name: str):
    """The expected class value and the sentiment are at most half a class apart for a head fitted to labels."""
    made, x = head(name), vectors(200, scale=1.0)
    labels = Batch({}, {}, (x @ torch.tensor([1.0, -0.5, 0.3, 0.0, 0.7])).clamp(-3, 3))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.05)
    for _ in range(200):
        loss = made.loss(made(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    output = made(x)
    expected = output.class_logits.double().softmax(dim=1) @ VALUES
    assert (expected - output.sentiment).abs().mean() < 0.25
    assert (output.sentiment - labels.labels).abs().mean() < 0.4


@pytest.mark.parametrize("name", ["classes", "ordinal"])
def test_the_sentiment_is_the_expected_class_value(name: str):
    output = head(name)(vectors())
    assert torch.allclose(output.sentiment.double(), output.class_logits.double().softmax(dim=1) @ VALUES, atol=1e-5)


def test_the_probability_of_being_above_an_edge_never_grows_with_the_edge():
    made = OrdinalHead(5)
    made.gaps.data = torch.tensor([-30.0, 5.0, 0.0, -3.0, 2.0])
    assert (made.edges().diff() <= 0).all()
    assert (made(vectors()).class_logits.softmax(dim=1) >= 0).all()


def test_ordinal_classes_are_differences_of_sigmoids_even_where_those_are_nearly_one():
    above = torch.tensor([[40.0, 39.0, 38.5, 37.0, 36.0, 35.0], [3.0, 2.0, 0.5, -0.5, -2.0, -6.0]])
    got = ordinal_logits(above).double()
    edges = np.concatenate(
        [np.full((2, 1), np.inf), above.numpy().astype(np.float64), np.full((2, 1), -np.inf)], axis=1
    )
    # 1 - sigmoid(a) = sigmoid(-a): differences of those are exact where sigmoids are nearly 1.
    below = 1 / (1 + np.exp(edges))
    assert got.exp().numpy() == pytest.approx(np.diff(below, axis=1), rel=1e-5)
    assert got.exp().sum(dim=1).numpy() == pytest.approx(np.ones(2))


def test_the_ordinal_loss_is_corals():
    made, given = head("ordinal"), labelled()
    x = vectors()
    above = made.score(x) + made.edges()
    rounded = np.round(given.labels.numpy())
    truth = torch.tensor(rounded[:, None] > np.arange(-3, 3)[None], dtype=torch.float32)
    output = made(x)
    coral = F.binary_cross_entropy_with_logits(above, truth)
    expected = coral + F.smooth_l1_loss(output.sentiment, given.labels)
    assert made.loss(output, given).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_class_loss_leaves_the_sentiment_of_a_regression_head_alone():
    made, given = head("regression"), labelled()
    x = vectors(scale=0.3)
    made.loss(made(x), given).backward()
    only = head("regression")
    F.l1_loss(only(x).sentiment, given.labels).backward()
    assert torch.allclose(made.score.weight.grad, only.score.weight.grad)


def test_what_overshoots_is_cut_off_and_can_come_back():
    x = torch.tensor([-5.0, 0.5, 4.0], requires_grad=True)
    y = bounded(x)
    assert y.tolist() == [-3.0, 0.5, 3.0]
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


def test_an_unknown_head_and_a_loss_without_labels_are_refused():
    with pytest.raises(UsageError, match="head must be one of regression, classes"):
        make_head("tail", 5)
    made = head("classes")
    with pytest.raises(DataError, match="needs labels"):
        made.loss(made(vectors()), Batch({}, {}))


class Overconfident(nn.Module):
    """Says the truth's own logits, times `factor`."""

    def __init__(self, logits: Tensor, factor: float) -> None:
        super().__init__()
        self.head = ClassHead(7)
        with torch.no_grad():
            self.head.logits.weight.copy_(factor * torch.eye(7))
            self.head.logits.bias.zero_()
        self.logits = logits

    def forward(self, batch: Batch) -> Output:
        return self.head(batch.values["text"][:, 0])


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence(factor: float):
    draw = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(4000, 7, generator=draw)
    classes = torch.multinomial(logits.softmax(dim=1), 1, generator=draw).squeeze(1)
    model = Overconfident(logits, factor)
    batches = [
        Batch({"text": x.unsqueeze(1)}, {"text": torch.ones(len(x), 1, dtype=torch.bool)}, c.float() - 3)
        for x, c in zip(logits.split(1500), classes.split(1500), strict=True)
    ]
    before = [model(b) for b in batches]
    temperature = calibrate(model, batches)
    assert temperature == pytest.approx(factor, rel=0.1)
    found = minimize_scalar(
        lambda s: F.cross_entropy(factor * logits.double() / s, classes).item(), bounds=(0.05, 20), method="bounded"
    )
    assert temperature == pytest.approx(found.x, rel=1e-3)
    after = [model(b) for b in batches]
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a.sentiment, b.sentiment)
        assert torch.equal(a.class_logits.argmax(dim=1), b.class_logits.argmax(dim=1))
    assert calibrate(model, batches) == pytest.approx(temperature)


@pytest.mark.parametrize("name", HEADS)
def test_the_temperature_is_saved_with_the_model_and_makes_valid_more_likely(name: str):
    draw = torch.Generator().manual_seed(0)
    given = Batch(
        {"text": torch.randn(60, 1, 4, generator=draw)},
        {"text": torch.ones(60, 1, dtype=torch.bool)},
        labelled(60).labels,
    )
    with seeded(0):
        model = GatedFusion({"text": 4}, hidden=8, fused=8, head=name).eval()
        for p in model.head.parameters():
            p.data *= 4
    classes = (given.labels.round() + 3).long()
    before = F.cross_entropy(model(given).class_logits, classes)
    calibrate(model, [given])
    assert F.cross_entropy(model(given).class_logits, classes) < before
    again = GatedFusion(**model.config).eval()
    again.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(again(given).class_logits, model(given).class_logits)


def test_a_model_without_a_temperature_and_an_empty_validation_split_are_refused():
    with pytest.raises(UsageError, match="Linear has no temperature"):
        calibrate(torch.nn.Linear(4, 7), [labelled()])
    with pytest.raises(DataError, match="validation split has none"):
        calibrate(GatedFusion({"text": 4}, hidden=8), [])
