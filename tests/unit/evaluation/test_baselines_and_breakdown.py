"""Constants, alarms, confusion and groups."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr

from trisent.errors import DataError
from trisent.evaluation.baselines import alarms, baselines
from trisent.evaluation.breakdown import by_column, by_length, by_video, confusion
from trisent.evaluation.classes import rounded_classes
from trisent.evaluation.figures import FIGURES, figures_for
from trisent.evaluation.predictions import Predictions, predictions_of

RANDOM = np.random.default_rng(0)
LABELS = np.round(np.clip(RANDOM.normal(0.3, 1.2, 600), -3, 3) * 3) / 3


def test_no_constant_at_all_beats_the_best_constant() -> None:
    predictions = predictions_of(LABELS, LABELS)
    figures = figures_for(predictions)
    best = baselines(predictions, figures).best
    for constant in np.linspace(-3.2, 3.2, 129):
        same = predictions_of(np.full(600, constant), LABELS)
        for figure in figures:
            value = figure.of(same)[0]
            if value == value and figure.key != "ccc":  # of a constant CCC is 0
                assert (best[figure.key] <= value + 1e-9) if figure.lower_is_better else (best[figure.key] >= value)


def test_the_best_constant_on_the_scale_of_sims_is_its_majority_bin() -> None:
    labels = np.round(np.clip(LABELS / 2, -1, 1), 1)
    predictions = predictions_of(labels, labels)
    best = baselines(predictions, figures_for(predictions)).best
    for count, edges in ((2, [0]), (3, [-0.1, 0.1]), (5, [-0.7, -0.1, 0.1, 0.7])):
        bins = np.bincount(np.digitize(labels, edges, right=True))
        assert best[f"sims_acc{count}"] == bins.max() / 600


def test_the_plain_constants_are_zero_and_the_mean() -> None:
    found = baselines(predictions_of(LABELS, LABELS), [FIGURES["mae"]])
    assert found.zero["mae"] == pytest.approx(np.abs(LABELS).mean())
    assert found.mean["mae"] == pytest.approx(np.abs(LABELS - LABELS.mean()).mean())


def test_a_useful_model_raises_no_alarm() -> None:
    assert alarms(predictions_of(LABELS + np.random.default_rng(1).normal(0, 0.8, 600), LABELS)) == []


@pytest.mark.parametrize(
    ("predicted", "alarm"),
    [
        (np.full(600, 0.3), "CONSTANT PREDICTION"),
        (0.3 + 0.01 * LABELS, "NEARLY CONSTANT"),
        (0.1 * LABELS, "ONE CLASS"),
        (5 + LABELS, "ONE SIGN"),
        (np.random.default_rng(2).permutation(LABELS), "NO CORRELATION"),
        (-LABELS, "NO CORRELATION"),
        (3 * LABELS + 1, "NO BETTER THAN A CONSTANT"),
    ],
)
def test_a_model_that_learned_nothing_raises_the_alarm(predicted: np.ndarray, alarm: str) -> None:
    assert any(found.startswith(alarm) for found in alarms(predictions_of(predicted, LABELS)))


def test_the_trap_of_97_87_percent_is_seen_in_the_labels_and_in_the_model() -> None:
    """644 of 658 averaged labels round to 0; a constant then has 97.87 % "Acc-7" and no correlation."""
    labels = np.concatenate([np.linspace(-0.08, 0.49, 644), np.linspace(0.52, 0.76, 14)])
    constant = predictions_of(np.full(658, 0.16), labels)
    assert FIGURES["acc7_round"].of(constant)[0] == pytest.approx(0.9787, abs=5e-5)
    found = alarms(constant)
    assert any("97.87%" in alarm for alarm in found)
    assert any("CONSTANT" in alarm for alarm in found)


def test_the_confusion_matrix_counts_every_pair_once() -> None:
    p, y = LABELS + RANDOM.normal(0, 1, 600), LABELS
    counts = confusion(rounded_classes(y, 3), rounded_classes(p, 3))
    by_hand = np.zeros((7, 7), int)
    for a, b in zip(np.round(y), np.round(np.clip(p, -3, 3)), strict=True):
        by_hand[int(a) + 3, int(b) + 3] += 1
    np.testing.assert_array_equal(counts, by_hand)
    assert counts.trace() / 600 == FIGURES["acc7_round"].of(predictions_of(p, y))[0]


def grouped() -> Predictions:
    y = np.array([1.0, 1.0, -1.0, 0.0, 0.0, 0.0])
    p = np.array([1.0, 2.0, -1.0, 0.5, 0.5, -0.5])
    texts = ("a b", "a", "a b c", "a b c d", "a b c d e", "a b c d e f")
    predictions = predictions_of(p, y, videos=["u", "u", "v", "w", "w", "w"])
    return replace(predictions, columns={"text": texts, "speaker": ("x", "x", "y", "y", "y", "x")})


def test_every_video_is_scored_the_worst_first() -> None:
    groups = by_video(grouped(), [FIGURES["mae"], FIGURES["acc2_non0"]])
    assert [(g.name, g.n) for g in groups][-1] == ("v", 1)
    assert {g.name: g.values["mae"] for g in groups} == {"u": 0.5, "v": 0.0, "w": 0.5}
    assert np.isnan(next(g for g in groups if g.name == "w").values["acc2_non0"])


def test_a_group_has_the_figures_of_its_utterances_alone() -> None:
    predictions = predictions_of(LABELS + RANDOM.normal(0, 1, 600), LABELS)
    speakers = tuple(RANDOM.choice(["a", "b", "c"], 600))
    predictions = replace(predictions, columns={"speaker": speakers})
    figures = figures_for(predictions)
    for group in by_column(predictions, "speaker", figures=figures):
        rows = np.flatnonzero(np.array(speakers) == group.name)
        alone = predictions_of(predictions.predicted[rows], predictions.truth[rows])
        assert group.n == len(rows)
        for figure in figures:
            assert group.values[figure.key] == pytest.approx(figure.of(alone)[0], abs=1e-9)


def test_length_is_counted_in_words_and_cut_at_its_quartiles() -> None:
    groups = by_length(grouped(), [FIGURES["mae"]])
    assert [(g.name, g.n) for g in groups] == [("1: 1 – 2", 2), ("2: 3 – 3", 1), ("3: 4 – 4", 1), ("4: 5 – 6", 2)]


def test_numbers_of_a_column_are_cut_at_their_quartiles_when_there_are_many() -> None:
    predictions = replace(
        predictions_of(LABELS, LABELS), columns={"seconds": tuple(map(str, RANDOM.uniform(1, 9, 600)))}
    )
    assert [g.n for g in by_column(predictions, "Seconds", figures=[])] == [150] * 4  # files are read in lower case


def test_what_cannot_be_grouped_is_refused() -> None:
    plain = predictions_of([0.0], [0.0])
    with pytest.raises(DataError, match="column video"):
        by_video(plain, [])
    with pytest.raises(DataError, match="no column length"):
        by_length(plain, [])
    with pytest.raises(DataError, match="no column speaker"):
        by_column(plain, "speaker", figures=[])


def test_a_group_far_from_the_others_keeps_its_correlation_and_a_constant_one_has_none() -> None:
    random = np.random.default_rng(8)
    y = np.concatenate([random.normal(0, 1, 300), 2.9 + 0.01 * random.normal(0, 1, 50), random.normal(0, 1, 50)])
    p = np.concatenate([random.normal(0, 1, 300), y[300:350] + 0.01 * random.normal(0, 1, 50), np.full(50, 0.1)])
    groups = ("all",) * 300 + ("far",) * 50 + ("flat",) * 50
    predictions = replace(predictions_of(p, y), columns={"group": groups})
    found = {g.name: g.values for g in by_column(predictions, "group", figures=[FIGURES["corr"], FIGURES["ccc"]])}
    assert found["far"]["corr"] == pytest.approx(pearsonr(p[300:350], y[300:350]).statistic, abs=1e-9)
    assert np.isnan(found["flat"]["corr"])
    assert found["flat"]["ccc"] == 0


def test_classes_0_to_6_in_place_of_sentiment_raise_the_alarm() -> None:
    classes = np.arange(70) % 7
    assert any("NO SENTIMENT" in alarm and "subtract 3" in alarm for alarm in alarms(predictions_of(classes, classes)))
    assert alarms(predictions_of(classes - 3, classes - 3)) == []


def test_of_a_handful_of_utterances_no_correlation_is_no_alarm() -> None:
    assert alarms(predictions_of([0.5, -1.2, 2.0], [0.7, -1.0, 3.0])) == []


def test_the_length_of_a_chinese_text_is_counted_in_characters() -> None:
    texts = tuple("好" * n for n in range(1, 81))
    predictions = replace(predictions_of(LABELS[:80], LABELS[:80]), columns={"text": texts})
    assert [group.name for group in by_length(predictions, [FIGURES["mae"]])] == [
        "1: 1 – 20", "2: 21 – 40", "3: 41 – 60", "4: 61 – 80",
    ]  # fmt: skip


def test_groups_that_are_numbers_come_by_size() -> None:
    lengths = tuple(str(n) for n in (10, 2, 9, 1) * 2)
    errors = np.array([10.0, 2, 9, 1] * 2)
    predictions = replace(predictions_of(errors, np.zeros(8)), columns={"length": lengths})
    groups = by_length(predictions, [FIGURES["mae"]])
    assert [(group.name, group.n, group.values["mae"]) for group in groups] == [
        ("1", 2, 1.0), ("2", 2, 2.0), ("9", 2, 9.0), ("10", 2, 10.0),
    ]  # fmt: skip
