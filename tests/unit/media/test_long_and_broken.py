"""Files that are long, cut off, or damaged: memory stays flat, and what cannot be read is one MediaError."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from media_files import cut, greys, number_of, tone, write
from trisent.errors import MediaError
from trisent.media.clips import read_clips
from trisent.media.sound import read_waveform
from trisent.types import Clip, Utterance

FILES = {
    "a.mp4": {"codec_options": {"preset": "medium", "bf": "3", "g": "25"}},
    "in_front.mp4": {"codec_options": {"g": "25"}, "options": {"movflags": "faststart"}},
    "fragments.mp4": {"codec_options": {"g": "25"}, "options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {"codec_options": {"preset": "medium", "bf": "3", "g": "25"}},
    "a.webm": {"codec": "libvpx-vp9", "codec_options": {"g": "25", "cpu-used": "8"}, "sound_codec": "libopus"},
    "a.ts": {"codec_options": {"g": "25"}},
    "a.avi": {"codec": "mpeg4", "codec_options": {"bf": "2", "g": "25"}, "sound_codec": "libmp3lame"},
    "a.flv": {"rate": 44_100, "sound": tone(4.0, rate=44_100)},
    "a.ogg": {"pictures": (), "sound_codec": "libopus"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8", "sound": None},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name, how in FILES.items():
        write(folder / name, **{"pictures": greys(50) * 2, "sound": tone(4.0), **how})
    return folder


def halves(n: int) -> list[Utterance]:
    return [Utterance(str(k), k / 2, k / 2 + 0.5) for k in range(n)]


@pytest.mark.parametrize("name", ["in_front.mp4", "fragments.mp4", "a.mkv", "a.webm", "a.flv"])
def test_of_a_broken_download_the_complete_clips_come_before_the_error(files: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((files / name).read_bytes())
    whole, got = list(read_clips(path, halves(8))), list[Clip]()
    clips = read_clips(cut(path, 0.7), halves(8))

    def take() -> None:
        while True:
            got.append(next(clips))

    with pytest.raises(MediaError, match="cut off"):
        take()
    assert 1 <= len(got) < 8
    for before, after in zip(whole, got, strict=False):
        assert before.utterance == after.utterance
        assert before.frames is not None
        assert after.frames is not None
        np.testing.assert_array_equal(before.frames.images, after.frames.images)
        np.testing.assert_array_equal(before.waveform, after.waveform)


def test_what_lies_before_the_break_needs_no_whole_file(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes((files / path.name).read_bytes())
    assert len(list(read_clips(cut(path, 0.7), halves(2)))) == 2


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in one of five ways."""
    changed, n = bytearray(data), len(data)
    match int(rng.integers(5)):
        case 0:
            for at in rng.integers(0, n, rng.integers(1, 30)):
                changed[at] ^= 1 << int(rng.integers(8))
        case 1:
            del changed[rng.integers(1, n) :]
        case 2:
            at = int(rng.integers(n))
            changed[at : at + 2000] = rng.bytes(min(2000, n - at))
        case 3:
            for at in rng.integers(0, min(n, 1500), 10):
                changed[at] = int(rng.integers(256))
        case _:
            a, b = sorted(rng.integers(0, n, 2))
            changed = changed[:a] + changed[b:] + changed[a:b]
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_clips_or_one_media_error(
    files: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    utterances = [*halves(8), Utterance("open", 1.0, float("inf")), Utterance("after", 50.0, 60.0)]
    for seed in range(12):
        path = tmp_path / f"{seed}_{name}"
        path.write_bytes(mutated((files / name).read_bytes(), np.random.default_rng(seed)))
        got = list[str]()
        try:
            for clip in read_clips(path, utterances):
                got.append(clip.utterance.id)
                assert clip.waveform is None or np.isfinite(clip.waveform).all()
                assert clip.frames is None or len(clip.frames.images) == len(clip.frames.times)
        except MediaError as error:
            assert str(path) in str(error)  # noqa: PT017 (it may also go well)
        else:
            assert sorted(got) == sorted(u.id for u in utterances)


def test_a_stream_of_many_channels_of_unknown_position_is_heard(tmp_path: Path) -> None:
    import av

    path = tmp_path / "nine.ogg"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="9 channels", options={"mapping_family": "255"})
        samples = np.repeat(tone(0.96)[:, None], 9, axis=1)
        for first in range(0, len(samples), 960):
            part = np.ascontiguousarray(samples[first : first + 960].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout="9 channels")
            frame.sample_rate, frame.pts = 48_000, first
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    waveform = read_waveform(path)
    assert waveform is not None
    assert np.abs(np.fft.rfft(waveform)).argmax() * 16_000 / len(waveform) == pytest.approx(440, abs=4)


def test_when_the_sound_ends_long_before_the_pictures_clips_do_not_wait_for_it(tmp_path: Path) -> None:
    n = 6000
    pictures = (picture for k in range(n // 50) for picture in greys(50, width=16, height=16))
    path = write(tmp_path / "a.mkv", pictures=pictures, sound=tone(2.0), codec="ffv1", pix_fmt="gray")
    clips = read_clips(cut(path, 0.9), [Utterance(str(k), 2.0 * k, 2.0 * k + 2) for k in range(n // 50)])
    for k in range(80):  # before the file turns out to be cut off
        clip = next(clips)
        assert (clip.waveform is None) == (k > 1)
        assert clip.frames is not None
        assert [number_of(image) for image in clip.frames.images] == [6, 18, 31, 43]


def test_when_the_pictures_end_long_before_the_sound_clips_do_not_wait_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mkv", pictures=greys(50), sound=tone(60.0), codec_options={"preset": "medium"})
    monkeypatch.setattr("trisent.media.clips._PICTURES_ENDED", 100)
    clips = read_clips(cut(path, 0.9), halves(120))
    for k in range(80):
        clip = next(clips)
        assert (clip.frames is None) == (k > 3)
        if clip.frames is not None:
            assert [number_of(image) for image in clip.frames.images] == [int(25 * (k / 2 + 0.25))]
        assert clip.waveform is not None
        assert len(clip.waveform) == 8000


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    minute = write(tmp_path / "minute.ts", pictures=greys(50, width=160, height=96) * 30, sound=tone(60.0))
    (tmp_path / "long.ts").write_bytes(minute.read_bytes() * 20)
    script = (
        "import re, sys; from pathlib import Path; from trisent.media.clips import read_clips\n"
        "from trisent.types import Utterance\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "def read(path, minutes):\n"
        "    utterances = [Utterance(str(k), 6.0 * k, 6.0 * k + 6) for k in range(10 * minutes)]\n"
        "    return sum(len(c.frames.images) == 12 for c in read_clips(path, utterances, threads=1))\n"
        "assert read(Path(sys.argv[1]), 1) >= 9\n"
        "before = peak()\n"
        "assert read(Path(sys.argv[2]), 20) >= 190\n"
        "print(peak() - before)"
    )
    command = [sys.executable, "-c", script, str(minute), str(tmp_path / "long.ts")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 15  # MB; the sound alone is 77, the pictures are 110
