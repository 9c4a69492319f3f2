"""Every kind of defect, planted in a copy of a clean data set, is found with its code and its utterances."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trisent.data.audit import Finding, audit
from trisent.data.dataset import Dataset, Sequences
from trisent.types import Floats, Modality
from unit.data.clean_set import clean_set


@pytest.fixture(scope="module")
def clean() -> Dataset:
    return clean_set()


def found(dataset: Dataset) -> dict[str, Finding]:
    return {f.code: f for f in audit(dataset).findings}


def numbers(dataset: Dataset, *ids: str) -> NDArray[np.int64]:
    return np.array([dataset.ids.index(i) for i in ids])


def with_values(dataset: Dataset, modality: Modality, change: Callable[[Floats, Sequences], None]) -> Dataset:
    """Change the steps of a modality; `change` gets a copy of them."""
    s = dataset.features[modality]
    values = s.values.astype(np.float32)
    change(values, s)
    return replace(dataset, features={**dataset.features, modality: replace(s, values=values)})


def with_labels(dataset: Dataset, name: str, change: Callable[[Floats], None]) -> Dataset:
    labels = dataset.labels[name].copy()
    change(labels)
    return replace(dataset, labels={**dataset.labels, name: labels})


def steps(s: Sequences, i: int) -> slice:
    return slice(int(s.offsets[i]), int(s.offsets[i + 1]))


def owners(s: Sequences) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(s)), s.lengths)


def test_nothing_is_found_in_a_clean_data_set_but_what_every_set_has(clean: Dataset) -> None:
    assert found(clean).keys() == {"balance.classes", "baseline.constant"}
    assert audit(clean_set(seed=7)).of("error") == audit(clean_set(seed=7)).of("warning") == ()


TEST_ID, TRAIN_ID = "v050$_$1", "v003$_$2"
Planted = tuple[str, str, Callable[[Dataset], Dataset], set[str]]


def move(d: Dataset, utterance: str, split: str) -> Dataset:
    i = d.ids.index(utterance)
    return replace(d, splits=(*d.splits[:i], split, *d.splits[i + 1 :]))


def rename(d: Dataset, old: str, new: str, *, video: str | None = None) -> Dataset:
    i = d.ids.index(old)
    videos = d.videos if video is None else (*d.videos[:i], video, *d.videos[i + 1 :])
    return replace(d, ids=(*d.ids[:i], new, *d.ids[i + 1 :]), videos=videos)


def say(d: Dataset, utterance: str, text: str) -> Dataset:
    i = d.ids.index(utterance)
    return replace(d, texts=(*d.texts[:i], text, *d.texts[i + 1 :]))


def text_of(d: Dataset, utterance: str) -> str:
    return d.texts[d.ids.index(utterance)]


def span(d: Dataset, utterance: str, start: float, end: float) -> Dataset:
    spans = d.spans.copy()
    spans[d.ids.index(utterance)] = start, end
    return replace(d, spans=spans)


def copy_features(d: Dataset, modality: Modality, *, noise: float) -> Dataset:
    """Give a test utterance the features of one of train, its number of steps included."""
    s = d.features[modality]
    index = np.arange(len(s))
    index[d.ids.index(TEST_ID)] = d.ids.index(TRAIN_ID)
    copied = s.take(index)
    random = np.random.default_rng(1).standard_normal(copied.values.shape)
    values = copied.values + np.where(owners(copied)[:, None] == d.ids.index(TEST_ID), noise * random, 0)
    return replace(d, features={modality: replace(copied, values=values.astype(np.float32))})


def set_steps(modality: Modality, utterance: str, column: int | slice, value: float) -> Callable[[Dataset], Dataset]:
    def plant(d: Dataset) -> Dataset:
        def change(values: Floats, s: Sequences) -> None:
            values[steps(s, d.ids.index(utterance)), column] = value

        return with_values(d, modality, change)

    return plant


def set_label(name: str, utterance: str, value: float) -> Callable[[Dataset], Dataset]:
    def plant(d: Dataset) -> Dataset:
        return with_labels(d, name, lambda y: y.__setitem__(d.ids.index(utterance), value))

    return plant


def shorten(d: Dataset) -> Dataset:
    """Take the last step of the text of one utterance."""
    s = d.features["text"]
    last = int(s.offsets[d.ids.index(TEST_ID) + 1]) - 1
    keep = np.arange(len(s.values)) != last
    offsets = s.offsets - (s.offsets > last)
    short = Sequences(s.values[keep], offsets, s.times[keep], s.mask[keep])
    return replace(d, features={**d.features, "text": short})


def hide(d: Dataset) -> Dataset:
    """Mask the only... all steps of a test utterance."""
    s = d.features["video"]
    mask = s.mask.copy()
    mask[steps(s, d.ids.index(TEST_ID))] = False
    return replace(d, features={**d.features, "video": replace(s, mask=mask)})


def backwards(d: Dataset) -> Dataset:
    s = d.features["audio"]
    times = s.times.copy()
    times[steps(s, d.ids.index(TEST_ID))] = times[steps(s, d.ids.index(TEST_ID))][::-1]
    return replace(d, features={**d.features, "audio": replace(s, times=times)})


def late(d: Dataset) -> Dataset:
    s = d.features["audio"]
    times = s.times.copy()
    times[steps(s, d.ids.index(TEST_ID))] += 100
    return replace(d, features={**d.features, "audio": replace(s, times=times)})


PLANTED: list[Planted] = [
    ("error", "split.videos", lambda d: move(d, "v003$_$2", "test"), {TRAIN_ID}),
    ("warning", "text.repeated", lambda d: say(d, TEST_ID, text_of(d, TRAIN_ID).upper() + "!"), {TEST_ID}),
    ("warning", "text.repeated", lambda d: say(say(d, TEST_ID, "Thank you."), TRAIN_ID, "thank you"), {TEST_ID}),
    ("warning", "text.similar", lambda d: say(d, TEST_ID, text_of(d, TRAIN_ID) + " indeed"), {TEST_ID}),
    ("warning", "text.empty", lambda d: say(d, TEST_ID, " "), {TEST_ID}),
    ("error", "feature.repeated", lambda d: copy_features(d, "audio", noise=0), {TEST_ID}),
    ("error", "feature.repeated", lambda d: copy_features(d, "video", noise=1e-5), {TEST_ID}),
    ("warning", "feature.nonfinite", set_steps("audio", TEST_ID, 3, -np.inf), {TEST_ID}),
    ("warning", "feature.nonfinite", set_steps("video", TRAIN_ID, 0, np.nan), {TRAIN_ID}),
    ("warning", "feature.blank", set_steps("video", TEST_ID, slice(None), 0.0), {TEST_ID}),
    ("warning", "feature.exploding", set_steps("audio", TRAIN_ID, 2, 1e9), {TRAIN_ID}),
    ("warning", "feature.absent", hide, {TEST_ID}),
    ("warning", "align.lengths", shorten, {TEST_ID}),
    ("warning", "time.backwards", backwards, {TEST_ID}),
    ("warning", "time.outside", late, {TEST_ID}),
    ("error", "time.reversed", lambda d: span(d, TEST_ID, 9.0, 5.0), {TEST_ID}),
    ("error", "time.zero", lambda d: span(d, TEST_ID, 5.0, 5.0), {TEST_ID}),
    ("warning", "time.negative", lambda d: span(d, "v050$_$0", -0.4, 2.0), {"v050$_$0"}),
    ("error", "label.scale", set_label("sentiment", TEST_ID, 4.0), {TEST_ID}),
    ("error", "label.scale", set_label("anger", TEST_ID, -1.0), {TEST_ID}),
    ("warning", "label.steps", set_label("sentiment", TEST_ID, 0.4), {TEST_ID}),
    ("warning", "label.missing", set_label("sentiment", TEST_ID, np.nan), {TEST_ID}),
    ("error", "ids.video", lambda d: rename(d, TEST_ID, "v051$_$99"), {"v051$_$99"}),
    ("warning", "ids.twins", lambda d: rename(d, "v050$_$1", "v050$_$02"), {"v050$_$2"}),
]


@pytest.mark.parametrize(("level", "code", "plant", "ids"), PLANTED, ids=[f"{p[1]}-{k}" for k, p in enumerate(PLANTED)])
def test_a_planted_defect_is_found_with_its_code_and_its_utterance(
    clean: Dataset, level: str, code: str, plant: Callable[[Dataset], Dataset], ids: set[str]
) -> None:
    before, after = found(clean), found(plant(clean))
    assert code not in before
    assert (after[code].level, after[code].count, set(after[code].ids)) == (level, 1, ids)
    assert after[code].why
    assert after[code].todo


def test_an_utterance_inside_another_is_told_from_a_margin_that_overlaps(clean: Dataset) -> None:
    i = clean.ids.index(TEST_ID)
    start, end = (float(x) for x in clean.spans[i])
    before = clean.ids[i - 1]
    inside = found(span(clean, before, start - 1, end + 1))
    assert TEST_ID in inside["time.inside"].ids
    margin = found(span(clean, before, start - 2, start + 0.2))
    assert "time.inside" not in margin
    assert margin["time.overlap"].ids == (TEST_ID,)


def test_times_without_end_hide_no_utterance_inside_another(clean: Dataset) -> None:
    i = clean.ids.index(TEST_ID)
    start, end = (float(x) for x in clean.spans[i])
    inside = span(clean, clean.ids[i - 1], start - 1, end + 1)
    assert TEST_ID in found(span(inside, clean.ids[0], 0.0, np.inf))["time.inside"].ids


@pytest.mark.parametrize("size", [1e30, 3e38])
def test_numbers_near_the_end_of_what_a_float_holds_are_findings(clean: Dataset, size: float) -> None:
    labels = with_labels(clean, "sentiment", lambda y: y.__imul__(np.float32(size / 3)))
    assert found(labels)["label.scale"].count == int((labels.sentiment != 0).sum())
    large = with_values(clean, "audio", lambda x, _: np.copyto(x, np.sign(x) * np.float32(size)))
    assert found(large)["feature.exploding"].count == 8


def test_copies_of_many_long_texts_are_an_error_and_scripted_sentences_are_not(clean: Dataset) -> None:
    test = clean.index("test")[:20]
    texts = list(clean.texts)
    for k, i in enumerate(test):
        texts[i] = texts[k]
    copied = found(replace(clean, texts=tuple(texts)))["text.repeated"]
    assert (copied.level, copied.count) == ("error", 20)
    script = ("kids are talking by the door", "dogs are sitting by the door")
    acted = found(replace(clean, texts=tuple(script[i % 2] for i in range(len(clean)))))
    assert acted["text.repeated"].level == "warning"


def test_a_row_that_many_share_stands_for_nothing_measured(clean: Dataset) -> None:
    rows = np.concatenate([clean.index("train")[:25], clean.index("test")[:5]])

    def change(values: Floats, s: Sequences) -> None:
        values[np.isin(owners(s), rows)] = 1.5

    after = found(with_values(clean, "video", change))
    assert after["feature.placeholder"].count == 30
    assert "feature.repeated" not in after


def test_equal_texts_explain_equal_text_features(clean: Dataset) -> None:
    said = say(clean, TEST_ID, text_of(clean, TRAIN_ID))
    after = found(copy_features(said, "text", noise=0))
    assert after["feature.repeated"].level == "note"
    assert found(copy_features(clean, "text", noise=0))["feature.repeated"].level == "warning"


def test_constant_and_nearly_dead_columns_are_named(clean: Dataset) -> None:
    def change(values: Floats, s: Sequences) -> None:
        values[:, 1] = 0.7
        values[:, 4] = 0
        values[steps(s, 0), 4] = 1
        values[np.isin(owners(s), clean.index("train")), 5] = 2

    findings = [f for f in audit(with_values(clean, "audio", change)).findings if f.code.startswith("feature.")]
    said = {f.code + f.title for f in findings}
    assert any("feature.constant" in s and "column 1" in s for s in said)
    assert any("feature.constant" in s and "column 5" in s and "train" in s for s in said)
    assert any("feature.dead" in s and "column 4" in s for s in said)


def test_a_split_without_a_modality_is_an_error(clean: Dataset) -> None:
    s = clean.features["audio"]
    mask = ~np.isin(owners(s), clean.index("test"))
    after = found(replace(clean, features={"audio": replace(s, mask=mask)}))
    assert after["feature.absent"].level == "error"
    assert after["feature.absent"].count == len(clean.index("test"))


def test_labels_that_are_the_same_for_a_whole_split_are_an_error(clean: Dataset) -> None:
    after = found(with_labels(clean, "sentiment", lambda y: y.__setitem__(clean.index("test"), 0.0)))
    assert after["label.constant"].level == "error"
    assert after["label.constant"].count == len(clean.index("test"))


def test_labels_averaged_until_nearly_all_round_to_0_are_an_error(clean: Dataset) -> None:
    """As in the published 97.87 %: the mean over segments and over seven annotations."""
    after = found(with_labels(clean, "sentiment", lambda y: y.__imul__(np.float32(1 / 7))))
    assert after["label.averaged"].level == "error"
    assert "label.continuous" in after


@pytest.mark.parametrize(("split", "level"), [("train", "error"), ("valid", "error"), ("test", "warning")])
def test_labels_of_a_split_that_training_needs_and_that_are_all_missing_are_an_error(
    clean: Dataset, split: str, level: str
) -> None:
    after = found(with_labels(clean, "sentiment", lambda y: y.__setitem__(clean.index(split), np.nan)))
    assert after["label.missing"].level == level


def test_labels_of_sims_are_steps_of_a_fifth(clean: Dataset) -> None:
    fifths = (np.rint(clean.sentiment / 3 * 5) / 5).astype(np.float32)
    sims = replace(clean, labels={"sentiment": fifths}, scale=(-1.0, 1.0))
    assert not {"label.steps", "label.scale", "label.continuous"} & found(sims).keys()
    assert found(set_label("sentiment", TEST_ID, 0.333)(sims))["label.steps"].ids == (TEST_ID,)


def test_a_split_with_other_sentiments_than_train_is_told(clean: Dataset) -> None:
    test = clean.index("test")
    shifted = found(with_labels(clean, "sentiment", lambda y: y.__setitem__(test, np.clip(y[test] + 2, -3, 3))))
    assert shifted["balance.shift"].count == len(test)
    train = clean.index("train")
    unseen = found(with_labels(clean, "sentiment", lambda y: y.__setitem__(train, np.clip(y[train], -1, 1))))
    assert "balance.unseen" in unseen


def test_no_split_at_all_is_a_note_and_a_missing_one_a_warning(clean: Dataset) -> None:
    none = found(replace(clean, splits=("",) * len(clean)))
    assert none["split.none"].level == "note"
    one = found(clean.take(np.concatenate([clean.index("train"), clean.index("valid")])))
    assert one["split.missing"].level == "warning"


def test_findings_come_worst_first(clean: Dataset) -> None:
    bad = set_label("sentiment", TEST_ID, 4.0)(say(clean, TRAIN_ID, ""))
    levels = [f.level for f in audit(bad).findings]
    assert levels == sorted(levels, key=("error", "warning", "note").index)


def test_only_the_first_20_ids_are_listed_and_all_are_counted(clean: Dataset) -> None:
    after = found(replace(clean, spans=clean.spans[:, ::-1].copy()))
    assert after["time.reversed"].count == len(clean)
    assert after["time.reversed"].ids == clean.ids[:20]
