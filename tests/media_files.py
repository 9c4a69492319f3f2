"""Tiny media files made on the spot with PyAV, whole and broken; nothing is committed, nothing is downloaded.

    write(path, pictures=greys(25), sound=tone(1.0))

Every maker takes the path to write and returns it; `BAD_INPUTS` names the twelve that any command must survive.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from trisent.samples import TALK

FPS = 25
RATE_HZ = 48_000
_SENTENCE_S = 4.2  # the second one begins at 4.3 s
Picture = NDArray[np.uint8]
Samples = NDArray[np.float32]

# How a display matrix turns a picture counter-clockwise: a, b, c, d of tkhd, in 16.16 fixed point.
_TURNS = {0: (1, 0, 0, 1), 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}


def tone(seconds: float, *, hz: float = 440.0, rate: int = RATE_HZ, level: float = 0.5) -> Samples:
    """Make a sine.  [samples]"""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def plain(colour: Sequence[int], *, width: int = 64, height: int = 48) -> Picture:
    """Paint a picture in one colour."""
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def greys(n: int, *, width: int = 64, height: int = 48) -> list[Picture]:
    """Paint n pictures that tell their number: `number_of` reads it back, also after lossy compression."""
    return [plain([grey_of(k)] * 3, width=width, height=height) for k in range(n)]


def grey_of(k: int) -> int:
    """Return the grey of picture number k (0..54)."""
    return 20 + 4 * k


def number_of(picture: Picture) -> int:
    """Read the number of a picture that `greys` painted."""
    return round((float(picture.mean()) - 20) / 4)


def write(
    path: Path,
    *,
    pictures: Iterable[Picture] = (),
    times: Sequence[float] | None = None,
    sound: Samples | None = None,
    rate: int = RATE_HZ,
    sound_start: float = 0.0,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound_codec: str = "aac",
    layout: str = "mono",
    aspect: Fraction | None = None,
    format: str | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Write a media file.

    Args:
        path: where; its suffix decides the container unless `format` does.
        pictures: RGB uint8 [height, width, 3].
        times: seconds at which the pictures begin, and the end of the last; 25 a second if None.
        sound: float32 [samples] or [channels, samples]; begins at `sound_start` seconds.
        aspect: width of a pixel in heights of it.
    """
    with av.open(str(path), "w", format=format, options=options or {}) as file:
        packets: list[tuple[float, av.Packet]] = []
        if pictures := list(pictures):
            packets += _pictures(file, pictures, times, codec, pix_fmt, aspect, codec_options)
        if sound is not None:
            packets += _sound(file, np.atleast_2d(sound), rate, sound_start, sound_codec, layout)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            file.mux(packet)
    return path


def _pictures(
    file: av.container.OutputContainer,
    pictures: Sequence[Picture],
    times: Sequence[float] | None,
    codec: str,
    pix_fmt: str,
    aspect: Fraction | None,
    codec_options: dict[str, str] | None,
) -> list[tuple[float, av.Packet]]:
    height, width, _ = pictures[0].shape
    speed = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"}}
    options = {**speed.get(codec, {}), **(codec_options or {})}
    stream = file.add_stream(codec, rate=FPS, width=width, height=height, pix_fmt=pix_fmt, options=options)
    stream.codec_context.thread_count = 1
    if aspect is not None:
        stream.codec_context.sample_aspect_ratio = aspect
    base = Fraction(1, FPS) if times is None else Fraction(1, 1000)
    stream.codec_context.time_base = base
    ticks = list(range(len(pictures) + 1)) if times is None else [round(time * 1000) for time in times]
    found = []
    for picture, (start, end) in zip(pictures, pairwise(ticks), strict=True):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base, frame.duration = start, base, end - start
        found += stream.encode(frame)
    found += stream.encode()
    lengths = {start: end - start for start, end in pairwise(ticks)}
    for packet in found:  # encoders forget it
        packet.duration = round(lengths[round(packet.pts * packet.time_base / base)] * base / packet.time_base)
    return [(float((packet.dts or 0) * packet.time_base), packet) for packet in found]


