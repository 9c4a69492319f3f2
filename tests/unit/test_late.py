"""Late fusion and its heads: what precision, anchors and absent modalities do to a judgement."""

import numpy as np
import pytest
import torch

from trisent.fusion.batch import Batch, collate
from trisent.fusion.contributions import contributions
from trisent.fusion.fit_heads import (
    HeadConfig,
    calibrate_temperature,
    calibrate_variance,
    train_emotion,
    train_regression,
)
from trisent.fusion.heads import EmotionHead, RegressionHead
from trisent.fusion.late import LateFusion
from trisent.fusion.outputs import class_logits
from trisent.types import Features

PRIOR_MEAN, PRIOR_STD = 0.2, 1.1
VIDEO_TRUST = 0.3
EMOTIONS = {"emotions": ["bad", "good"], "anchors": [-1.5, 1.0], "spreads": [0.5, 0.8]}


def model() -> LateFusion:
    torch.manual_seed(0)
    small = {"hidden": 8, "members": 2}
    heads = {
        "text": {"kind": "regression", "pooling": "mean", "trust": 1.0, "dim": 6, **small},
        "audio": {"kind": "emotion", "pooling": "mean+std", "trust": 1.0, "dim": 10, **EMOTIONS, **small},
        "video": {"kind": "emotion", "pooling": "mean", "trust": VIDEO_TRUST, "dim": 4, **EMOTIONS, **small},
    }
    return LateFusion(heads=heads, prior_mean=PRIOR_MEAN, prior_std=PRIOR_STD).eval()


def batch(n: int = 3) -> Batch:
    values = {m: torch.randn(n, 7, d) for m, d in (("text", 6), ("audio", 5), ("video", 4))}
    return Batch(values, {m: torch.ones(n, 7, dtype=torch.bool) for m in values})


def test_the_whole_is_the_product_of_the_heads_to_the_power_of_their_trust_with_the_prior_once() -> None:
    fusion, three = model(), batch()
    with torch.inference_mode():
        output = fusion(three)
        said = {m: fusion.heads[m].estimate(fusion.rows(three, m)[0]) for m in fusion.dims}
    for i in range(3):
        # The same by hand: multiply densities on a fine grid and divide each by the prior.
        grid = np.linspace(-12, 12, 48_001)
        prior = -((grid - PRIOR_MEAN) ** 2) / (2 * PRIOR_STD**2)
        log = prior.copy()
        for m, estimate in said.items():
            mean, variance = float(estimate.mean[i]), min(float(estimate.variance[i]), PRIOR_STD**2)
            log += (VIDEO_TRUST if m == "video" else 1.0) * (-((grid - mean) ** 2) / (2 * variance) - prior)
        density = np.exp(log - log.max())
        assert output.sentiment[i].item() == pytest.approx((grid * density).sum() / density.sum(), abs=2e-3)


def test_a_trusted_modality_alone_gives_exactly_what_its_head_says() -> None:
    fusion, three = model(), batch()
    with torch.inference_mode():
        for m in ("text", "audio"):
            expected = fusion.heads[m].estimate(fusion.rows(three, m)[0]).mean
            torch.testing.assert_close(fusion(three.only((m,))).sentiment, expected)


def test_with_nothing_recorded_the_prior_answers() -> None:
    with torch.inference_mode():
        output = model()(batch().only(()))
    torch.testing.assert_close(output.sentiment, torch.full((3,), PRIOR_MEAN))


def test_masked_steps_and_absent_modalities_have_no_influence() -> None:
    fusion, three = model(), batch()
    three.masks["text"][0, 4:] = False
    three.masks["audio"][1] = False
    with torch.inference_mode():
        before = fusion(three).sentiment
        three.values["text"][0, 4:] = float("nan")
        three.values["audio"][1] = 1e6
        torch.testing.assert_close(fusion(three).sentiment, before)


def test_class_probabilities_are_the_normal_distribution_cut_at_the_half_numbers() -> None:
    p = class_logits(torch.tensor([0.4]), torch.tensor([0.7])).exp()[0]
    draws = np.random.default_rng(0).normal(0.4, 0.7, 1_000_000)
    draws = draws[np.abs(draws) < 3.5]
    expected = np.bincount(np.floor(draws + 3.5).astype(int), minlength=7) / len(draws)
    np.testing.assert_allclose(p, expected, atol=2e-3)


def test_the_most_probable_class_is_the_one_the_sentiment_lies_in() -> None:
    mean = torch.linspace(-3, 3, 61) + 1e-3
    classes = class_logits(mean, torch.full_like(mean, 1.5)).argmax(dim=1) - 3
    assert classes.tolist() == mean.round().clamp(-3, 3).int().tolist()


def test_an_emotion_says_the_mixture_of_its_sentiments() -> None:
    head = EmotionHead(dim=3, hidden=4, members=1, **EMOTIONS).eval()
    with torch.inference_mode():
        rows = torch.randn(2, 3)
        p, said = head.probabilities(rows), head.estimate(rows)
    draws = np.random.default_rng(0)
    for i in range(2):
        which = draws.random(200_000) < float(p[i, 0])
        drawn = np.where(which, draws.normal(-1.5, 0.5, 200_000), draws.normal(1.0, 0.8, 200_000))
        assert float(said.mean[i]) == pytest.approx(drawn.mean(), abs=0.02)
        assert float(said.variance[i]) == pytest.approx(drawn.var(), rel=0.02)


