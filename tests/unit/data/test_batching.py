"""Batches against a plain loop over utterances, and the order they come in."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trisent.data.batching import Examples, batches
from trisent.data.cleaning import FINITE, CleaningOptions, fit_cleaning
from trisent.data.dataset import Dataset, Sequences, sequences
from trisent.errors import DataError
from trisent.fusion.batch import Batch, collate
from trisent.types import Features

DIMS = {"text": 5, "audio": 3}


def ragged(n: int = 40, *, longest: int = 9, seed: int = 0) -> tuple[Dataset, list[dict[str, Features]]]:
    """Make utterances of 0 to `longest` steps, some steps not seen; return them as lists too."""
    random = np.random.default_rng(seed)
    utterances = []
    for _ in range(n):
        one = {}
        for m, dim in DIMS.items():
            steps = int(random.integers(0, longest + 1))
            mask = random.random(steps) < 0.8
            values = np.where(mask[:, None], random.standard_normal((steps, dim)), 0).astype(np.float32)
            one[m] = Features(values, np.arange(steps, dtype=np.float32), mask)
        utterances.append(one)
    features = {m: sequences([u[m] for u in utterances], dim) for m, dim in DIMS.items()}
    labels = {"sentiment": random.uniform(-3, 3, n).astype(np.float32)}
    splits = tuple(("train", "train", "valid", "test")[i % 4] for i in range(n))
    return Dataset("ragged", "", tuple(f"u{i}" for i in range(n)), splits, labels, features), utterances


def same(one: Batch, other: Batch) -> bool:
    assert one.labels is not None
    assert other.labels is not None
    return torch.equal(one.labels, other.labels) and all(
        torch.equal(one.values[m], other.values[m]) and torch.equal(one.masks[m], other.masks[m]) for m in DIMS
    )


@pytest.mark.parametrize("index", [[0, 1, 2], [17], [39, 3, 3, 0], list(range(40))])
def test_a_batch_is_what_a_loop_over_its_utterances_gives(index: list[int]):
    data, utterances = ragged()
    expected = collate([utterances[i] for i in index], DIMS, data.sentiment[index].tolist())
    assert same(Examples(data).batch(torch.tensor(index)), expected)


def test_a_split_is_batched_by_its_own_numbers():
    data, utterances = ragged()
    valid = Examples(data, data.index("valid"))
    expected = collate([utterances[i] for i in (38, 2)], DIMS, data.sentiment[[38, 2]].tolist())
    assert same(valid.batch(torch.tensor([9, 0])), expected)
    assert len(valid) == 10


def test_a_batch_in_which_nobody_has_a_modality_has_one_masked_step():
    data, utterances = ragged(200, longest=3)
    silent = [i for i, u in enumerate(utterances) if not len(u["audio"].values)][:3]
    batch = Examples(data).batch(torch.tensor(silent))
    assert batch.values["audio"].shape == (3, 1, 3)
    assert not batch.masks["audio"].any()


def test_averages_are_those_of_each_utterance_alone_and_what_nobody_saw_stays_hidden():
    data, _ = ragged()
    valid = data.index("valid")
    text = data.features["text"]
    broken = valid[np.argmax(text.lengths[valid])]
    text.values[text.offsets[broken]] = np.nan
    averaged = Examples(data, valid, cleaning=fit_cleaning(data, FINITE)).averaged()
    batch = averaged.batch(torch.arange(10).flip(0))
    for m, dim in DIMS.items():
        assert batch.values[m].shape == (10, 1, dim)
        for row, i in enumerate(valid[::-1]):
            own = data.features[m].of(int(i))
            seen = own.mask & np.isfinite(own.values).all(axis=1)
            mean = Features(own.values, own.times, seen).pooled()
            assert bool(batch.masks[m][row, 0]) == (mean is not None)
            np.testing.assert_allclose(batch.values[m][row, 0], np.zeros(dim) if mean is None else mean, atol=1e-6)
    assert batch.labels is not None
    assert batch.labels.tolist() == data.sentiment[valid[::-1]].tolist()
    assert averaged.averaged() is averaged


def test_mapped_half_precision_features_give_the_same_batch_as_those_in_memory(tmp_path: Path):
    data, _ = ragged()
    in_memory = {
        m: Sequences(s.values.astype(np.float16), s.offsets, s.times, s.mask) for m, s in data.features.items()
    }
    mapped = {}
    for m, s in in_memory.items():
        s.values.tofile(tmp_path / m)
        values = np.memmap(tmp_path / m, np.float16, "r", shape=s.values.shape)
        mapped[m] = Sequences(values, s.offsets, s.times, s.mask)
    parts = {"name": "d", "format": "", "ids": data.ids, "splits": data.splits, "labels": data.labels}
    one, other = Examples(Dataset(**parts, features=in_memory)), Examples(Dataset(**parts, features=mapped))
    index = torch.tensor([5, 0, 33])
    assert same(one.batch(index), other.batch(index))
    assert one.batch(index).values["text"].dtype == torch.float32
    assert one.digest() == other.digest()


def test_a_batch_goes_through_the_cleaning_and_what_is_masked_is_zero():
    data, _ = ragged(300)
    steps = int(data.features["text"].offsets[7])
    data.features["text"].values[steps] = np.nan
    cleaning = fit_cleaning(data, CleaningOptions())
    cleaned = [{m: cleaning.apply_features(data.features[m].of(i), m) for m in DIMS} for i in range(300)]
    for u in cleaned:
        for f in u.values():
            f.values[~f.mask] = 0
    batch = Examples(data, cleaning=cleaning).batch(torch.arange(300))
    assert same(batch, collate(cleaned, DIMS, data.sentiment.tolist()))
    assert torch.isfinite(batch.values["text"]).all()


def test_a_copy_on_a_device_gives_the_same_batches_clean_and_of_its_own_utterances():
    data, _ = ragged(60)
    data.features["text"].values[3] = np.nan
    for cleaning in (None, fit_cleaning(data, CleaningOptions())):
        ours = Examples(data, np.arange(59, 9, -2), cleaning=cleaning)
        copied = ours.on(torch.device("cpu"))
        for index in (torch.tensor([4, 0, 24]), torch.arange(25)):
            a, b = ours.batch(index), copied.batch(index)
            for m in DIMS:
                assert torch.equal(a.values[m], b.values[m])
                assert torch.equal(a.masks[m], b.masks[m])
            assert torch.equal(a.labels, b.labels)


def test_utterances_that_are_bad_are_masked_each_time_they_are_taken_and_their_neighbours_never():
    data, _ = ragged(20)
    steps = data.features["audio"]
    bad = next(i for i in range(20) if steps.lengths[i] > 1 and steps.mask[steps.offsets[i]])
    steps.values[steps.offsets[bad]] = np.inf
    examples = Examples(data)
    for _ in range(2):
        batch = examples.batch(torch.arange(20))
        assert not batch.masks["audio"][bad, 0]
        assert torch.isfinite(batch.values["audio"]).all()
        shown = [int(m.sum()) for m in batch.masks["audio"]]
        assert shown == [int(steps.of(i).mask.sum()) - (i == bad) for i in range(20)]


def test_utterances_without_sentiment_are_refused_by_name():
    data, _ = ragged()
    data.labels["sentiment"][[3, 8]] = np.nan
    with pytest.raises(DataError, match=r"2 of 40 utterances have no sentiment, first u3, u8.*trisent data audit"):
        Examples(data)
    Examples(data, np.array([0, 1, 2]))


def test_nothing_to_learn_from_is_refused():
    data, _ = ragged()
    with pytest.raises(DataError, match="no utterances"):
        Examples(data, np.array([], np.int64))
    with pytest.raises(DataError, match="no features"):
        Examples(Dataset("d", "", ("a",), ("",), {"sentiment": np.zeros(1, np.float32)}, {}))


def test_the_digest_tells_other_values_labels_masks_and_orders_apart():
    def digest(change: str) -> str:
        data, _ = ragged()
        index = np.arange(40)
        match change:
            case "value":
                data.features["audio"].values[-1, -1] += 1
            case "label":
                data.labels["sentiment"][0] += 0.1
            case "mask":
                data.features["text"].mask[0] ^= True
            case "order":
                index = index[::-1]
        return Examples(data, index).digest()

    digests = [digest(change) for change in ("", "value", "label", "mask", "order")]
    assert len(set(digests)) == 5
    assert digest("") == digests[0]


def drawn(lengths: list[int], size: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [b.tolist() for b in batches(np.array(lengths), size, generator=generator)]


def test_every_utterance_comes_once_and_batches_have_the_size_asked_for():
    lengths = np.random.default_rng(0).integers(1, 200, 1003).tolist()
    found = drawn(lengths, 16)
    assert sorted(i for b in found for i in b) == list(range(1003))
    assert sorted(map(len, found))[1:] == [16] * 62
    assert found == drawn(lengths, 16)
    assert found != drawn(lengths, 16, seed=1)


@pytest.mark.parametrize("lengths", [[4] * 33, [*range(1, 34)]], ids=["equal lengths", "other lengths"])
def test_no_batch_is_a_single_utterance_where_there_are_several(lengths: list[int]):
    found = drawn(lengths, 8)
    assert sorted(i for b in found for i in b) == [*range(33)]
    assert sorted(map(len, found)) == [2, 7, 8, 8, 8]
    assert [len(b) for b in drawn(lengths[:1], 8)] == [1]
    assert {len(b) for b in drawn(lengths, 1)} == {1}


def test_utterances_of_a_batch_are_of_much_the_same_length():
    lengths = np.random.default_rng(0).integers(1, 500, 2000)

    def padding(found: list[list[int]]) -> float:
        return 1 - lengths.sum() / sum(int(lengths[b].max()) * len(b) for b in found)

    at_random = torch.randperm(2000, generator=torch.Generator().manual_seed(0)).split(32)
    assert padding([b.tolist() for b in at_random]) > 0.4
    assert padding(drawn(lengths.tolist(), 32)) < 0.1


def test_short_batches_do_not_come_first():
    lengths = np.arange(1000)
    means = [lengths[b].mean() for b in drawn(lengths.tolist(), 10)]
    assert abs(np.corrcoef(means, np.arange(100))[0, 1]) < 0.5


def test_of_equal_lengths_the_order_is_torchs_own():
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    assert drawn([4] * 50, 8, seed=3) == [b.tolist() for b in torch.split(order, 8)]


def test_long_utterances_are_passed_in_smaller_batches():
    data, _ = ragged(30, longest=4)
    assert [len(p) for p in Examples(data).passes(8)] == [8, 8, 8, 6]
    s = Sequences(
        np.zeros((60_000, 1), np.float32),
        np.array([0, 30_000, 60_000]),
        np.zeros(60_000, np.float32),
        np.ones(60_000, np.bool_),
    )
    long = Dataset("d", "", ("a", "b"), ("", ""), {"sentiment": np.zeros(2, np.float32)}, {"audio": s})
    assert [len(p) for p in Examples(long).passes(1024)] == [1, 1]


def test_a_batch_costs_no_python_an_utterance():
    """Count the calls of functions: as many for 8 utterances as for 200."""
    data, _ = ragged(200)
    examples = Examples(data)

    def calls(n: int) -> int:
        count = 0

        def profile(frame: object, event: str, argument: object) -> None:  # noqa: ARG001
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        try:
            examples.batch(torch.arange(n))
        finally:
            sys.setprofile(None)
        return count

    calls(200)  # the first time, it is looked for what is not finite
    assert calls(200) == calls(8)
