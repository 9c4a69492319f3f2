"""From a file to clips: utterances in order, with the sound and the pictures of their own time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media_files import Samples, greys, number_of, tone, write
from trisent.media.clips import MOST_FRAMES, Speech, listen, read_clips
from trisent.media.decode import read_waveform
from trisent.media.transcripts import Sentence
from trisent.types import Clip, Utterance, Word
from unit.media.conftest import SAMPLE


class Hears:
    """Stands for a recogniser, and hears what it is told."""

    def __init__(self, *words: Word) -> None:
        self._words = list(words)

    def words(self, _: Samples) -> list[Word]:
        return self._words


def never() -> Hears:
    pytest.fail("speech was to be recognised")


def clips_of(path: Path, *utterances: tuple[float, float], duration_s: float = 2.0) -> list[Clip]:
    placed = tuple(Utterance(str(i), start, end, "x") for i, (start, end) in enumerate(utterances))
    return list(read_clips(Speech(path, duration_s, placed, read_waveform(path), True, {})))


def talking(path: Path) -> Path:
    """Write two seconds of pictures with the first two seconds of the sample's speech."""
    speech = read_waveform(SAMPLE)
    assert speech is not None
    return write(path, pictures=greys(50), sound=speech[8000:40_000], rate=16_000)


def test_every_clip_has_the_sound_and_pictures_of_its_own_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(50), sound=tone(2.0))
    spans = [(0.0, 0.5), (0.5, 1.2), (1.3, 2.0)]
    clips = clips_of(path, *spans)
    for clip, (start, end) in zip(clips, spans, strict=True):
        assert clip.waveform is not None
        assert clip.frames is not None
        assert len(clip.waveform) / 16_000 == pytest.approx(end - start, abs=0.001)
        assert ((clip.frames.times >= start) & (clip.frames.times <= end)).all()
        assert [number_of(image) for image in clip.frames.images] == [int(t * 25) for t in clip.frames.times]


def test_the_number_of_pictures_is_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(50) * 20)
    (clip,) = clips_of(path, (0.0, 40.0), duration_s=40.0)
    assert clip.frames is not None
    assert len(clip.frames.images) == MOST_FRAMES
    assert (np.diff(clip.frames.times) > 0).all()


def test_after_the_end_of_the_pictures_there_is_sound_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", pictures=greys(25), sound=tone(3.0))
    during, across, after = clips_of(path, (0.0, 0.8), (0.8, 2.0), (2.0, 3.0))
    assert during.frames is not None
    assert across.frames is None or across.frames.times.max() <= 1.05
    assert after.frames is None
    assert after.waveform is not None
    assert len(after.waveform) == 16_000


def test_before_the_pictures_begin_there_is_sound_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", pictures=greys(2), times=[2.0, 2.5, 3.0], sound=tone(3.0))
    before, during = clips_of(path, (0.0, 1.0), (2.0, 3.0), duration_s=3.0)
    assert before.frames is None
    assert during.frames is not None
    assert [number_of(image) for image in during.frames.images] == [0, 1]


def test_utterances_that_overlap_get_their_own_pictures_each(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(50))
    long, short = clips_of(path, (0.0, 2.0), (0.9, 1.1))
    assert long.frames is not None
    assert short.frames is not None
    assert len(long.frames.images) == 4
    assert [number_of(image) for image in short.frames.images] == [25]


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
    assert speech.waveform is None
    assert [(u.start, u.end, u.text) for u in speech.utterances] == [(0.0, 6.0, ""), (6.0, 12.0, "")]


@pytest.mark.parametrize("seconds", [0.2, 0.0])
def test_a_moment_of_sound_is_one_utterance_without_words(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(5), sound=tone(max(seconds, 0.01)))
    speech = listen(path, never)
    assert len(speech.utterances) == 1
    assert "audio" in speech.missing
    assert len(list(read_clips(speech))) == 1


def test_recognised_words_become_utterances(tmp_path: Path) -> None:
    heard = Hears(Word(0.1, 0.5, "Good."), Word(0.6, 1.0, "Bad."))
    speech = listen(talking(tmp_path / "a.mp4"), lambda: heard)
    assert [(u.text, u.start, u.end) for u in speech.utterances] == [("Good.", 0.1, 0.5), ("Bad.", 0.6, 1.0)]
    assert speech.missing == {}


def test_speech_that_gives_no_words_is_still_heard(tmp_path: Path) -> None:
    speech = listen(talking(tmp_path / "a.mp4"), Hears)
    assert speech.missing == {"text": "no words recognised"}
    assert speech.waveform is not None
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
    assert speech.waveform is None


def test_the_length_of_a_sound_file_is_that_of_its_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", sound=tone(1.0), sound_codec="libmp3lame")
    assert listen(path, never).duration_s == pytest.approx(1.0, abs=0.01)