def test_contributions_sum_to_the_sentiment_and_equal_the_average_over_orders() -> None:
    fusion, three = model(), batch()
    found = contributions(fusion, three)
    total = sum(found.shapley.values()) + found.baseline
    torch.testing.assert_close(total, found.output.sentiment)
    # Shapley's definition: the mean gain over all six orders in which the modalities could arrive.
    orders = [("text", "audio", "video"), ("text", "video", "audio"), ("audio", "text", "video")]
    orders += [("audio", "video", "text"), ("video", "text", "audio"), ("video", "audio", "text")]
    with torch.inference_mode():
        gains = [
            fusion(three.only(o[: o.index("audio") + 1])).sentiment
            - fusion(three.only(o[: o.index("audio")])).sentiment
            for o in orders
        ]
    torch.testing.assert_close(found.shapley["audio"], torch.stack(gains).mean(dim=0))


def test_an_absent_modality_contributes_nothing() -> None:
    found = contributions(model(), batch().only(("text", "video")))
    torch.testing.assert_close(found.shapley["audio"], torch.zeros(3))


def test_collate_pads_short_utterances_and_masks_missing_ones() -> None:
    def features(steps: int) -> Features:
        return Features(np.full((steps, 4), 2.0, np.float32), np.zeros(steps, np.float32), np.ones(steps, np.bool_))

    padded = collate([{"video": features(3)}, {}, {"video": features(1)}], {"video": 4}, [1.0, 0.0, -1.0])
    assert padded.masks["video"].sum(dim=1).tolist() == [3, 0, 1]
    rows, present = padded.pooled("video")
    assert present.tolist() == [True, False, True]
    assert rows[:, 0].tolist() == [2.0, 0.0, 2.0]


def test_the_spread_of_steps_is_numpys_standard_deviation_of_the_visible_ones() -> None:
    three = batch()
    three.masks["audio"][2, 5:] = False
    np.testing.assert_allclose(three.spread("audio")[2], three.values["audio"][2, :5].numpy().std(axis=0), rtol=1e-5)


def test_a_regression_head_learns_where_it_is_unsure() -> None:
    torch.manual_seed(0)
    rows = torch.randn(2000, 2)
    noise = torch.where(rows[:, 1] > 0, 1.0, 0.1)
    labels = rows[:, 0] + noise * torch.randn(2000)
    head = RegressionHead(dim=2, hidden=32, members=2)
    train_regression(head, rows[:1500], labels[:1500], HeadConfig(epochs=40, batch_size=64, lr=1e-2))
    calibrate_variance(head, rows[1500:], labels[1500:])
    with torch.inference_mode():
        said = head.estimate(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
        held = head.estimate(rows[1500:])
    assert said.variance[0] > 8 * said.variance[1]
    assert float(((held.mean - labels[1500:]) ** 2 / held.variance).mean()) == pytest.approx(1.0, abs=1e-4)


def test_an_emotion_head_finds_rare_classes_and_a_temperature_lowers_surprise() -> None:
    torch.manual_seed(0)
    classes = (torch.rand(1000) < 0.1).long()
    rows = torch.randn(1000, 3) + 3 * classes.unsqueeze(1)
    head = EmotionHead(dim=3, hidden=16, members=2, **EMOTIONS)
    train_emotion(head, rows[:800], classes[:800], HeadConfig(epochs=20, batch_size=64, lr=1e-2))
    with torch.inference_mode():
        before = head.probabilities(rows[800:])
        assert (before.argmax(dim=1) == classes[800:]).float().mean() > 0.95
    calibrate_temperature(head, rows[800:], classes[800:])
    with torch.inference_mode():
        after = head.probabilities(rows[800:])
    nll = torch.nn.functional.nll_loss
    assert nll(after.log(), classes[800:]) <= nll(before.log(), classes[800:]) + 1e-6


def test_training_heads_twice_gives_the_same_weights() -> None:
    rows, labels = torch.randn(100, 3), torch.randn(100)
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        head = RegressionHead(dim=3, hidden=4, members=2, dropout=0.2)
        train_regression(head, rows, labels, HeadConfig(epochs=2, batch_size=32))
        states.append(head.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_features_as_huge_as_float32_allows_keep_a_finite_scale() -> None:
    rows = torch.randn(20, 4) * 1e37
    head = RegressionHead(dim=4, hidden=8, members=2)
    head.ensemble.fit_scale(rows)
    assert torch.allclose(head.ensemble.std.double(), rows.double().std(dim=0), rtol=1e-5)
    assert head.estimate(rows).mean.isfinite().all()


def test_a_head_that_is_never_wrong_on_valid_does_not_become_infinitely_sure() -> None:
    head, rows = RegressionHead(dim=4, hidden=8, members=2), torch.randn(20, 4)
    calibrate_variance(head, rows, head.estimate(rows).mean.detach())
    assert (head.estimate(rows).variance > 0).all()
