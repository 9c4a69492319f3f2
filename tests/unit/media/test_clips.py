"""From a file to clips: each utterance with the sound and the pictures of its own time, whatever the others are."""

from pathlib import Path

import numpy as np
import pytest

from media_files import greys, number_of, tone, write
from trisent.media.clips import read_clips
from trisent.types import Clip, Frames, Utterance, Word


def clips_of(path: Path, *spans: tuple[float, float]) -> list[Clip]:
    """Read the clips of these times, in their order."""
    clips = read_clips(path, [Utterance(str(i), start, end, "x") for i, (start, end) in enumerate(spans)])
    return sorted(clips, key=lambda clip: int(clip.utterance.id))


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
    (clip,) = clips_of(path, (0.0, 40.0))
    assert clip.frames is not None
    assert len(clip.frames.images) == 64
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
    before, during = clips_of(path, (0.0, 1.0), (2.0, 3.0))
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


def test_at_the_end_of_a_day_times_are_as_fine_as_at_its_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / "day.mp4", pictures=greys(2), times=[0.0, 86_390.0, 86_400.0])
    words = (Word(86_391.3, 86_391.7, "late"),)
    (clip,) = read_clips(path, [Utterance("late", 86_390.1, 86_392.1, "late", words)])
    assert clip.frames is not None
    assert [number_of(image) for image in clip.frames.images] == [1] * 4
    assert clip.frames.times.tolist() == pytest.approx([86_390.35, 86_390.85, 86_391.35, 86_391.85], rel=1e-12)
    seen, said = clip.raw("video"), clip.raw("text")
    assert isinstance(seen, Frames)
    assert seen.times.tolist() == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=1e-6)
    assert said == (Word(pytest.approx(1.2), pytest.approx(1.6), "late"),)


def test_utterances_that_end_long_after_their_file_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(50), sound=tone(2.0))
    clips_of(path, (0.0, 2.2), (1.0, 2.0), (5.0, 6.0))
    assert not caplog.messages
    clips_of(path, (0.0, 1.0), (1.0, 2.0), (1.0, 400.0))
    (told,) = caplog.messages
    assert "ends at 2.0 s, before 1 of its utterances, such as 2 (400.0 s)" in told
