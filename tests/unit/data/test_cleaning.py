"""Cleaning: what is left out, what is masked, and that prediction repeats what training did."""

import json
from dataclasses import replace

import numpy as np
import pytest

from trisent.data.cleaning import FINITE, Cleaning, CleaningOptions, fit_cleaning, nearest_class
from trisent.data.dataset import Dataset, Sequences, sequences
from trisent.errors import DataError, UsageError
from trisent.types import Features, Provenance


def dataset(values: np.ndarray, *, train: int | None = None, mask: np.ndarray | None = None, steps: int = 1) -> Dataset:
    """Make utterances of `steps` steps each; the first `train` are for training, the others for test."""
    n = len(values) // steps
    train = n if train is None else train
    visible = np.ones(len(values), np.bool_) if mask is None else mask
    audio = Sequences(values.astype(np.float32), np.arange(n + 1) * steps, np.zeros(len(values), np.float32), visible)
    splits = ("train",) * train + ("test",) * (n - train)
    return Dataset(
        "made up", "", tuple(map(str, range(n))), splits, {"sentiment": np.zeros(n, np.float32)}, {"audio": audio}
    )


def normal(n: int = 200, dim: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, (n, dim)).astype(np.float32)


def test_a_column_that_is_often_infinite_is_left_out_and_no_step_is_lost_for_it():
    values = normal()
    values[::3, 1] = -np.inf
    clean = fit_cleaning(dataset(values), FINITE).apply(dataset(values))
    assert np.array_equal(clean.features["audio"].values, values[:, [0, 2, 3]])
    assert clean.features["audio"].mask.all()
    assert clean.notes == ("audio: 1 of 4 columns are left out, too often NaN or infinite: 1",)


def test_a_step_that_is_rarely_bad_is_masked_and_keeps_its_place_and_its_numbers():
    values = normal()
    values[7, 2] = np.nan
    clean = fit_cleaning(dataset(values), FINITE).apply(dataset(values))
    assert np.flatnonzero(~clean.features["audio"].mask).tolist() == [7]
    assert np.array_equal(clean.features["audio"].values, values, equal_nan=True)
    assert clean.notes == ("audio: 1 of 200 steps hold NaN or infinity and count as not seen",)


def test_steps_without_any_number_say_nothing_against_columns():
    values = normal()
    values[:60] = np.nan  # a modality that three utterances in ten do not have
    cleaning = fit_cleaning(dataset(values), FINITE)
    assert cleaning.columns["audio"].dropped == {}
    assert cleaning.apply(dataset(values)).features["audio"].mask.sum() == 140


def test_exploding_and_constant_columns_are_left_out_each_for_its_own_reason():
    values = normal()
    values[50, 0], values[:, 3] = -2e6, 5.0
    cleaning = fit_cleaning(dataset(values))
    assert cleaning.columns["audio"].dropped == {"exploding": (0,), "constant": (3,)}
    assert cleaning.width("audio", 4) == 2


def test_the_z_score_is_that_of_the_visible_train_steps_alone():
    values, mask = normal(300, 3), np.random.default_rng(1).random(300) < 0.8
    values[200:] *= 50  # the test split, which nothing may be learnt from
    options = CleaningOptions(clip=None)
    clean = fit_cleaning(dataset(values, train=200, mask=mask), options).apply(dataset(values, train=200, mask=mask))
    seen = values[:200][mask[:200]].astype(np.float64)
    expected = (values - seen.mean(axis=0)) / seen.std(axis=0)
    assert clean.features["audio"].values == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert clean.features["audio"].values.dtype == np.float32


