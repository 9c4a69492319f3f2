"""Features that know the label are found; honest ones are not, and the probe is a ridge like any other."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from trisent.data.audit import Finding, audit
from trisent.data.audit.columns import measure
from trisent.data.audit.probe import _standardised, effective_size, probe
from trisent.data.dataset import Dataset, Sequences
from trisent.types import Modality
from unit.data.clean_set import WIDTHS, clean_set


@pytest.fixture(scope="module")
def clean() -> Dataset:
    return clean_set()


def leaks(dataset: Dataset) -> dict[str, Finding]:
    return {f.code: f for f in audit(dataset).findings if f.code.startswith("leak.")}


Change = Callable[[NDArray[np.float64], NDArray[np.float64]], None]


def with_leak(d: Dataset, modality: Modality, change: Change) -> Dataset:
    """Change features; `change` gets a copy of the steps, and the sentiment of the utterance of each step."""
    s = d.features[modality]
    values = s.values.astype(np.float64)
    change(values, np.repeat(d.sentiment, s.lengths).astype(np.float64))
    return replace(d, features={**d.features, modality: replace(s, values=values.astype(np.float32))})


def test_an_honest_set_knows_nothing(clean: Dataset) -> None:
    assert leaks(clean) == {}
    assert leaks(clean_set(seed=3)) == {}


def test_a_column_that_holds_the_label_is_named(clean: Dataset) -> None:
    def change(values: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        values[:, 5] = 2 * label + 7

    after = leaks(with_leak(clean, "audio", change))
    assert after["leak.column"].level == "error"
    assert "5" in after["leak.column"].title


def test_a_column_that_is_constant_in_each_class_is_found_in_whatever_order(clean: Dataset) -> None:
    code = np.array([4.0, -1.0, 7.0, 0.0, -6.0, 2.0, 9.0])

    def change(values: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        values[:, 2] = code[np.rint(label).astype(int) + 3]

    after = leaks(with_leak(clean, "video", change))
    assert after["leak.column"].level == "error"
    label = clean.sentiment
    assert abs(np.corrcoef(code[np.rint(label).astype(int) + 3], label)[0, 1]) < 0.8  # a correlation misses it


def test_a_label_spread_over_all_columns_is_found_although_no_column_shows_it(clean: Dataset) -> None:
    """The label lies in one direction, under noise that is large in every column but absent from that direction."""
    random = np.random.default_rng(5)
    direction = np.ones(WIDTHS["audio"]) / np.sqrt(WIDTHS["audio"])

    def change(values: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        noise = 6 * random.standard_normal(values.shape)
        noise -= (noise @ direction)[:, None] * direction
        values[:] = noise + 0.5 * label[:, None] * direction

    leaked = with_leak(clean, "audio", change)
    assert leaks(leaked)["leak.probe"].level == "error"
    assert "leak.column" not in leaks(leaked)


def test_an_encoder_that_was_fitted_on_the_test_set_is_found(clean: Dataset) -> None:
    lengths = clean.features["audio"].lengths
    in_test = np.repeat(np.array(clean.splits) == "test", lengths)[:, None]
    noise = np.repeat(np.random.default_rng(2).standard_normal((len(clean), WIDTHS["audio"])), lengths, axis=0)

    def change(values: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        values[:] = label[:, None] + np.where(in_test, 0.5, 4.0) * noise

    after = leaks(with_leak(clean, "audio", change))
    assert after["leak.held_out"].level == "error"
    assert "test" in after["leak.held_out"].title


def test_an_encoder_that_was_fitted_on_the_labels_of_train_is_a_warning(clean: Dataset) -> None:
    in_train = np.repeat(np.array(clean.splits) == "train", clean.features["audio"].lengths)
    random = np.random.default_rng(2)

    def change(values: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        values[in_train, 0] = label[in_train] + 0.7 * random.standard_normal(in_train.sum())
        values[~in_train, 0] = random.standard_normal((~in_train).sum())

    after = leaks(with_leak(clean, "audio", change))
    assert after["leak.train"].level == "warning"
    assert "leak.held_out" not in after


def test_pictures_that_tell_more_than_words_are_a_warning(clean: Dataset) -> None:
    random = np.random.default_rng(3)
    noise = np.repeat(0.6 * random.standard_normal(len(clean)), clean.features["video"].lengths)
    guess = random.standard_normal(clean.features["text"].values.shape)
    wordless = with_leak(clean, "text", lambda v, _: v.__setitem__(slice(None), guess))
    after = leaks(with_leak(wordless, "video", lambda v, y: v.__setitem__((slice(None), 0), y + noise)))
    assert after["leak.wordless"].level == "warning"
    assert after["leak.beats_text"].level == "warning"
    assert not any(f.level == "error" for f in after.values())


def test_utterances_sorted_by_sentiment_are_told(clean: Dataset) -> None:
    after = leaks(clean.take(np.argsort(clean.sentiment, kind="stable")))
    assert set(after) == {"leak.order"}


def test_lengths_that_tell_the_label_are_told(clean: Dataset) -> None:
    lengths = np.rint(3 * clean.sentiment + 10).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    random = np.random.default_rng(4)
    rows = int(offsets[-1])
    values = random.standard_normal((rows, 8)) + np.repeat(random.standard_normal((len(clean), 8)), lengths, axis=0)
    audio = Sequences(values.astype(np.float32), offsets, np.full(rows, np.nan, np.float32), np.ones(rows, bool))
    after = leaks(replace(clean, features={"audio": audio}))
    assert after["leak.lengths"].level == "error"


@pytest.mark.parametrize("modality", ["text", "audio", "video"])
def test_the_probe_scores_as_scikit_learns_ridge_does(clean: Dataset, modality: Modality) -> None:
    columns = measure(clean.features[modality])
    probed = probe(clean, modality, columns)
    assert probed is not None
    train, test = clean.index("train"), clean.index("test")
    values = _standardised(columns.pooled, train)
    y = clean.sentiment
    expected = []
    for shrinkage in (0.01, 0.1, 1.0, 10.0):
        ridge = Ridge(alpha=shrinkage * len(train), fit_intercept=False)
        ridge.fit(values[train], y[train] - y[train].mean())
        expected.append(np.corrcoef(ridge.predict(values[test]), y[test])[0, 1])
    assert min(abs(np.array(expected) - probed.held_out["test"])) < 1e-4


def test_random_features_score_about_nothing_across_folds(clean: Dataset) -> None:
    noise = np.random.default_rng(0).standard_normal(clean.features["text"].values.shape)
    guess = with_leak(clean, "text", lambda v, _: v.__setitem__(slice(None), noise))
    probed = probe(guess, "text", measure(guess.features["text"]))
    assert probed is not None
    assert abs(probed.cross) < 0.25


@pytest.mark.parametrize("alike", [0.0, 0.2, 0.6])
def test_utterances_of_a_video_count_as_far_as_they_differ(alike: float) -> None:
    """The mean of n such labels varies as the mean of that many independent ones does: measured by drawing them."""
    random = np.random.default_rng(0)
    video = np.repeat(np.arange(50), 8)

    def draw() -> NDArray[np.float64]:
        of_video = np.sqrt(alike) * random.standard_normal(50)
        return of_video[video] + np.sqrt(1 - alike) * random.standard_normal(400)

    expected = 1 / np.var([draw().mean() for _ in range(4000)])
    got = np.mean([effective_size(draw(), video) for _ in range(50)])
    assert got == pytest.approx(expected, rel=0.12)
