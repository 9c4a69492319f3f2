"""What changes do to batches, and that batching does not matter."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trisent.data.batching import Examples
from trisent.data.dataset import Dataset
from trisent.fusion.batch import Batch
from trisent.runs.changes import Change, ChangedExamples, add_noise, drop, keep_only, swap
from trisent.runs.exam import column_stds, presence


def rows(dataset: Dataset, change: Change, *, size: int) -> list[tuple[Tensor, Tensor]]:
    """Return what is visible of the text of every utterance, in batches of a size."""
    examples = ChangedExamples(dataset, np.arange(len(dataset)), cleaning=None, change=change)
    found = []
    for index in torch.split(torch.arange(len(dataset)), size):
        batch = examples.batch(index)
        found += [
            (batch.values["text"][i][batch.masks["text"][i]], batch.masks["text"][i].sum()) for i in range(len(index))
        ]
    return found


def whole(dataset: Dataset, change: Change) -> Batch:
    examples = ChangedExamples(dataset, np.arange(len(dataset)), cleaning=None, change=change)
    return examples.batch(torch.arange(len(dataset)))


def test_noise_and_dropping_do_not_depend_on_the_batches(dataset: Dataset) -> None:
    stds = column_stds(Examples(dataset))
    chances = {m: np.random.default_rng(1).random(len(dataset), np.float32) for m in dataset.features}
    for change in (add_noise(stds, level=0.5, seed=3), drop(chances, rate=0.4)):
        for (a, n), (b, k) in zip(rows(dataset, change, size=7), rows(dataset, change, size=60), strict=True):
            assert n == k
            assert torch.equal(a, b)


def test_noise_has_the_level_in_standard_deviations_of_each_column(dataset: Dataset) -> None:
    stds = column_stds(Examples(dataset))
    before = whole(dataset, keep_only(("text", "audio", "video")))
    after = whole(dataset, add_noise({"audio": stds["audio"]}, level=2.0, seed=0))
    mask = before.masks["audio"]
    added = (after.values["audio"] - before.values["audio"])[mask]
    assert added.std(dim=0) / stds["audio"] == pytest.approx(np.full(4, 2.0), rel=0.2)
    assert (after.values["audio"][~mask] == 0).all()
    assert torch.equal(after.values["text"], before.values["text"])


def test_the_columns_deviations_are_numpys_over_visible_steps(dataset: Dataset) -> None:
    found = column_stds(Examples(dataset))
    for m, sequences in dataset.features.items():
        assert found[m].numpy() == pytest.approx(sequences.values.std(axis=0), rel=1e-5)


def test_what_is_dropped_at_one_rate_is_dropped_at_every_higher_one_and_about_as_often_as_said(
    dataset: Dataset,
) -> None:
    chances = {m: np.random.default_rng(k).random(len(dataset), np.float32) for k, m in enumerate(dataset.features)}
    there = presence(Examples(dataset))["audio"]
    kept = [whole(dataset, drop(chances, rate=rate)).masks["audio"].any(dim=1).numpy() for rate in (0.2, 0.5, 0.9)]
    assert (kept[1] <= kept[0]).all()
    assert (kept[2] <= kept[1]).all()
    assert [1 - k.sum() / there.sum() for k in kept] == pytest.approx([0.2, 0.5, 0.9], abs=0.15)


def test_a_dropped_modality_is_masked_and_its_values_are_not_touched(dataset: Dataset) -> None:
    chances = {m: np.zeros(len(dataset), np.float32) for m in dataset.features}
    before, after = whole(dataset, keep_only(("text", "audio", "video"))), whole(dataset, drop(chances, rate=0.1))
    assert not any(mask.any() for mask in after.masks.values())
    assert all(torch.equal(before.values[m], after.values[m]) for m in before.values)


def test_a_swap_gives_each_utterance_the_steps_of_the_other(dataset: Dataset) -> None:
    order = np.random.default_rng(0).permutation(len(dataset))
    change = swap("text", order=order, source=Examples(dataset))
    for (got, _), i in zip(rows(dataset, change, size=9), order, strict=True):
        assert got.numpy() == pytest.approx(dataset.features["text"].of(i).values)


def test_presence_says_who_has_any_step(dataset: Dataset) -> None:
    found = presence(Examples(dataset))
    for m, sequences in dataset.features.items():
        assert (found[m] == (sequences.lengths > 0)).all()
