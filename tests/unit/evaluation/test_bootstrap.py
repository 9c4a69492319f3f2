"""Intervals against plain resampling loops, known symmetries, and the share of truths they cover."""

import numpy as np
import pytest

from trisent.errors import UsageError
from trisent.evaluation import bootstrap
from trisent.evaluation.bootstrap import Resampling, differences, intervals, mean_intervals
from trisent.evaluation.figures import FIGURES
from trisent.evaluation.predictions import Predictions, predictions_of

SOME = [FIGURES[key] for key in ("mae", "corr", "ccc", "acc7_round", "acc2_non0", "f1_has0")]


def clustered(seed: int, *, videos: int = 60, shared: float = 0.6) -> Predictions:
    """Make utterances whose errors have a part that all of their video share."""
    random = np.random.default_rng(seed)
    video = np.repeat(np.arange(videos), random.integers(1, 12, videos))
    y = np.round(random.normal(0, 1, len(video)) * 3) / 3
    error = shared * random.normal(0, 1, videos)[video] + 0.5 * random.normal(0, 1, len(video))
    return predictions_of(y + error, y, videos=[str(v) for v in video])


def test_the_intervals_are_those_of_a_loop_that_copies_whole_videos() -> None:
    predictions, random = clustered(1), np.random.default_rng(99)
    names = np.array(predictions.videos)
    rows = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    drawn: dict[str, list[float]] = {figure.key: [] for figure in SOME}
    for _ in range(1500):
        take = np.concatenate([rows[name] for name in random.choice(list(rows), len(rows))])
        again = predictions_of(predictions.predicted[take], predictions.truth[take])
        for figure in SOME:
            drawn[figure.key].append(figure.of(again)[0])
    got = intervals(predictions, SOME, resampling=Resampling(4000, seed=1))
    for key, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert got[key].low == pytest.approx(low, abs=0.15 * (high - low)), key
        assert got[key].high == pytest.approx(high, abs=0.15 * (high - low)), key


def test_copies_of_an_utterance_in_its_own_video_bring_no_certainty() -> None:
    once = clustered(2)
    assert once.videos is not None
    thrice = predictions_of(np.tile(once.predicted, 3), np.tile(once.truth, 3), videos=once.videos * 3)
    got = [intervals(p, SOME, resampling=Resampling(300)) for p in (once, thrice)]
    for figure in SOME:
        assert got[1][figure.key].low == pytest.approx(got[0][figure.key].low, abs=1e-9)
        assert got[1][figure.key].high == pytest.approx(got[0][figure.key].high, abs=1e-9)


def test_a_seed_gives_the_same_interval_however_the_work_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = clustered(3)
    whole = intervals(predictions, SOME, resampling=Resampling(500, seed=5))
    other = intervals(predictions, SOME, resampling=Resampling(500, seed=6))
    monkeypatch.setattr(bootstrap, "_CELLS", 700)
    told: list[int] = []
    cut = intervals(
        predictions, SOME, resampling=Resampling(500, seed=5), on_progress=lambda _w, done, _t: told.append(done)
    )
    assert told[-1] == 500
    assert len(told) > 10
    assert whole["mae"] != other["mae"]
    for figure in SOME:
        assert cut[figure.key].low == pytest.approx(whole[figure.key].low, abs=1e-12)


def test_95_percent_intervals_cover_the_truth_about_95_times_in_100_and_utterances_alone_do_not() -> None:
    mae = [FIGURES["mae"]]
    spread = np.hypot(0.6, 0.5)
    truth = spread * np.sqrt(2 / np.pi)  # of a normal error, the mean absolute value
    by_video = by_utterance = 0
    for seed in range(300):
        predictions = clustered(1000 + seed)
        alone = predictions_of(predictions.predicted, predictions.truth)
        found = [intervals(p, mae, resampling=Resampling(400, seed))["mae"] for p in (predictions, alone)]
        by_video += found[0].low <= truth <= found[0].high
        by_utterance += found[1].low <= truth <= found[1].high
    assert 0.90 <= by_video / 300 <= 0.98
    assert by_utterance / 300 < 0.87


def test_two_equal_models_are_told_apart_one_time_in_twenty() -> None:
    mae, told_apart = [FIGURES["mae"]], 0
    for seed in range(200):
        first = clustered(seed)
        assert first.videos is not None
        random = np.random.default_rng(10_000 + seed)
        noise = [random.normal(0, 0.4, len(first)) for _ in range(2)]
        a, b = (predictions_of(first.predicted + n, first.truth, videos=first.videos) for n in noise)
        told_apart += differences([a], [b], figures=mae, resampling=Resampling(400, seed))["mae"].p < 0.05
    assert 2 <= told_apart <= 20


def test_a_paired_difference_is_surer_than_the_two_intervals() -> None:
    a = clustered(4)
    b = predictions_of(a.predicted * 1.05 + 0.02, a.truth, videos=a.videos)
    mae, draw = [FIGURES["mae"]], Resampling(500)
    paired = differences([a], [b], figures=mae, resampling=draw)["mae"]
    alone = intervals(a, mae, resampling=draw)["mae"]
    assert paired.value == pytest.approx(mae[0].of(b)[0] - mae[0].of(a)[0])
    assert paired.interval.high - paired.interval.low < 0.3 * (alone.high - alone.low)


