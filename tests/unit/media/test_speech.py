"""Words to utterances; and, with the real weights, the sample clip to its words."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from media_files import Samples, tone
from trisent.media.sound import read_waveform
from trisent.media.speech import (
    LONGEST_S,
    Recogniser,
    has_speech,
    longest_pause,
    utterances_from_words,
    utterances_without_words,
)
from trisent.types import Utterance, Word
from unit.media.conftest import SAMPLE

HZ = 16_000


def spoken(text: str, *, each_s: float = 0.4) -> list[Word]:
    return [Word(i * each_s, (i + 1) * each_s, word) for i, word in enumerate(text.split())]


def texts(utterances: list[Utterance]) -> list[str]:
    return [u.text for u in utterances]


@pytest.fixture(scope="module")
def speech() -> Samples:
    waveform = read_waveform(SAMPLE)
    assert waveform is not None
    return waveform


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("I like it. You do too!", ["I like it.", "You do too!"]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        ("Dr. Smith met Mr. J. Jones.", ["Dr. Smith met Mr. J. Jones."]),
        ("no full stop at all", ["no full stop at all"]),
        ("It costs 3.5 euros.", ["It costs 3.5 euros."]),
    ],
)
def test_a_full_stop_ends_an_utterance(text: str, sentences: list[str]) -> None:
    assert texts(utterances_from_words(spoken(text))) == sentences


def test_a_pause_of_a_second_ends_an_utterance() -> None:
    words = [Word(0.0, 0.5, "one"), Word(1.4, 2.0, "two"), Word(3.0, 3.5, "three")]
    assert texts(utterances_from_words(words)) == ["one two", "three"]


def test_no_utterance_is_longer_than_the_limit() -> None:
    utterances = utterances_from_words(spoken("word " * 200))
    assert max(u.end - u.start for u in utterances) <= LONGEST_S + 1e-9
    assert sum(len(u.words) for u in utterances) == 200


@pytest.mark.parametrize(("seconds", "n"), [(0.0, 1), (0.2, 1), (10.0, 1), (10.1, 2), (65.0, 7)])
def test_a_video_without_words_is_divided_evenly(seconds: float, n: int) -> None:
    utterances = utterances_without_words(seconds)
    assert len(utterances) == n
    assert [u.end - u.start for u in utterances] == pytest.approx([seconds / n] * n)
    assert utterances[-1].end == seconds


def test_speech_is_told_from_a_tone(speech: Samples) -> None:
    assert has_speech(speech)
    assert not has_speech(tone(3.0, rate=HZ))
    assert not has_speech(np.zeros(0, np.float32))


def test_the_longest_pause_is_found_in_its_middle(speech: Samples) -> None:
    written = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))["sentences"]
    gap = np.zeros(5 * HZ, np.float32)
    cut = round(written[1]["end"] * HZ) + HZ // 4
    pause = longest_pause(np.concatenate([speech[HZ:cut], gap, speech[cut : 15 * HZ]]))
    assert pause / HZ == pytest.approx(cut / HZ - 1 + 2.5, abs=0.6)
    assert longest_pause(np.zeros(4 * HZ, np.float32)) == 2 * HZ
    assert longest_pause(np.zeros(0, np.float32)) == 0


@pytest.mark.embedded
def test_the_sample_clip_is_heard_sentence_by_sentence(speech: Samples, embedded_weights: Mapping[str, Path]) -> None:
    written = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))["sentences"]
    heard = utterances_from_words(Recogniser(embedded_weights["whisper-tiny-en"]).words(speech))
    assert len(heard) == len(written)
    for utterance, sentence in zip(heard, written, strict=True):
        assert _plain(utterance.text) == _plain(sentence["text"])
        assert utterance.start == pytest.approx(sentence["start"], abs=0.5)
        assert utterance.end == pytest.approx(sentence["end"], abs=0.75)  # Whisper's last words reach into the pause


@pytest.mark.embedded
def test_what_is_no_speech_gives_no_words(embedded_weights: Mapping[str, Path]) -> None:
    recogniser, rng = Recogniser(embedded_weights["whisper-tiny-en"]), np.random.default_rng(0)
    noise = (0.2 * rng.standard_normal(5 * HZ)).clip(-1, 1).astype(np.float32)
    for waveform in (np.zeros(5 * HZ, np.float32), noise, tone(5.0, rate=HZ), noise[: HZ // 5], noise[:10]):
        assert recogniser.words(waveform) == []


@pytest.mark.embedded
def test_words_are_in_order_and_within_the_sound(speech: Samples, embedded_weights: Mapping[str, Path]) -> None:
    part = speech[: 7 * HZ]
    words = Recogniser(embedded_weights["whisper-tiny-en"]).words(part)
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert len(words) > 10
    assert edges == sorted(edges)
    assert edges[-1] <= 7.0


def _plain(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
