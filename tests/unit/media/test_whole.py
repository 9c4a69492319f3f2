"""A file that was cut off is refused; a whole one never is, whatever its clocks say."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from media_files import cut, greys, talk, tone, write
from trisent.errors import MediaError
from trisent.media.probe import probe
from trisent.media.sound import read_waveform
from unit.media.conftest import read_frames

SECONDS = 4.0
VP9 = {"codec": "libvpx-vp9", "sound_codec": "libopus", "rate": 48_000, "sound": tone(SECONDS)}
KINDS = {
    "moov_at_the_end.mp4": {},
    "moov_in_front.mp4": {"options": {"movflags": "faststart"}},
    "fragments.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}, "codec_options": {"g": "10"}},
    "a.mov": {},
    "a.mkv": {},
    "a.webm": VP9,
    "a.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound_codec": "pcm_s16le"},
    "a.wav": {"pictures": (), "sound_codec": "pcm_s16le"},
}
STATES_TIME_ONLY = {"a.flv": {}, "a.flac": {"pictures": (), "sound_codec": "flac"}}


def make(path: Path, **how: object) -> Path:
    sound = tone(SECONDS, rate=44_100)
    return write(path, **{"pictures": greys(50) * 2, "sound": sound, "rate": 44_100, **how})


def read(path: Path) -> tuple[float, int]:
    """Read everything as a command does: seconds of sound, pictures."""
    info, waveform = probe(path), read_waveform(path)
    pictures = sum(1 for _ in read_frames(path, np.arange(0.0, info.duration_s, 0.2).tolist()))
    return 0.0 if waveform is None else len(waveform) / 16_000, pictures


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", KINDS)
def test_a_broken_download_is_called_cut_off(tmp_path: Path, name: str, part: float) -> None:
    path = cut(make(tmp_path / name, **KINDS[name]), part)
    with pytest.raises(MediaError, match=re.escape(f"{path}: is cut off")):
        read(path)


@pytest.mark.parametrize("name", STATES_TIME_ONLY)
def test_a_file_that_ends_long_before_the_time_it_states_is_called_cut_off(tmp_path: Path, name: str) -> None:
    path = cut(make(tmp_path / name, **STATES_TIME_ONLY[name]), 0.5)
    with pytest.raises(MediaError, match=re.escape(f"{path}: is cut off")):
        read(path)


def test_an_mp4_without_its_table_of_contents_is_called_cut_off(tmp_path: Path) -> None:
    path = talk(tmp_path / "a.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(MediaError, match=r"cut off.*moov"):
        probe(path)


WHOLE = {
    **KINDS,
    **STATES_TIME_ONLY,
    "a.ts": {},
    "a.mp3": {"pictures": (), "sound_codec": "libmp3lame"},
    "a.ogg": {"pictures": (), "sound_codec": "libopus", "rate": 48_000, "sound": tone(SECONDS)},
    "live.mkv": {"options": {"live": "1"}},
    "a.h264": {"sound": None, "format": "h264"},
    "long_last_picture.mkv": {"pictures": greys(3), "times": [0.0, 0.1, 0.2, SECONDS]},
    "long_last_picture_alone.mkv": {"pictures": greys(3), "times": [0.0, 0.1, 0.2, SECONDS], "sound": None},
    "short_sound.mp4": {"sound": tone(0.5, rate=44_100)},
    "short_sound.mkv": {"sound": tone(0.5, rate=44_100)},
    "short_pictures.mp4": {"pictures": greys(5)},
    "short_pictures.mkv": {"pictures": greys(5)},
    "late_sound.mp4": {"sound_start": 2.0},
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    sound_s, pictures = read(make(tmp_path / name, **WHOLE[name]))
    if not name.startswith("short"):
        assert sound_s == 0.0 or sound_s > SECONDS - 0.1
        assert pictures == 0 or pictures >= 19
    else:
        assert sound_s == pytest.approx(SECONDS if "pictures" in name else 0.5, abs=0.1)
        assert pictures in ((1, 2) if "pictures" in name else (20, 21))


def test_a_flash_video_that_does_not_say_how_long_its_last_picture_stays_is_whole(tmp_path: Path) -> None:
    assert read(make(tmp_path / "a.flv", pictures=greys(3), times=[0.0, 0.1, 0.2, SECONDS]))[0] > SECONDS - 0.1


def test_an_mp3_of_variable_rate_whose_duration_is_a_guess_is_whole(tmp_path: Path) -> None:
    # Silence first: the guess from the first frames is many times too long. Without the encoder's own header frame.
    sound = np.concatenate([np.zeros(96_000, np.float32), tone(SECONDS - 2.0)])
    path = make(tmp_path / "a.mp3", pictures=(), sound=sound, rate=48_000, sound_codec="libmp3lame",
                options={"write_xing": "0"})  # fmt: skip
    assert read(path)[0] == pytest.approx(SECONDS, abs=0.1)
    assert probe(path).duration_s == pytest.approx(SECONDS, abs=0.1)


def test_an_mp4_that_was_trimmed_by_an_edit_list_is_whole(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    for found in re.finditer(b"elst", bytes(data)):
        at = found.start() + 4
        data[at + 8 : at + 12] = struct.pack(">I", 1000)  # play one second of it
    path.write_bytes(data)
    sound_s, _ = read(path)
    assert sound_s == pytest.approx(1.0, abs=0.1)


def test_what_a_camera_appends_does_not_matter(tmp_path: Path) -> None:
    path = talk(tmp_path / "a.mp4")
    for junk in (b"\0" * 100, b"SEFT" * 9, b"\x7f\xff\xff\xffjunk"):
        (tmp_path / "b.mp4").write_bytes(path.read_bytes() + junk)
        assert read(tmp_path / "b.mp4")[0] > 1.9


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_written_to_a_pipe_has_no_size_and_is_whole(tmp_path: Path, stated: int) -> None:
    path = write(tmp_path / "a.wav", sound=tone(1.0), sound_codec="pcm_s16le")
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", stated)
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", stated or 0xFFFFFFFF)
    path.write_bytes(data)
    assert read(path)[0] == pytest.approx(1.0, abs=0.01)


def test_a_wav_whose_header_is_eight_bytes_off_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", sound=tone(1.0), sound_codec="pcm_s16le")
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", len(data))
    path.write_bytes(data)
    assert read(path)[0] == pytest.approx(1.0, abs=0.01)