def test_the_z_score_of_many_steps_with_a_large_mean_is_exact(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trisent.data.cleaning._VALUES_A_READ", 64)  # dozens of reads
    values = 10_000 + normal(999, 2)
    columns = fit_cleaning(dataset(values)).columns["audio"]
    assert columns.mean == pytest.approx(values.astype(np.float64).mean(axis=0), rel=1e-6)
    assert columns.std == pytest.approx(values.astype(np.float64).std(axis=0), rel=1e-4)


def test_values_are_clipped_at_three_standard_deviations():
    values = normal(1000, 1)
    values[4] = 1000.0
    clean = fit_cleaning(dataset(values)).apply(dataset(values)).features["audio"].values
    assert clean.max() == clean[4] == 3.0
    assert clean.min() >= -3.0


def test_prediction_cleans_one_utterance_as_training_cleaned_it():
    values = normal(120, 4)
    values[::4, 2], values[9, 0] = np.nan, np.inf
    data = dataset(values, steps=3)
    cleaning = fit_cleaning(data)
    trained = cleaning.apply(data).features["audio"]
    for i in (0, 3, 39):
        alone = cleaning.apply_features(data.features["audio"].of(i), "audio")
        assert np.array_equal(alone.values, trained.of(i).values, equal_nan=True)
        assert np.array_equal(alone.mask, trained.of(i).mask)
        assert np.array_equal(alone.times, trained.of(i).times)


def test_cleaned_features_are_not_taken_for_what_the_extractor_gives():
    made_by = Provenance("wav2vec", "wav2vec2-base", "ab", (12,), "mono 16 kHz")
    data = replace(dataset(normal()), provenance={"audio": made_by}, preset="pretrained")
    cleaned, masked = fit_cleaning(data).apply(data), fit_cleaning(data, FINITE).apply(data)
    assert (cleaned.provenance["audio"].preprocessing, cleaned.preset) == ("mono 16 kHz; cleaned", None)
    assert (masked.provenance["audio"], masked.preset) == (made_by, "pretrained")


def test_a_cleaning_comes_back_from_json_to_the_bit():
    values = normal()
    values[::3, 1], values[:, 3] = np.nan, 0.0
    cleaning = fit_cleaning(dataset(values))
    again = Cleaning.from_json(json.loads(json.dumps(cleaning.to_json(), allow_nan=False)))
    assert again == cleaning
    one, other = (c.rows(values, np.ones(200, np.bool_), "audio") for c in (cleaning, again))
    assert np.array_equal(one[0], other[0])
    assert again != fit_cleaning(dataset(normal(seed=1)))


@pytest.mark.parametrize(
    "change",
    [{"dropped": {"ugly": [1]}}, {"mean": [1.0], "std": [1.0]}, {"std": None}, {"width": "four"}, {"dropped": None}],
)
def test_json_that_does_not_fit_together_is_refused(change: dict[str, object]):
    values = fit_cleaning(dataset(normal())).to_json()
    values["columns"]["audio"] |= change
    with pytest.raises((KeyError, ValueError, TypeError, AttributeError)):
        Cleaning.from_json(values)


def test_a_modality_without_a_visible_step_in_train_stays_as_it_is():
    empty = sequences([Features(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_))] * 2, 3)
    data = Dataset("d", "", ("a", "b"), ("train", "train"), {"sentiment": np.zeros(2, np.float32)}, {"video": empty})
    assert fit_cleaning(data).width("video", 3) == 3


def test_features_of_another_width_are_refused():
    with pytest.raises(DataError, match="fitted on audio features of width 4, these have 5"):
        fit_cleaning(dataset(normal())).apply(dataset(normal(dim=5)))


def test_a_modality_of_which_cleaning_leaves_nothing_goes_and_the_others_stay():
    blank = dataset(np.zeros((200, 3))).features["audio"]  # as a face tool writes that found no face
    data = dataset(normal())
    both = replace(
        data, features={**data.features, "video": blank}, provenance={"video": Provenance("f", "f", "", (), "")}
    )
    cleaning = fit_cleaning(both)
    clean = Cleaning.from_json(json.loads(json.dumps(cleaning.to_json()))).apply(both)
    assert clean.dims == {"audio": 4}
    assert clean.provenance == {}
    assert "video: 3 of 3 columns are left out, never changing: 0, 1, 2" in clean.notes
    np.testing.assert_array_equal(
        clean.features["audio"].values, fit_cleaning(data).apply(data).features["audio"].values
    )


def test_cleaning_that_would_leave_nothing_is_refused():
    with pytest.raises(DataError, match=r"all 2 columns.*trisent data audit"):
        fit_cleaning(dataset(np.ones((10, 2))))


def test_cleaning_needs_a_train_split():
    with pytest.raises(DataError, match=r"no train split.*trisent data split"):
        fit_cleaning(dataset(normal(), train=0))


@pytest.mark.parametrize("options", [{"bad_column": 2}, {"largest": 0}, {"clip": -1}, {"standardise": False}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]):
    with pytest.raises(UsageError):
        CleaningOptions(**options)


def test_the_class_is_that_of_pythons_own_rounding():
    thirds = [k / 6 for k in range(-18, 19)]
    assert nearest_class(np.float32(thirds)).tolist() == [round(float(np.float32(x))) + 3 for x in thirds]
    assert nearest_class(np.float32([np.nan, -7])).tolist() == [-1, 0]
