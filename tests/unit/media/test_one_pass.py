"""Clips against an independent decoding of the whole file: whatever is left out on the way, the result is the same."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media_files import Picture, Samples, greys, number_of, tone, turn, write
from trisent.media.clips import Pictures, read_clips
from trisent.media.container import Decoder
from trisent.media.probe import probe
from trisent.types import Clip, Utterance

HZ = 16_000
SECONDS = 12.0
Spans = Sequence[tuple[float, float]]


def moving(n: int, *, width: int = 96, height: int = 64) -> Iterator[Picture]:
    """Paint pictures of which no two are the same, with something that moves."""
    wall = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    wall = wall.repeat(8, 0).repeat(8, 1)
    for k in range(n):
        x, y = (round(size / 2 * (1 + math.sin(k / pace))) for size, pace in ((width, 9), (height, 13)))
        picture = wall[y : y + height, x : x + width].copy()
        picture[k % height], picture[:, 3 * k % width] = 255, 0
        yield picture


def read(path: Path, spans: Spans, **how: object) -> list[Clip]:
    """Read the clips of these times, in their order."""
    clips = read_clips(path, [Utterance(str(i), start, end) for i, (start, end) in enumerate(spans)], **how)
    return sorted(clips, key=lambda clip: int(clip.utterance.id))


def plainly(path: Path) -> list[tuple[float, Picture]]:
    """Decode every picture, without any of trisent: (time, RGB)."""
    with av.open(str(path)) as file:
        start_s = (file.start_time or 0) / 1e6
        return [(frame.time - start_s, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]


X264 = {"preset": "medium", "bf": "3", "g": "50"}
FILES = {
    "b_frames.mp4": {"codec_options": X264},
    "b_frames.mkv": {"codec_options": {**X264, "bf": "5", "b_strategy": "0"}},
    "b_frames.ts": {"codec_options": X264},
    "one_keyframe.mp4": {"codec_options": {**X264, "g": "10000"}},
    "open_groups.mkv": {"codec_options": {**X264, "x264-params": "open-gop=1"}},
    "no_keyframes.ts": {"codec_options": {"preset": "medium", "x264-params": "intra-refresh=1:keyint=50"}},
    "hevc.mp4": {"codec": "libx265", "codec_options": {"x265-params": "log-level=none:keyint=50"}},
    "vp8_hidden_pictures.webm": {
        "codec": "libvpx",
        "codec_options": {"g": "50", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"},
        "sound_codec": "libopus",
    },
    "vp9.webm": {"codec": "libvpx-vp9", "codec_options": {"g": "50", "cpu-used": "8"}, "sound_codec": "libopus"},
    "mpeg4.avi": {"codec": "mpeg4", "codec_options": {"bf": "2", "g": "50"}, "sound_codec": "libmp3lame"},
    "mpeg2.mpg": {"codec": "mpeg2video", "codec_options": {"bf": "2", "g": "15"}, "sound_codec": "mp2"},
    "only_keyframes.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound_codec": "pcm_s16le"},
    "variable.mp4": {"codec_options": X264, "times": "variable"},
    "variable.mkv": {"codec_options": X264, "times": "variable"},
}
SPANS: dict[str, Spans] = {
    "dense": [(k / 2, k / 2 + 0.5) for k in range(22)],
    "sparse": [(9.3, 10.1), (2.9, 3.0)],
    "overlapping": [(0.0, 11.0), (2.0, 3.3), (2.0, 3.3), (1.5, 9.0), (2.9, 3.1)],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    n = round(SECONDS * 25)
    lengths = np.random.default_rng(3).choice([0.02, 0.03, 0.04, 0.04, 0.05, 0.1], n)
    for name, how in FILES.items():
        times = {"times": [0.0, *np.cumsum(lengths).tolist()]} if "times" in how else {}
        write(folder / name, **{"pictures": moving(n), "sound": tone(SECONDS), **how, **times})
    return folder


@pytest.mark.parametrize("spans", SPANS)
@pytest.mark.parametrize("name", FILES)
def test_every_picture_is_the_one_that_a_full_decoding_shows_at_its_time(files: Path, name: str, spans: str) -> None:
    shown = plainly(files / name)
    clips = read(files / name, SPANS[spans], sound=False)
    assert len(clips) == len(SPANS[spans])
    for clip in clips:
        assert clip.frames is not None
        for time, image in zip(clip.frames.times, clip.frames.images, strict=True):
            on_screen = [picture for begin, picture in shown if begin <= time + 2e-6][-1]
            np.testing.assert_array_equal(image, on_screen, err_msg=f"{name} at {time} s")


@pytest.mark.parametrize("name", FILES)
def test_an_utterance_does_not_depend_on_the_others(files: Path, name: str) -> None:
    together = read(files / name, SPANS["overlapping"])
    for span, clip in zip(SPANS["overlapping"], together, strict=True):
        (alone,) = read(files / name, [span])
        assert alone.frames is not None
        assert clip.frames is not None
        np.testing.assert_array_equal(alone.frames.images, clip.frames.images)
        np.testing.assert_array_equal(alone.waveform, clip.waveform)


@pytest.mark.parametrize("threads", [2, 4])
def test_the_number_of_threads_changes_nothing(files: Path, threads: int) -> None:
    one, many = (read(files / "b_frames.mp4", SPANS["dense"], threads=n) for n in (1, threads))
    for a, b in zip(one, many, strict=True):
        assert a.frames is not None
        assert b.frames is not None
        np.testing.assert_array_equal(a.frames.images, b.frames.images)


@pytest.mark.parametrize(
    ("name", "part"), [("only_keyframes.mov", 0.05), ("b_frames.mp4", 0.5), ("mpeg2.mpg", 0.2), ("vp9.webm", 0.5)]
)
def test_what_nobody_looks_at_is_not_decoded(
    files: Path, name: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets, decode = list[int](), Decoder.decode
    monkeypatch.setattr(Decoder, "decode", lambda self, packet: packets.append(1) or decode(self, packet))
    read(files / name, SPANS["sparse"], sound=False)
    assert 0 < len(packets) < part * SECONDS * 25


def test_clips_come_in_the_order_in_which_they_end_as_soon_as_they_are_complete(files: Path) -> None:
    spans = [(5.0, math.inf), (4.0, 5.0), (1.0, 8.0), (1.0, 2.0), (0.5, 2.0)]
    clips = read_clips(files / "b_frames.mp4", [Utterance(str(i), a, b) for i, (a, b) in enumerate(spans)])
    assert [clip.utterance.id for clip in clips] == ["3", "4", "1", "2", "0"]


@pytest.mark.parametrize("name", ["b_frames.mp4", "b_frames.ts", "vp9.webm"])
def test_an_utterance_without_an_end_lasts_to_the_end_of_the_file(files: Path, name: str) -> None:
    (clip,) = read(files / name, [(10.0, math.inf)])
    assert clip.utterance.end == pytest.approx(SECONDS, abs=0.05)
    assert clip.waveform is not None
    assert clip.frames is not None
    assert len(clip.waveform) / HZ == pytest.approx(SECONDS - 10, abs=0.05)
    assert len(clip.frames.times) == pytest.approx(4, abs=1)
    assert clip.frames.times[-1] > 11.5


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mkv", {}),
        ("a.mp4", {}),
        ("a.wmv", {"codec": "wmv2"}),
        ("a.flv", {"rate": 44_100, "sound": tone(3.0, rate=44_100)}),
        (
            "live.flv",
            {"rate": 44_100, "sound": tone(3.0, rate=44_100), "options": {"flvflags": "no_duration_filesize"}},
        ),
    ],
)
def test_a_recording_that_was_joined_late_begins_at_its_first_picture_and_is_whole(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    options = {"output_ts_offset": "40", **how.get("options", {})}
    path = write(tmp_path / name, **{"pictures": moving(75), "sound": tone(3.0), **how, "options": options})
    (clip,) = read(path, [(0.0, math.inf)])
    assert probe(path).duration_s == pytest.approx(3.0, abs=0.1)
    assert clip.utterance.end == pytest.approx(3.0, abs=0.1)
    assert clip.frames is not None
    assert clip.waveform is not None
    assert len(clip.frames.times) == pytest.approx(6, abs=1)
    assert len(clip.waveform) / HZ == pytest.approx(3.0, abs=0.1)


def test_an_utterance_after_the_end_of_the_file_has_neither_sound_nor_pictures(files: Path) -> None:
    for clip in read(files / "b_frames.mp4", [(20.0, 30.0), (90.0, math.inf)]):
        assert clip.waveform is None
        assert clip.frames is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_of_a_turned_camera_are_upright(tmp_path: Path, degrees: int) -> None:
    path = turn(write(tmp_path / "a.mp4", pictures=moving(100), codec_options=X264), degrees)
    (clip,) = read(path, [(1.0, 3.0)])
    assert clip.frames is not None
    for time, image in zip(clip.frames.times, clip.frames.images, strict=True):
        on_screen = [picture for begin, picture in plainly(path) if begin <= time][-1]
        np.testing.assert_array_equal(image, np.rot90(on_screen, degrees // 90))


def chirp(seconds: float) -> Samples:
    """Make a sound in which every moment is different: its pitch rises."""
    times = np.arange(round(seconds * 48_000)) / 48_000
    return (0.5 * np.sin(2 * np.pi * (200 + 5 * times) * times)).astype(np.float32)


def heard_plainly(path: Path) -> Samples:
    """Decode the whole sound, without any of trisent."""
    with av.open(str(path)) as file:
        mono = av.AudioResampler(format="flt", layout="mono", rate=HZ)
        frames = [*file.decode(audio=0), None]
        return np.concatenate([piece.to_ndarray()[0] for frame in frames for piece in mono.resample(frame)])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mp3", "a.ogg"])
@pytest.mark.parametrize("start_s", [0.0, 14.0, 31.7])
def test_sound_from_the_middle_is_that_of_a_full_decoding(tmp_path: Path, name: str, start_s: float) -> None:
    codec = {"a.mp3": "libmp3lame", "a.ogg": "libopus"}.get(name, "aac")
    path = write(tmp_path / name, sound=chirp(40.0), sound_codec=codec)
    (clip,) = read(path, [(start_s, start_s + 2.0)])
    assert clip.waveform is not None
    assert len(clip.waveform) == 2 * HZ
    near = np.pad(heard_plainly(path), round(0.1 * HZ))[round(start_s * HZ) :][: round(2.2 * HZ)]
    # where it fits best, to one part of a sample: time stamps are rounded to a millisecond in some formats
    fits = np.fft.irfft(np.fft.rfft(near, 1 << 17) * np.fft.rfft(clip.waveform, 1 << 17).conj())
    shift = int(fits[: len(near) - 2 * HZ].argmax())
    assert shift / HZ == pytest.approx(0.1, abs=0.03)
    part = near[shift:][: 2 * HZ]
    assert np.corrcoef(part, clip.waveform)[0, 1] > 0.99


@pytest.mark.parametrize(("name", "late_s"), [("a.mp4", 0.7), ("a.mkv", 1.5), ("a.ts", 0.7)])
def test_sound_that_begins_later_than_the_pictures_keeps_its_time(tmp_path: Path, name: str, late_s: float) -> None:
    path = write(tmp_path / name, pictures=greys(50), sound=tone(1.0), sound_start=late_s)
    (clip,) = read(path, [(0.4, late_s + 0.5)])
    assert clip.waveform is not None
    assert clip.frames is not None
    loud = np.flatnonzero(np.abs(clip.waveform) > 0.05)
    assert loud[0] / HZ == pytest.approx(late_s - 0.4, abs=0.03)
    assert [number_of(image) for image in clip.frames.images] == pytest.approx([int(25 * t) for t in clip.frames.times])


def test_pictures_that_begin_later_than_the_sound_keep_their_time(tmp_path: Path) -> None:
    times = [1.0 + k / 25 for k in range(51)]
    path = write(tmp_path / "a.mkv", pictures=greys(50), times=times, sound=tone(3.0))
    before, during = read(path, [(0.0, 0.4), (1.5, 2.5)])
    assert before.frames is None
    assert before.waveform is not None
    assert during.frames is not None
    assert [number_of(image) for image in during.frames.images] == [int(25 * (t - 1)) for t in during.frames.times]


def test_recordings_that_were_joined_follow_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "1.ts", pictures=greys(25), sound=tone(1.0)).read_bytes()
    offset = {"output_ts_offset": "500"}
    second = write(tmp_path / "2.ts", pictures=greys(50)[25:], sound=tone(1.0, hz=880), options=offset).read_bytes()
    (tmp_path / "joined.ts").write_bytes(first + second)
    (clip,) = read(tmp_path / "joined.ts", [(0.5, 1.9)])
    assert clip.frames is not None
    assert clip.waveform is not None
    for time, image in zip(clip.frames.times, clip.frames.images, strict=True):
        assert number_of(image) == pytest.approx(int(25 * time), abs=2)
    assert len(clip.waveform) == pytest.approx(1.4 * HZ, abs=1)
    later = clip.waveform[int(0.7 * HZ) : int(1.3 * HZ)]
    assert np.abs(np.fft.rfft(later)).argmax() * HZ / len(later) == pytest.approx(880, abs=4)


@pytest.mark.parametrize("part", [0.13, 0.37, 0.61])
@pytest.mark.parametrize("name", ["b_frames.ts", "mpeg2.mpg"])
def test_a_recording_that_was_cut_out_of_a_longer_one_shows_what_a_full_decoding_does(
    files: Path, tmp_path: Path, name: str, part: float
) -> None:
    data = (files / name).read_bytes()
    (tmp_path / name).write_bytes(data[int(part * len(data)) :])
    shown = plainly(tmp_path / name)
    (clip,) = read(tmp_path / name, [(0.0, shown[-1][0])])
    assert clip.frames is not None
    for time, image in zip(clip.frames.times, clip.frames.images, strict=True):
        on_screen = [picture for begin, picture in shown if begin <= time + 2e-6] or [shown[0][1]]
        np.testing.assert_array_equal(image, on_screen[-1])


def test_the_size_may_change_in_the_middle(tmp_path: Path) -> None:
    small = write(tmp_path / "1.ts", pictures=greys(25)).read_bytes()
    large = write(tmp_path / "2.ts", pictures=greys(50, width=128, height=96)[25:]).read_bytes()
    (tmp_path / "joined.ts").write_bytes(small + large)
    (clip,) = read(tmp_path / "joined.ts", [(0.0, 2.0)])
    assert clip.frames is not None
    assert clip.frames.images.shape[1:] == (48, 64, 3)
    assert [number_of(image) for image in clip.frames.images] == pytest.approx([6, 18, 31, 43], abs=2)


@pytest.mark.parametrize(
    ("pictures", "shape"),
    [
        (Pictures(), (240, 640)),
        (Pictures(shorter_side=128, longest_side=None), (128, 341)),
        (Pictures(shorter_side=128, longest_side=160), (60, 160)),
        (Pictures(shorter_side=1000, longest_side=None), (300, 800)),
    ],
)
def test_pictures_are_scaled_down_never_up(tmp_path: Path, pictures: Pictures, shape: tuple[int, int]) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(5, width=800, height=300), aspect=Fraction(1))
    (clip,) = read(path, [(0.0, 0.2)], pictures=pictures)
    assert clip.frames is not None
    assert clip.frames.images.shape[1:3] == shape


@pytest.mark.parametrize("how", [{"fps": 0.0}, {"fps": math.nan}, {"most": 0}, {"longest_side": 0}])
def test_pictures_that_cannot_be_are_refused(how: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Pictures(**how)


def test_the_rate_and_the_number_of_pictures_can_be_chosen(files: Path) -> None:
    (often,) = read(files / "b_frames.mp4", [(1.0, 3.0)], pictures=Pictures(fps=10))
    (bounded,) = read(files / "b_frames.mp4", [(1.0, 3.0)], pictures=Pictures(fps=10, most=5))
    (none,) = read(files / "b_frames.mp4", [(1.0, 3.0)], pictures=None)
    assert often.frames is not None
    assert bounded.frames is not None
    assert often.frames.times.tolist() == pytest.approx(np.arange(1.05, 3.0, 0.1).tolist())
    assert bounded.frames.times.tolist() == pytest.approx([1.2, 1.6, 2.0, 2.4, 2.8])
    assert none.frames is None
    assert none.waveform is not None
