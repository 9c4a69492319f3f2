"""What holds for every fusion model that learns from features, whatever is inside."""

import json
from itertools import combinations, permutations

import pytest
import torch
from torch import Tensor, nn

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch
from trisent.fusion.registry import FUSION_MODELS, build
from trisent.seeding import seeded
from trisent.types import MODALITIES

DIMS = {"text": 6, "audio": 4, "video": 5}
STEPS = {"text": 3, "audio": 7, "video": 5}
SUBSETS = [s for size in range(4) for s in combinations(MODALITIES, size)]

# every model, tiny
ATTENTIVE = {"hidden": 16, "heads": 2, "layers": 1, "fused": 16}
SMALL: dict[str, tuple[str, dict]] = {
    "concat": ("concat", {"hidden": 16}),
    "gated": ("gated", {"hidden": 16, "heads": 2, "fused": 16}),
    "gated, layers": ("gated", {"hidden": 16, "heads": 2, "fused": 16, "layers": {"text": 3, "audio": 2}}),
    "late": ("late", {"hidden": 16, "members": 2}),
    "lf_dnn": ("lf_dnn", {"hidden": 16, "fused": 16}),
    "lf_dnn, lstm": ("lf_dnn", {"hidden": 16, "fused": 16, "encoder": "lstm"}),
    "ef_lstm": ("ef_lstm", {"hidden": 16, "fused": 16, "steps": 4}),
    "tfn": ("tfn", {"hidden": 8, "fused": 16}),
    "lmf": ("lmf", {"hidden": 16, "fused": 16}),
    "mfn": ("mfn", {"hidden": 16, "memory": 16, "fused": 16, "steps": 4}),
    "mult": ("mult", {**ATTENTIVE, "kernel": 3}),
    "misa": ("misa", {"hidden": 16, "fused": 16}),
    "self_mm": ("self_mm", {"hidden": 16, "warmup": 5}),
    "self_mm, lstm": ("self_mm", {"hidden": 16, "warmup": 5, "encoder": "lstm"}),
    "mag": ("mag", {**ATTENTIVE, "steps": 4}),
    "tetfn": ("tetfn", ATTENTIVE),
}
every_model = pytest.mark.parametrize("which", SMALL)


def model(which: str, **settings: object) -> nn.Module:
    name, small = SMALL[which]
    if name == "late":  # each of its heads sees one modality only: there is nothing to hide from it
        settings = {key: value for key, value in settings.items() if key != "modality_dropout" or value == -0.1}
    with seeded(0):
        return build(name, {"dims": DIMS, **small, **settings}).eval()


def batch(n: int = 8, steps: dict[str, int] = STEPS) -> Batch:
    """Make utterances of unequal lengths, some with unseen steps, some without a modality; their labels are noise."""
    draw = torch.Generator().manual_seed(n)
    values = {m: torch.randn(n, steps[m], DIMS[m], generator=draw) for m in DIMS}
    masks = {}
    for m, count in steps.items():
        length = torch.randint(1, count + 1, (n, 1), generator=draw)
        masks[m] = torch.arange(count) < length
        masks[m][:, 1::3] &= torch.rand(n, len(range(1, count, 3)), generator=draw) < 0.7
    masks["audio"][0] = False
    masks["video"][:2] = False
    masks["text"][2] = False
    labels = torch.empty(n).uniform_(-3, 3, generator=draw)
    return Batch({m: x.masked_fill(~masks[m].unsqueeze(2), 0.0) for m, x in values.items()}, masks, labels)


def answers(fusion: nn.Module, given: Batch) -> Tensor:
    """Put sentiment and class logits side by side: [n, 8]."""
    output = fusion(given)
    return torch.cat([output.sentiment.unsqueeze(1), output.class_logits], dim=1)


def test_every_model_of_the_registry_is_tested_here():
    assert {name for name, _ in SMALL.values()} == set(FUSION_MODELS)


@every_model
def test_thirty_two_utterances_are_learned_by_heart(which: str):
    given = batch(32)
    fusion = model(which, dropout=0.0, modality_dropout=0.0)
    fusion.fit_scaler([given])
    fusion.train()
    optimizer = torch.optim.Adam(fusion.parameters(), lr=1e-2)
    with seeded(0):
        for _ in range(250):
            loss = fusion.loss(fusion(given), given)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if (fusion(given).sentiment - given.labels).abs().mean() < 0.25:
                break
    said = fusion.eval()(given).sentiment
    assert (given.labels - given.labels.mean()).abs().mean() > 1.0
    assert (said - given.labels).abs().mean() < 0.3


