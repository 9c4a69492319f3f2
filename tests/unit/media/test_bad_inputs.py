"""The twelve inputs that users bring, and what else is no video: one clear line, or the whole of what is there."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from media_files import BAD_INPUTS, REFUSED, greys, number_of, talk, tone, write
from trisent.errors import MediaError
from trisent.media.clips import read_clips
from trisent.media.probe import probe
from trisent.media.sound import read_waveform
from trisent.types import Utterance
from unit.media.conftest import read_frames

SAYS = {
    "a_directory": "folder",
    "a_text_file_named_mp4": "cannot be read as video or sound",
    "zero_bytes": "0 bytes",
    "a_truncated_mp4": "cut off",
}
# seconds of sound, shape of a picture, its number at 0.9 s
HOLDS = {
    "no_audio": (None, (48, 64, 3), 22),
    "no_video": (1.0, None, None),
    "a_fifth_of_a_second": (0.2, (48, 64, 3), None),
    "four_k": (0.12, (360, 640, 3), None),
    "rotated_by_90": (1.0, (64, 48, 3), 22),
    "eight_khz_mono": (1.0, (48, 64, 3), 22),
    "variable_frame_rate": (2.0, (48, 64, 3), 4),
    "unicode_and_blank": (1.0, (48, 64, 3), 22),
}


def test_every_one_of_the_twelve_is_judged_here() -> None:
    assert len(BAD_INPUTS) == 12
    assert set(SAYS) == set(REFUSED)
    assert set(SAYS) | set(HOLDS) == set(BAD_INPUTS)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("reader", [probe, read_waveform, lambda path: list(read_frames(path, [0.0]))])
def test_what_is_no_video_is_refused_in_one_line_that_names_it(tmp_path: Path, name: str, reader: object) -> None:
    path = BAD_INPUTS[name](tmp_path)
    with pytest.raises(MediaError) as caught:
        reader(path)
    assert str(path) in str(caught.value)
    assert SAYS[name] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", HOLDS)
def test_what_is_there_is_read(tmp_path: Path, name: str) -> None:
    path = BAD_INPUTS[name](tmp_path)
    seconds, shape, number = HOLDS[name]
    waveform, pictures = read_waveform(path), list(read_frames(path, [0.02, 0.9]))
    info = probe(path)
    assert (waveform is None) == (seconds is None) == (info.audio is None)
    assert (shape is None) == (info.video is None) == (not pictures)
    if waveform is not None:
        assert len(waveform) / 16_000 == pytest.approx(seconds, abs=0.03)
    if shape is not None:
        assert pictures[0][1].shape == shape
    if number is not None:
        assert number_of(pictures[1][1]) == number
    else:
        assert len(pictures) <= 1


def playlist(folder: Path) -> Path:
    write(folder / "a.ts", sound=tone(1.0))
    path = folder / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n")
    return path


def subtitles(folder: Path) -> Path:
    path = folder / "a.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    return path


def notes(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("only words\n" * 40)
    return path


def noise(folder: Path) -> Path:
    path = folder / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    return path


def zeros(folder: Path) -> Path:
    path = folder / "zeros.mkv"
    path.write_bytes(bytes(50_000))
    return path


def an_empty_matroska(folder: Path) -> Path:
    path = folder / "empty.mkv"
    header = b"\x1aE\xdf\xa3\x8b\x42\x82\x88matroska"  # EBML, its doc type
    path.write_bytes(header + b"\x18S\x80g\x80")  # a segment of no bytes
    return path


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


@pytest.mark.parametrize("maker", [playlist, subtitles, notes, noise, zeros, an_empty_matroska, a_pipe])
def test_other_files_are_refused_in_one_line(tmp_path: Path, maker: object) -> None:
    path = maker(tmp_path)
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        probe(tmp_path / "nothing.mp4")


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        probe(tmp_path / ("x" * 5000))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = talk(tmp_path / "a.mp4")
    path.chmod(0)
    with pytest.raises(MediaError, match="cannot be opened"):
        probe(path)
    path.chmod(stat.S_IRUSR)


@pytest.mark.parametrize("name", ["12:30 talk.mp4", "a%03d.mp4", "-x.mp4", "file:a.mp4", "你好 é.mp4"])
def test_a_name_that_means_something_to_ffmpeg_is_only_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    talk(tmp_path / "a.mp4", seconds=0.4).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).duration_s == pytest.approx(0.4, abs=0.05)


def test_damaged_packets_are_passed_over_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.ts", pictures=greys(50), sound=tone(2.0), codec_options={"g": "5"})
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in range(len(data) // 4, len(data) // 2, 188):
        data[at + 20 : at + 188] = rng.bytes(168)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, "trisent"):
        waveform = read_waveform(path)
    assert waveform is not None
    assert len(waveform) / 16_000 == pytest.approx(2.0, abs=0.2)
    assert len(caplog.records) == 1
    assert str(path) in caplog.records[0].getMessage()
    assert number_of(next(read_frames(path, [1.9]))[1]) == pytest.approx(47, abs=2)


def test_ffmpeg_keeps_its_remarks_to_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", pictures=greys(50), sound=tone(2.0))
    data = bytearray(path.read_bytes())
    data[4000:9000] = np.random.default_rng(0).bytes(5000)
    path.write_bytes(data)
    script = (
        "import sys; from pathlib import Path; from trisent.media.clips import read_clips\n"
        "from trisent.types import Utterance\n"
        "list(read_clips(Path(sys.argv[1]), [Utterance('0', 0.0, 2.0)]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    # A warning of trisent's log is all there may be.
    assert all("damaged packets" in line for line in done.stderr.splitlines())
    assert done.stdout == ""


def test_metadata_in_another_encoding_does_no_harm(tmp_path: Path) -> None:
    path = talk(tmp_path / "a.mkv", seconds=0.4)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", "视频".encode("gb18030")))
    assert probe(path).duration_s > 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_4k_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "4k.mp4", pictures=greys(20, width=3840, height=2160))
    script = (
        "import re, sys; from pathlib import Path; from trisent.media.clips import Pictures, read_clips\n"
        "from trisent.types import Utterance\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "before = peak()\n"
        "utterances = [Utterance(str(k), k / 25, (k + 1) / 25) for k in range(20)]\n"
        "for _ in read_clips(Path(sys.argv[1]), utterances, pictures=Pictures(fps=25)): pass\n"
        "print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    # The 20 pictures are 250 MB as they are stored, 500 MB as RGB.
    assert float(done.stdout) < 220


def test_pictures_of_a_kind_that_cannot_be_decoded_are_said_to_be_so(tmp_path: Path) -> None:
    path, pictures = tmp_path / "moving.webp", [Image.fromarray(picture) for picture in greys(3)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    assert "0 x 0" not in str(probe(path).video)
    with pytest.raises(MediaError, match="save it as MP4"):
        list(read_clips(path, [Utterance("all", 0.0, 0.04)]))