def test_a_run_against_itself_differs_by_nothing() -> None:
    found = differences([clustered(5)], [clustered(5)], figures=SOME, resampling=Resampling(200))
    for difference in found.values():
        assert (difference.value, difference.interval.low, difference.interval.high, difference.p) == (0, 0, 0, 1)


def test_seeds_that_disagree_widen_the_interval() -> None:
    base = clustered(6)
    shifted = [predictions_of(base.predicted + s, base.truth, videos=base.videos) for s in (-0.8, 0.0, 0.8)]
    mae, draw = [FIGURES["mae"]], Resampling(500)
    many = differences([base], shifted, figures=mae, resampling=draw)["mae"]
    one = differences([base], shifted[:1], figures=mae, resampling=draw)["mae"]
    assert many.value == pytest.approx(np.mean([mae[0].of(s)[0] for s in shifted]) - mae[0].of(base)[0])
    assert many.interval.high - many.interval.low > one.interval.high - one.interval.low


def test_what_no_resample_defines_has_no_interval() -> None:
    neutral = predictions_of([0.1, 0.2, 0.3], [0.0, 0.0, 0.0])
    found = intervals(neutral, [FIGURES["acc2_non0"], FIGURES["corr"]], resampling=Resampling(100))
    assert [i.to_json() for i in found.values()] == [[None, None]] * 2


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 100"):
        Resampling(99)


def test_intervals_over_one_seed_are_those_of_its_predictions() -> None:
    one, resampling = clustered(5), Resampling(500, seed=2)
    assert mean_intervals([one], SOME, resampling=resampling) == intervals(one, SOME, resampling=resampling)


def test_intervals_over_seeds_are_those_of_a_loop_that_draws_seeds_and_videos() -> None:
    first = clustered(6)
    assert first.videos is not None
    random = np.random.default_rng(7)
    seeds = [
        predictions_of(first.truth + random.normal(bias, 0.5, len(first)), first.truth, videos=first.videos)
        for bias in (0.0, 0.4, 0.9)
    ]
    names = np.array(first.videos)
    rows = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    errors = [np.abs(seed.predicted - seed.truth) for seed in seeds]
    wider = np.sqrt(3 / 2) * 4.3027 / 1.9600  # Student's table, two degrees of freedom
    drawn = []
    for _ in range(3000):
        take = np.concatenate([rows[name] for name in random.choice(list(rows), len(rows))])
        mean = np.mean([one[take].mean() for one in errors])
        drawn.append(mean + wider * np.mean([errors[k][take].mean() - mean for k in random.integers(3, size=3)]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    got = mean_intervals(seeds, [FIGURES["mae"]], resampling=Resampling(4000))["mae"]
    assert got.low == pytest.approx(low, abs=0.1 * (high - low))
    assert got.high == pytest.approx(high, abs=0.1 * (high - low))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_an_interval_over_few_seeds_holds_what_many_would_give(count: int) -> None:
    truth, videos, held = np.linspace(-3, 3, 10), [f"v{i}" for i in range(10)], 0
    for trial in range(200):
        biases = np.random.default_rng([30_000, trial]).normal(1, 0.2, count)  # an MAE of 1 on average
        seeds = [predictions_of(truth + bias, truth, videos=videos) for bias in biases]
        found = mean_intervals(seeds, [FIGURES["mae"]], resampling=Resampling(200, trial))["mae"]
        held += found.low <= 1 <= found.high
    assert held >= 175  # without the widening it is 97, 140 and 159


def test_an_interval_stays_within_what_the_figure_can_be() -> None:
    truth = np.array([-2.0, -1.0, 1.0, 2.0])
    seeds = [predictions_of(truth + bias, truth, videos=list("abcd")) for bias in (0.0, 1.5)]
    found = mean_intervals(seeds, [FIGURES[key] for key in ("mae", "acc2_non0")], resampling=Resampling(200))
    assert found["mae"].low == 0
    assert found["acc2_non0"].high == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_runs_that_differ_by_their_seeds_alone_are_told_apart_one_time_in_twenty(count: int) -> None:
    mae, told_apart = [FIGURES["mae"]], 0
    for trial in range(200):
        first, random = clustered(trial, videos=30), np.random.default_rng(20_000 + trial)
        runs = [
            [
                predictions_of(first.predicted + random.normal(1, 0.3), first.truth, videos=first.videos)
                for _ in range(count)
            ]
            for _ in range(2)
        ]
        told_apart += differences(*runs, figures=mae, resampling=Resampling(200, trial))["mae"].p < 0.05
    assert told_apart <= 20


def test_one_video_alone_has_no_interval_for_it_is_always_drawn() -> None:
    one = predictions_of([0.0, 1.0, 2.0], [1.0, 1.0, 1.5], videos=["v"] * 3)
    draw = Resampling(100)
    nothing = [None, None]
    assert intervals(one, SOME, resampling=draw)["mae"].to_json() == nothing
    assert mean_intervals([one, one], SOME, resampling=draw)["mae"].to_json() == nothing
    difference = differences([one], [one], figures=SOME, resampling=draw)["mae"]
    assert difference.value == 0
    assert difference.interval.to_json() == nothing
    assert np.isnan(difference.p)


def test_a_seed_below_0_is_refused() -> None:
    with pytest.raises(UsageError, match="seed must be at least 0, got -1"):
        Resampling(100, -1)