@every_model
@pytest.mark.parametrize("filler", [1e6, float("nan"), float("inf")])
def test_what_masked_steps_and_absent_modalities_hold_has_no_influence(which: str, filler: float):
    fusion, given = model(which), batch()
    fusion.fit_scaler([given])
    filled = Batch(
        {m: x.masked_fill(~given.masks[m].unsqueeze(2), filler) for m, x in given.values.items()},
        given.masks,
        given.labels,
    )
    assert torch.equal(answers(fusion, filled), answers(fusion, given))
    again = model(which)
    again.fit_scaler([filled])
    assert torch.equal(answers(again, given), answers(fusion, given))


@every_model
def test_more_padding_changes_nothing(which: str):
    fusion, given = model(which), batch()
    longer = Batch(
        {m: torch.cat([x, torch.full_like(x[:, :2], 7.0)], dim=1) for m, x in given.values.items()},
        {m: torch.cat([mask, torch.zeros_like(mask[:, :2])], dim=1) for m, mask in given.masks.items()},
    )
    assert torch.allclose(answers(fusion, longer), answers(fusion, given), atol=1e-5)


@every_model
def test_permuting_the_batch_permutes_the_outputs(which: str):
    fusion, given = model(which), batch()
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    shuffled = Batch({m: x[order] for m, x in given.values.items()}, {m: x[order] for m, x in given.masks.items()})
    assert torch.allclose(answers(fusion, shuffled), answers(fusion, given)[order], atol=1e-5)


@every_model
def test_an_utterance_is_judged_the_same_alone_as_among_others(which: str):
    fusion, given = model(which), batch()
    together = answers(fusion, given)
    for i in range(len(given)):
        one = Batch({m: x[[i]] for m, x in given.values.items()}, {m: x[[i]] for m, x in given.masks.items()})
        assert torch.allclose(answers(fusion, one)[0], together[i], atol=1e-5)


@every_model
def test_config_as_json_and_state_rebuild_the_same_answers(which: str):
    given = batch()
    first = model(which, dropout=0.1, modality_dropout=0.1)
    first.fit_scaler([given])
    first.train()
    first.loss(first(given), given)
    first.eval()
    second = build(SMALL[which][0], json.loads(json.dumps(first.config)))
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(answers(second.eval(), given), answers(first, given))


@every_model
@pytest.mark.parametrize("order", [p for p in permutations(DIMS) if p != tuple(DIMS)][:2], ids=str)
def test_the_order_of_modalities_in_the_config_does_not_matter(which: str, order: tuple[str, ...]):
    one, other = model(which), model(which, dims={m: DIMS[m] for m in order})
    assert one.state_dict().keys() == other.state_dict().keys()
    assert torch.equal(answers(one, batch()), answers(other, batch()))


@every_model
@pytest.mark.parametrize("modalities", SUBSETS, ids=lambda s: "+".join(s) or "none")
def test_every_subset_of_modalities_even_none_can_be_judged_and_learned_from(which: str, modalities: tuple):
    fusion, given = model(which), batch().only(modalities)
    said = answers(fusion, given)
    assert said.shape == (8, 8)
    assert said.isfinite().all()
    assert (said[:, 0].abs() <= 3).all()
    left = Batch({m: given.values[m] for m in modalities}, {m: given.masks[m] for m in modalities}, given.labels)
    if modalities:
        assert torch.allclose(answers(fusion, left), said, atol=1e-6)
    fusion.train()
    with seeded(0):
        fusion.loss(fusion(given), given).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())


@every_model
@pytest.mark.parametrize("modalities", [s for s in SUBSETS if 0 < len(s) < 3], ids="+".join)
def test_a_model_can_be_built_for_fewer_modalities(which: str, modalities: tuple):
    layers = SMALL[which][1].get("layers")
    fewer = {"layers": {m: layers[m] for m in layers if m in modalities}} if isinstance(layers, dict) else {}
    fusion, given = model(which, dims={m: DIMS[m] for m in modalities}, **fewer), batch()
    assert torch.allclose(answers(fusion, given), answers(fusion, given.only(modalities)), atol=1e-6)
    fusion.train()
    with seeded(0):
        fusion.loss(fusion(given), given).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@every_model
def test_each_present_modality_changes_the_judgement(which: str):
    fusion, given = model(which), batch()
    whole = answers(fusion, given)
    for m in MODALITIES:
        without = answers(fusion, given.only([x for x in MODALITIES if x != m]))
        changed = (whole != without).any(dim=1)
        assert torch.equal(changed, given.masks[m].any(dim=1))


