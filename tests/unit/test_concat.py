"""The concat fusion model: any subset of modalities, masks, its loss, its scaler."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch, Output
from trisent.fusion.check import check_fusion
from trisent.fusion.concat import ConcatFusion
from trisent.fusion.registry import FusionModel, build
from trisent.seeding import seeded
from trisent.types import MODALITIES

DIMS = {"text": 6, "audio": 4, "video": 5}
SUBSETS = [s for size in range(4) for s in combinations(MODALITIES, size)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Widths of 16 gain nothing from threads, and lose much where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model(**settings: float) -> ConcatFusion:
    with seeded(0):
        return ConcatFusion(DIMS, **{"hidden": 16, **settings}).eval()


def batch(n: int = 5, steps: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(n)
    return Batch(
        {m: torch.randn(n, steps, dim, generator=generator) for m, dim in DIMS.items()},
        {m: torch.ones(n, steps, dtype=torch.bool) for m in DIMS},
        torch.linspace(-3, 3, n),
    )


@pytest.mark.parametrize("modalities", SUBSETS)
def test_every_subset_of_modalities_even_none_gives_a_sentiment(modalities: tuple):
    output = model()(batch().only(modalities))
    assert output.sentiment.shape == (5,)
    assert output.class_logits.shape == (5, 7)
    assert output.sentiment.isfinite().all()
    assert (output.sentiment.abs() <= 3).all()


def test_a_modality_left_out_of_the_batch_is_the_same_as_a_masked_one():
    whole = batch()
    less = Batch({"text": whole.values["text"]}, {"text": whole.masks["text"]})
    assert torch.equal(model()(less).class_logits, model()(whole.only(["text"])).class_logits)


def test_what_masked_steps_hold_has_no_influence():
    whole = batch()
    whole.masks["audio"][:, 1:] = False
    before = model()(whole).class_logits
    whole.values["audio"][:, 1:] = float("nan")
    assert torch.equal(model()(whole).class_logits, before)


def test_each_present_modality_changes_the_judgement():
    whole = batch()
    for m in MODALITIES:
        assert not torch.allclose(
            model()(whole).sentiment, model()(whole.only([x for x in MODALITIES if x != m])).sentiment
        )


def test_sentiment_is_the_expected_class_value():
    output = model()(batch())
    p = output.class_logits.double().softmax(dim=1)
    expected = sum(p[:, k] * (k - 3) for k in range(7))
    assert torch.allclose(output.sentiment.double(), expected, atol=1e-6)


def test_the_loss_rounds_halves_to_even_as_numpy_does():
    labels = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.0])
    output = Output(torch.zeros(7), torch.randn(7, 7, generator=torch.Generator().manual_seed(0)))
    classes = torch.from_numpy(np.round(labels.numpy()).astype(np.int64) + 3)
    expected = F.cross_entropy(output.class_logits, classes) + F.smooth_l1_loss(output.sentiment, labels)
    assert model().loss(output, Batch({}, {}, labels)).item() == pytest.approx(expected.item())


def test_the_loss_without_labels_is_refused():
    whole = batch()
    with pytest.raises(DataError, match="needs labels"):
        model().loss(model()(whole), Batch(whole.values, whole.masks))


def test_modality_dropout_hides_at_the_given_rate_but_never_all():
    fusion = model(modality_dropout=0.4)
    present = torch.ones(20_000, 3, dtype=torch.bool)
    present[:5_000, 1:] = False
    with seeded(1):
        kept = fusion._hide(present)
    assert kept.any(dim=1).all()
    assert kept[:5_000, 0].all()
    # All three would be hidden with 0.4 ** 3; then one is kept: a modality is hidden with 0.4 - 0.4 ** 3 / 3.
    assert (~kept[5_000:]).double().mean().item() == pytest.approx(0.4 - 0.4**3 / 3, abs=0.01)


def test_modality_dropout_invents_no_modality():
    with seeded(1):
        assert not model(modality_dropout=0.4)._hide(torch.zeros(10, 3, dtype=torch.bool)).any()


def test_the_scaler_agrees_with_sklearn_on_the_rows_that_are_there():
    fusion, whole = model(), batch(50, steps=1)
    whole.values["audio"][:, :, 2] = 7.0  # never varies
    whole.masks["audio"][:10] = False
    whole.values["audio"][:10] = float("nan")
    fusion.fit_scaler([whole])
    reference = StandardScaler().fit(whole.values["audio"][10:, 0].numpy().astype(np.float64))
    assert fusion.get_buffer("mean_audio").numpy() == pytest.approx(reference.mean_, abs=1e-5)
    assert fusion.get_buffer("std_audio").numpy() == pytest.approx(reference.scale_, abs=1e-5)


def test_the_scaler_makes_the_units_of_the_features_irrelevant():
    metres = batch(50, steps=1)
    feet = Batch({m: x * 3.28 + 5 for m, x in metres.values.items()}, metres.masks)
    a, b = model(), model()
    a.fit_scaler([metres])
    b.fit_scaler([feet])
    assert torch.allclose(a(metres).sentiment, b(feet).sentiment, atol=1e-4)


def test_config_and_state_rebuild_the_model():
    first = model(dropout=0.1)
    first.fit_scaler([batch()])
    second = build("concat", first.config)
    second.load_state_dict(first.state_dict(), strict=True)
    assert isinstance(second, FusionModel)
    assert torch.equal(first(batch()).class_logits, second.eval()(batch()).class_logits)


def test_features_of_another_width_are_refused():
    whole = batch()
    whole.values["text"] = whole.values["text"][..., :-1]
    with pytest.raises(DataError, match="text features are 5 wide, this fusion model takes 6"):
        model()(whole)


@pytest.mark.parametrize(
    "settings",
    [
        {"dims": {}},
        {"dims": {"smell": 3}},
        {"dims": {"text": 0}},
        {"hidden": 0},
        {"dropout": 1.0},
        {"modality_dropout": -0.1},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict):
    with pytest.raises(UsageError):
        ConcatFusion(**{"dims": DIMS, **settings})


def test_the_self_test_passes_and_leaves_the_random_state_alone():
    lines: list[str] = []
    before = torch.get_rng_state()
    check_fusion(lines.append)
    assert lines[-3:] == ["=" * 70, "所有测试通过!", "=" * 70]
    assert sum(line.startswith("[通过]") for line in lines) == 10
    assert torch.equal(torch.get_rng_state(), before)


def test_the_self_test_notices_a_model_that_reads_masked_steps(monkeypatch: pytest.MonkeyPatch):
    def leaky(self: Batch, modality: str) -> tuple:
        return self.values[modality].mean(dim=1), self.masks[modality].any(dim=1)

    monkeypatch.setattr(Batch, "pooled", leaky)
    with pytest.raises(Exception, match="masked steps have no influence"):
        check_fusion(lambda _: None)
