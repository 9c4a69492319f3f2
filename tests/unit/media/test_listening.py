"""From a file to utterances: what was heard, what was given, and what is missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media_files import Samples, greys, tone, write
from trisent.media.listening import listen
from trisent.media.sound import read_waveform
from trisent.media.transcripts import Sentence
from trisent.types import Word
from unit.media.conftest import SAMPLE


class Hears:
    """Stands for a recogniser, and hears what it is told."""

    def __init__(self, *words: Word) -> None:
        self._words = list(words)

    def words(self, _: Samples) -> list[Word]:
        return self._words


def never() -> Hears:
    pytest.fail("speech was to be recognised")


def talking(path: Path) -> Path:
    """Write two seconds of pictures with the first two seconds of the sample's speech."""
    speech = read_waveform(SAMPLE)
    assert speech is not None
    return write(path, pictures=greys(50), sound=speech[8000:40_000], rate=16_000)


class HearsOneWord:
    """Stands for a recogniser that hears a word at the beginning of whatever it is given, and keeps what it got."""

    def __init__(self) -> None:
        self.given = list[Samples]()

    def words(self, waveform: Samples) -> list[Word]:
        self.given.append(waveform)
        return [Word(0.5, 1.0, "Word.")]


def test_a_long_file_is_heard_in_stretches_that_end_in_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trisent.media.listening.STRETCH_S", 15.0)
    monkeypatch.setattr("trisent.media.listening._PAUSE_WITHIN_S", 8.0)
    speech = read_waveform(SAMPLE)
    assert speech is not None
    path = write(tmp_path / "a.wav", sound=np.tile(speech, 3), rate=16_000, sound_codec="pcm_s16le")
    recogniser = HearsOneWord()
    heard = listen(path, lambda: recogniser)
    whole = read_waveform(path)
    np.testing.assert_array_equal(np.concatenate(recogniser.given), whole)
    assert len(recogniser.given) >= 4
    assert max(map(len, recogniser.given)) <= 15 * 16_000
    begins = np.cumsum([0, *map(len, recogniser.given)])[:-1]
    assert [u.start for u in heard.utterances] == pytest.approx(begins / 16_000 + 0.5)
    for begin in begins[1:]:
        assert np.abs(whole[begin - 800 : begin + 800]).max() < 0.02  # nobody speaks there


def test_a_file_shorter_than_a_stretch_is_heard_at_once() -> None:
    recogniser = HearsOneWord()
    listen(SAMPLE, lambda: recogniser)
    (given,) = recogniser.given
    np.testing.assert_array_equal(given, read_waveform(SAMPLE))


def test_given_times_need_no_more_listening_than_whether_anybody_speaks() -> None:
    speech = listen(SAMPLE, never, given=[Sentence("One.", 0.2, 0.8)])
    assert speech.missing == {}
    assert speech.duration_s == pytest.approx(20.0, abs=2.0)


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda n, _: np.zeros(n), id="silence"),
        pytest.param(lambda n, rng: 0.3 * rng.standard_normal(n).clip(-1, 1), id="noise"),
        pytest.param(
            lambda n, _: sum(0.1 * np.sin(2 * np.pi * hz * np.arange(n) / 16_000) for hz in (262, 330, 392, 523)),
            id="a chord",
        ),
        pytest.param(lambda n, rng: 0.01 * np.cumsum(rng.standard_normal(n)).clip(-30, 30), id="rumble"),
    ],
)
def test_what_is_no_speech_is_not_recognised(
    tmp_path: Path, sound: Callable[[int, np.random.Generator], Samples]
) -> None:
    samples = sound(16_000 * 12, np.random.default_rng(0)).astype(np.float32)
    path = write(tmp_path / "a.wav", sound=samples, rate=16_000, sound_codec="pcm_s16le")
    speech = listen(path, never)
    assert speech.missing == {"audio": "no speech", "text": "no speech", "video": "no video stream"}
    assert [(u.start, u.end, u.text) for u in speech.utterances] == [(0.0, 6.0, ""), (6.0, 12.0, "")]


@pytest.mark.parametrize("seconds", [0.2, 0.0])
def test_a_moment_of_sound_is_one_utterance_without_words(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(5), sound=tone(max(seconds, 0.01)))
    speech = listen(path, never)
    assert len(speech.utterances) == 1
    assert "audio" in speech.missing


def test_recognised_words_become_utterances(tmp_path: Path) -> None:
    heard = Hears(Word(0.1, 0.5, "Good."), Word(0.6, 1.0, "Bad."))
    speech = listen(talking(tmp_path / "a.mp4"), lambda: heard)
    assert [(u.text, u.start, u.end) for u in speech.utterances] == [("Good.", 0.1, 0.5), ("Bad.", 0.6, 1.0)]
    assert speech.missing == {}


def test_speech_that_gives_no_words_is_still_heard(tmp_path: Path) -> None:
    speech = listen(talking(tmp_path / "a.mp4"), Hears)
    assert speech.missing == {"text": "no words recognised"}
    assert len(speech.utterances) == 1


def test_given_times_need_no_recognition(tmp_path: Path) -> None:
    cues = [Sentence("One.", 0.2, 0.8), Sentence("Two.", 1.0, 1.9)]
    speech = listen(talking(tmp_path / "a.mp4"), never, given=cues)
    assert [(u.text, u.start, u.end) for u in speech.utterances] == [("One.", 0.2, 0.8), ("Two.", 1.0, 1.9)]


def test_given_text_takes_the_times_of_the_words_heard(tmp_path: Path) -> None:
    heard = Hears(Word(0.1, 0.5, "good"), Word(0.6, 1.0, "bed"))
    speech = listen(talking(tmp_path / "a.mp4"), lambda: heard, given=[Sentence("Good bad.")])
    assert [(u.text, u.start, u.end) for u in speech.utterances] == [("Good bad.", 0.1, 1.0)]


@pytest.mark.parametrize("sound", [None, np.zeros(96_000, np.float32)], ids=["no sound", "silence"])
def test_text_given_for_a_silent_video_is_spread_over_it(tmp_path: Path, sound: Samples | None) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(50), sound=sound)
    speech = listen(path, never, given=[Sentence("aaaa"), Sentence("bbbb")])
    assert [(u.text, round(u.start, 1), round(u.end, 1)) for u in speech.utterances] == [
        ("aaaa", 0.0, 1.0),
        ("bbbb", 1.0, 2.0),
    ]
    assert set(speech.missing) == {"audio"}


def test_the_length_of_a_sound_file_is_that_of_its_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", sound=tone(1.0), sound_codec="libmp3lame")
    assert listen(path, never).duration_s == pytest.approx(1.0, abs=0.01)