@every_model
@pytest.mark.parametrize("steps", [STEPS, dict.fromkeys(DIMS, 1)], ids=["sequences", "pooled"])
def test_every_parameter_learns_something_and_no_gradient_is_nan(which: str, steps: dict[str, int]):
    """DistributedDataParallel waits for the gradient of every parameter."""
    fusion, given = model(which, modality_dropout=0.0, dropout=0.0), batch(steps=steps)
    for m, x in given.values.items():
        x[~given.masks[m]] = float("nan")
    fusion.train()
    fusion.loss(fusion(given), given).backward()
    gradients = {name: p.grad for name, p in fusion.named_parameters()}
    assert [name for name, g in gradients.items() if g is None] == []
    assert [name for name, g in gradients.items() if not g.isfinite().all()] == []


@pytest.mark.parametrize("which", [w for w in SMALL if w != "late"])
def test_training_hides_modalities_at_random_and_judging_does_not(which: str):
    fusion = model(which, dropout=0.0, modality_dropout=0.5)
    given = batch()
    with seeded(1):
        assert torch.equal(answers(fusion, given), answers(fusion, given))
        fusion.train()
        assert not torch.equal(answers(fusion, given), answers(fusion, given))


@every_model
def test_the_units_of_the_features_do_not_matter_once_the_scaler_is_fitted(which: str):
    metres = batch(32)
    feet = Batch({m: x * 3.28 + 5 for m, x in metres.values.items()}, metres.masks, metres.labels)
    one, other = model(which), model(which)
    one.fit_scaler([metres])
    other.fit_scaler([feet])
    assert torch.allclose(answers(one, metres), answers(other, feet), atol=1e-3)


@every_model
def test_features_of_another_width_are_refused(which: str):
    given = batch()
    given.values["text"] = given.values["text"][..., :-1]
    with pytest.raises(DataError, match="text features are 5 wide, this fusion model takes 6"):
        model(which)(given)


@every_model
@pytest.mark.parametrize(
    "settings",
    [{"dims": {}}, {"dims": {"text": 0}}, {"hidden": 0}, {"dropout": 1.0}, {"modality_dropout": -0.1}, {"colour": 1}],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(which: str, settings: dict):
    with pytest.raises(UsageError):
        model(which, **settings)


@pytest.mark.parametrize(
    ("which", "settings"),
    [
        ("gated", {"layers": 3}),
        ("gated", {"layers": {"text": "three"}}),
        ("gated", {"layers": {"text": 0}}),
        ("gated", {"layers": {"txt": 3}}),
        ("misa", {"similarity": float("nan")}),
        ("misa", {"difference": -1.0}),
        ("mag", {"beta": float("inf")}),
        ("late", {"prior_mean": 0.0, "prior_std": -1.0}),
    ],
)
def test_numbers_of_one_model_alone_that_make_no_sense_are_refused(which: str, settings: dict):
    with pytest.raises(UsageError, match=next(reversed(settings))):
        model(which, **settings)


@every_model
def test_bfloat16_autocast_gives_answers_in_single_precision_close_to_the_exact_ones(which: str):
    fusion, given = model(which), batch()
    with torch.autocast("cpu", torch.bfloat16):
        rough = answers(fusion, given)
        loss = fusion.loss(fusion(given), given)
    assert rough.dtype == torch.float32
    assert loss.isfinite()
    assert torch.allclose(rough.float()[:, 0], answers(fusion, given)[:, 0], atol=0.1)


@pytest.mark.parametrize("which", [w for w in SMALL if w not in ("concat", "late")])
@pytest.mark.parametrize("head", ["classes", "ordinal", "ordinal+regression", "regression"])
def test_every_head_fits_every_model(which: str, head: str):
    fusion, given = model(which, head=head), batch()
    assert answers(fusion, given).isfinite().all()
    fusion.train()
    fusion.loss(fusion(given), given).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@every_model
def test_every_tensor_is_made_on_the_device_of_the_model(which: str):
    """The meta device stands for a GPU: it, too, refuses to compute with tensors of the CPU."""
    fusion, given = model(which).to("meta").train(), batch().to("meta")
    output = fusion(given)
    assert output.class_logits.device.type == "meta"
    assert fusion.loss(output, given).device.type == "meta"
    without = Batch({"text": given.values["text"]}, {"text": given.masks["text"]})
    assert fusion(without).sentiment.device.type == "meta"
