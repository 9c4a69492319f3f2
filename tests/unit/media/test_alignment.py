"""When given sentences are said."""

from itertools import pairwise

import numpy as np
import pytest

from trisent.errors import UsageError
from trisent.media.alignment import place
from trisent.media.transcripts import Sentence
from trisent.types import Utterance, Word


def said(*words: tuple[float, float, str]) -> list[Word]:
    return [Word(*word) for word in words]


HEARD = said((1.0, 1.2, "I"), (1.2, 1.5, "love"), (1.5, 2.0, "it."), (4.0, 4.5, "Very"), (4.5, 5.0, "much."))


def check(utterances: list[Utterance], first: float, last: float) -> None:
    words = [word for u in utterances for word in u.words]
    assert all(first - 1e-9 <= w.start <= w.end <= last + 1e-9 for w in words)
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(words))
    assert all(u.start == u.words[0].start and u.end == u.words[-1].end for u in utterances)


def test_words_that_were_heard_take_the_times_heard() -> None:
    placed = place([Sentence("I love it"), Sentence("very MUCH!")], HEARD, 9.0)
    assert [(u.start, u.end) for u in placed] == [(1.0, 2.0), (4.0, 5.0)]
    assert [u.text for u in placed] == ["I love it", "very MUCH!"]


def test_a_word_between_two_heard_ones_lies_between_their_times() -> None:
    (placed,) = place([Sentence("I love it so very much")], HEARD, 9.0)
    assert (placed.words[3].start, placed.words[3].end) == (2.0, 4.0)


def test_a_misheard_word_takes_the_time_of_what_was_heard_instead() -> None:
    (placed,) = place([Sentence("I loathe it")], HEARD, 9.0)
    assert (placed.words[1].start, placed.words[1].end) == (1.2, 1.5)


def test_an_unheard_sentence_without_a_pause_still_gets_time() -> None:
    placed = place([Sentence("I love"), Sentence("hum"), Sentence("it")], HEARD, 9.0)
    assert all(u.end > u.start for u in placed)
    check(placed, 1.0, 5.0)


def test_any_text_gets_ordered_times_within_what_was_heard() -> None:
    rng = np.random.default_rng(0)
    vocabulary = np.array(["good", "bad", "I", "it", "was", "film", "-", "..."])
    for _ in range(200):
        edges = np.sort(rng.uniform(0, 10, 24)) if rng.random() < 0.8 else np.repeat(np.sort(rng.uniform(0, 10, 12)), 2)
        heard = said(
            *((a, b, str(w)) for a, b, w in zip(edges[::2], edges[1::2], rng.choice(vocabulary, 12), strict=True))
        )
        sentences = [Sentence(" ".join(rng.choice(vocabulary, rng.integers(1, 9)))) for _ in range(rng.integers(1, 5))]
        placed = place(sentences, heard, 10.0)
        assert [u.text for u in placed] == [s.text for s in sentences]
        check(placed, heard[0].start, heard[-1].end)


def test_heard_words_that_overlap_do_not_make_negative_lengths() -> None:
    heard = said((0.0, 1.0, "one"), (0.5, 0.8, "two"), (0.7, 2.0, "three"))
    check(place([Sentence("one two three four")], heard, 3.0), 0.0, 2.0)


def test_with_nothing_heard_the_text_is_spread_by_length() -> None:
    placed = place([Sentence("aaaa"), Sentence("bb cc")], [], 8.0)
    assert [(u.start, u.end) for u in placed] == [(0.0, 4.0), (4.0, 8.0)]


def test_chinese_text_is_timed_by_the_character() -> None:
    (placed,) = place([Sentence("我喜欢你")], [], 4.0)
    assert [w.text for w in placed.words] == list("我喜欢你")
    assert placed.words[2].start == pytest.approx(2.0)
    (cue,) = place([Sentence("我喜欢你", 1.0, 3.0)], [], 4.0)
    assert cue.words[2].start == pytest.approx(2.0)


def test_cues_keep_their_times_and_end_with_the_video_and_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    cues = [
        Sentence("one", 0.5, 2.0),
        Sentence("two", 1.5, 9.0),
        Sentence("three", 7.0, 9.0),
        Sentence("back", 3.0, 2.0),
    ]
    placed = place(cues, HEARD, 6.0)
    assert [(u.text, u.start, u.end) for u in placed] == [("one", 0.5, 2.0), ("two", 1.5, 6.0)]
    assert "2 of 4 subtitles are left out" in caplog.text


def test_the_subtitles_of_another_video_are_refused() -> None:
    with pytest.raises(UsageError, match=r"none of the 2 subtitles has a time within the 6\.0 s of the file"):
        place([Sentence("one", 6.5, 7.0), Sentence("two", 8.0, 9.0)], HEARD, 6.0)
