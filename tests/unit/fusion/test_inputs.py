"""What happens to features before a model: scaling, hiding, common steps."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from trisent.fusion.batch import Batch
from trisent.fusion.encoders import align, average, last, lengths, move_forward
from trisent.fusion.inputs import Inputs, Steps
from trisent.seeding import seeded


def batch(n: int = 40, steps: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(0)
    masks = {m: torch.rand(n, steps, generator=draw) < 0.6 for m in ("text", "audio")}
    masks["audio"][:5] = False
    values = {m: 3 * torch.randn(n, steps, 4, generator=draw) + 1 for m in masks}
    return Batch({m: x.masked_fill(~masks[m].unsqueeze(2), float("nan")) for m, x in values.items()}, masks)


def cut(whole: Batch, size: int) -> Iterator[Batch]:
    for start in range(0, len(whole), size):
        rows = slice(start, start + size)
        yield Batch({m: x[rows] for m, x in whole.values.items()}, {m: x[rows] for m, x in whole.masks.items()})


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_scaler_agrees_with_sklearn_on_what_is_visible_however_it_is_cut(pooled: bool, size: int):
    given = batch()
    module = Inputs({"text": 4, "audio": 4}, modality_dropout=0.0, pooled=pooled)
    module.fit_scaler(cut(given, size))
    for m in ("text", "audio"):
        x, mask = given.values[m].double().numpy(), given.masks[m].numpy()
        samples = [row[seen].mean(axis=0) for row, seen in zip(x, mask, strict=True) if seen.any()]
        reference = StandardScaler().fit(np.array(samples) if pooled else x[mask])
        assert module.get_buffer(f"mean_{m}").numpy() == pytest.approx(reference.mean_, rel=1e-6, abs=1e-7)
        assert module.get_buffer(f"std_{m}").numpy() == pytest.approx(reference.scale_, rel=1e-6)
        seen = module(given).values[m][module(given).masks[m]].double()
        assert seen.mean(dim=0).numpy() == pytest.approx(np.zeros(4), abs=1e-5)
        assert seen.std(dim=0, correction=0).numpy() == pytest.approx(np.ones(4), abs=1e-5)


def test_a_dimension_that_never_varies_and_a_modality_never_seen_keep_their_scale():
    given = batch()
    given.values["text"][..., 1] = 5.0
    given.masks["audio"][:] = False
    module = Inputs({"text": 4, "audio": 4, "video": 2}, modality_dropout=0.0)
    module.fit_scaler([given])
    assert module.get_buffer("std_text")[1] == 1
    assert module(given).values["text"][..., 1].abs().max() < 1e-6
    for m in ("audio", "video"):
        assert (module.get_buffer(f"mean_{m}") == 0).all()
        assert (module.get_buffer(f"std_{m}") == 1).all()


def test_hiding_in_training_keeps_something_of_what_was_there_and_hides_whole_modalities():
    given = batch(4000)
    module = Inputs({"text": 4, "audio": 4}, modality_dropout=0.3)
    with seeded(0):
        seen: Steps = module(given)
    for m, mask in seen.masks.items():
        rows_kept = mask.any(dim=1)
        assert torch.equal(mask[rows_kept], given.masks[m][rows_kept])
        assert (seen.values[m][~mask] == 0).all()
    had = given.masks["text"].any(dim=1), given.masks["audio"].any(dim=1)
    has = seen.present("text"), seen.present("audio")
    assert torch.equal(has[0] | has[1], had[0] | had[1])
    both = had[0] & had[1]
    # Both would be hidden with 0.3 ** 2; then one of them is kept.
    assert (~has[0][both]).double().mean().item() == pytest.approx(0.3 - 0.3**2 / 2, abs=0.03)


def test_visible_steps_move_to_the_front_in_their_order():
    x = torch.arange(5.0).view(1, 5, 1)
    mask = torch.tensor([[False, True, False, True, True]])
    moved, visible = move_forward(x, mask)
    assert moved[0, :3, 0].tolist() == [1, 3, 4]
    assert visible.tolist() == [[True, True, True, False, False]]


def test_length_last_and_average_look_at_visible_steps_only():
    x = torch.arange(10.0).view(2, 5, 1)
    mask = torch.tensor([[True, False, True, False, False], [False] * 5])
    assert lengths(mask).tolist() == [3, 0]
    assert last(x, mask).tolist() == [[2], [0]]
    assert average(x, mask).tolist() == [[1], [0]]


@pytest.mark.parametrize(("long", "short"), [(12, 5), (4, 3), (5, 1), (1, 1)])
def test_common_steps_are_those_of_adaptive_pooling(long: int, short: int):
    draw = torch.Generator().manual_seed(0)
    values = {"text": torch.randn(2, short, 3, generator=draw), "audio": torch.randn(2, long, 2, generator=draw)}
    masks = {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in values.items()}
    aligned = align(Steps(values, masks), 4)
    own = min(4, long)
    assert aligned.steps.shape == (2, own)
    assert aligned.steps.all()
    for m, x in values.items():
        expected = F.adaptive_avg_pool1d(x.transpose(1, 2), own).transpose(1, 2)
        assert torch.allclose(aligned.values[m], expected, atol=1e-6)


def test_common_steps_follow_each_utterances_own_length_and_leave_gaps_where_nothing_is_seen():
    x = torch.arange(1.0, 9.0).view(1, 8, 1).repeat(2, 1, 1)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[0, 2:4] = False
    mask[1, 2:] = False  # padding: this utterance has two steps
    aligned = align(Steps({"text": x * mask.unsqueeze(2)}, {"text": mask}), 4)
    assert aligned.values["text"][..., 0].tolist() == [[1.5, 0, 5.5, 7.5], [1, 2, 0, 0]]
    assert aligned.masks["text"].tolist() == [[True, False, True, True], [True, True, False, False]]
    assert aligned.steps.tolist() == [[True] * 4, [True, True, False, False]]