def _sound(
    file: av.container.OutputContainer, samples: Samples, rate: int, start_s: float, codec: str, layout: str
) -> list[tuple[float, av.Packet]]:
    stream = file.add_stream(codec, rate=rate, layout=layout)
    whole = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate, frame_size=1024)
    found = []
    for first in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, first : first + 1024]), format="fltp", layout=layout
        )
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), first + round(start_s * rate)
        for piece in whole.resample(frame):
            found += stream.encode(piece)
    for piece in whole.resample(None):
        found += stream.encode(piece)
    found += stream.encode()
    return [(float((packet.dts or 0) * packet.time_base), packet) for packet in found]


def cut(path: Path, part: float) -> Path:
    """Keep only the first `part` of a file, as a broken download does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def turn(path: Path, degrees: int) -> Path:
    """Write into the display matrix of an mp4 that players turn its pictures counter-clockwise by `degrees`."""
    return lay_out(path, _TURNS[degrees])


def lay_out(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into an mp4: players show what is at (x, y) at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix is 40 bytes into the box
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def talk(path: Path, *, seconds: float = 2.0) -> Path:
    """Write a sound whole video without any speech: greys and a tone."""
    return write(path, pictures=greys(min(50, round(seconds * FPS))), sound=tone(seconds))


def one_sentence(path: Path) -> Path:
    """Write the beginning of the sample clip, packet by packet: one sentence and the face that says it."""
    with av.open(str(TALK)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.pts is not None and packet.pts * packet.time_base < _SENTENCE_S:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


# The twelve inputs that users bring. Each maker takes an empty folder and returns the path to hand to a command.


def a_directory(folder: Path) -> Path:
    (folder / "videos").mkdir()
    return folder / "videos"


def a_text_file_named_mp4(folder: Path) -> Path:
    path = folder / "notes.mp4"
    path.write_text("This is no video, only a text that somebody renamed.\n" * 40, encoding="utf-8")
    return path


def zero_bytes(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def a_truncated_mp4(folder: Path) -> Path:
    return cut(talk(folder / "truncated.mp4"), 0.6)


def no_audio(folder: Path) -> Path:
    return write(folder / "silent.mp4", pictures=greys(25))


def no_video(folder: Path) -> Path:
    return write(folder / "sound.mp4", sound=tone(1.0))


def a_fifth_of_a_second(folder: Path) -> Path:
    return write(folder / "short.mp4", pictures=greys(5), sound=tone(0.2))


def four_k(folder: Path) -> Path:
    return write(folder / "4k.mp4", pictures=greys(3, width=3840, height=2160), sound=tone(0.12))


def rotated_by_90(folder: Path) -> Path:
    return turn(write(folder / "rotated.mp4", pictures=greys(25), sound=tone(1.0)), 90)


def eight_khz_mono(folder: Path) -> Path:
    sound = tone(1.0, rate=8000)
    return write(folder / "telephone.mp4", pictures=greys(25), sound=sound, rate=8000)


def variable_frame_rate(folder: Path) -> Path:
    times = [0.0, 0.04, 0.5, 0.54, 0.6, 2.0]  # the last picture stays for 1.4 s
    return write(folder / "variable.mp4", pictures=greys(5), times=times, sound=tone(2.0))


def unicode_and_blank(folder: Path) -> Path:
    (folder / "我的 视频").mkdir()
    return talk(folder / "我的 视频" / "会议 é 1.mp4", seconds=1.0)


BAD_INPUTS: dict[str, Callable[[Path], Path]] = {
    maker.__name__: maker
    for maker in (
        a_directory,
        a_text_file_named_mp4,
        zero_bytes,
        a_truncated_mp4,
        no_audio,
        no_video,
        a_fifth_of_a_second,
        four_k,
        rotated_by_90,
        eight_khz_mono,
        variable_frame_rate,
        unicode_and_blank,
    )
}
REFUSED = ("a_directory", "a_text_file_named_mp4", "zero_bytes", "a_truncated_mp4")  # the others are judged
