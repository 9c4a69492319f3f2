"""Video files to sound and pictures, through PyAV (FFmpeg). Constant memory for pictures; sound is held whole.

Times are seconds from the beginning of the container, so that sound and pictures of one file agree.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from trisent.errors import MediaError
from trisent.i18n import t
from trisent.media.container import Clock, audio_stream, decoded, opened, origin_s, stated_duration_s, video_stream
from trisent.types import SAMPLE_RATE_HZ, Floats

LONGEST_SIDE = 640  # pixels; faces of a talking head stay above 60 pixels, and a 4K frame does not fill the memory
_GAP_S = 0.1  # a hole or an overlap in the sound longer than this is mended, so that later words keep their times
_LONGEST_HOLE_S = 3600.0  # a longer one is a broken time stamp, and would fill the memory with silence
_EARLY_S = 0.5  # the first picture also stands for this long before it
_SAME_S = 1e-6  # times closer than this are one
_MOST_THREADS = 4  # each decoding thread holds pictures of full size
_USUAL_FPS = 25.0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds: `duration_s` seconds, `audio` and `video` as words ("aac, 44100 Hz") or None."""

    path: Path
    duration_s: float
    audio: str | None
    video: str | None


def probe(path: Path) -> MediaInfo:
    """Say what `path` holds without decoding it; reads it through only when it does not state its duration.

    Raises:
        MediaError: it is no file, empty, unreadable, cut off, or holds neither sound nor pictures.
    """
    with opened(path) as container:
        audio, video = audio_stream(container), video_stream(container)
        if audio is None and video is None:
            raise MediaError(t("{path}: holds neither sound nor moving pictures", path=path))
        sound = f"{audio.codec_context.name}, {audio.codec_context.sample_rate} Hz" if audio else None
        size = f"{video.codec_context.width} x {video.codec_context.height}" if video else ""
        pictures = f"{video.codec_context.name}, {size}" if video else None
        duration_s = stated_duration_s(container)
        if duration_s is None:
            duration_s = _measured_duration_s(container, path)
    return MediaInfo(path, duration_s, sound, pictures)


def _measured_duration_s(container: InputContainer, path: Path) -> float:
    clock, video, pictures = Clock(container, path), video_stream(container), 0
    for packet in clock.packets():
        pictures += video is not None and packet.stream_index == video.index and packet.size > 0
    # A bare stream of pictures has no clock: count.
    counted_s = pictures / _fps(video) if video and video.index not in clock.end_s else 0.0
    return max(0.0, counted_s, *clock.end_s.values())


def _fps(video: av.VideoStream) -> float:
    return float(video.average_rate or video.guessed_rate or _USUAL_FPS)


def read_waveform(path: Path) -> Floats | None:
    """Decode the sound of a file.

    Returns:
        float32 mono 16 kHz in [-1, 1], sample 0 at the beginning of the container; None without a sound stream.

    Raises:
        MediaError: the file cannot be read, is cut off, or its sound cannot be decoded at all.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return None
        packets, start_s = Clock(container, path).packets(stream), origin_s(container)
        stated_s = stated_duration_s(container) or np.inf
        pieces: list[Floats] = []
        written, before_s = 0, -np.inf
        for time_s, samples in _resampled(decoded(packets, path)):
            due = written if time_s is None else round((time_s - start_s) * SAMPLE_RATE_HZ)
            # The very first sample is placed exactly, later ones within the jitter of time stamps.
            hole = due - written
            if due > (stated_s + 1.0) * SAMPLE_RATE_HZ or hole > _LONGEST_HOLE_S * SAMPLE_RATE_HZ:
                hole = 0
            if hole > (_GAP_S * SAMPLE_RATE_HZ if pieces else 0):
                pieces.append(np.zeros(hole, np.float32))
            elif hole < -_GAP_S * SAMPLE_RATE_HZ and time_s is not None and time_s > before_s:
                samples, hole = samples[-hole:], 0  # heard already; stamps that stand still prove nothing
            else:
                hole = 0
            before_s = before_s if time_s is None else time_s
            pieces.append(samples)
            written += hole + len(samples)
    if not any(len(piece) for piece in pieces):
        raise MediaError(t("{path}: its sound cannot be decoded; is the file complete?", path=path))
    return np.concatenate(pieces)


def _resampled(frames: Iterable[av.AudioFrame | av.VideoFrame]) -> Iterator[tuple[float | None, Floats]]:
    """Bring sound to mono 16 kHz: (time of the first sample as far as known, samples).

    Rate and channels may change in the middle, as in recordings of television.
    """
    resampler, kind = None, None
    for frame in frames:
        if not isinstance(frame, av.AudioFrame):
            continue
        if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
            yield from _pulled(resampler, None)
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            # Into integers, because FFmpeg adds channels up without making room for the sum when the result is float:
            # a voice that is the same left and right would come out 1.4 times as loud and clipped.
            resampler = av.AudioResampler(format="s32", layout="mono", rate=SAMPLE_RATE_HZ)
        yield from _pulled(resampler, frame if _has_layout(frame) else _averaged(frame))
    yield from _pulled(resampler, None)  # what the resampler still holds


def _pulled(resampler: av.AudioResampler | None, frame: av.AudioFrame | None) -> Iterator[tuple[float | None, Floats]]:
    time_s = None if frame is None else frame.time
    for piece in resampler.resample(frame) if resampler else ():
        if piece is not None:  # what PyAV answers to the end when there was nothing to resample
            yield time_s, (piece.to_ndarray().reshape(-1) / 2**31).astype(np.float32)
            time_s = None


def _has_layout(frame: av.AudioFrame) -> bool:
    return not frame.layout.name.endswith("channels")  # "9 channels": nobody knows what stands where


def _averaged(frame: av.AudioFrame) -> av.AudioFrame:
    """Mix channels of unknown position to one."""
    channels = frame.to_ndarray()  # [channels, samples], or [1, samples * channels]
    if not frame.format.is_planar:
        channels = channels.reshape(-1, frame.layout.nb_channels).T
    mean = channels.mean(axis=0, keepdims=True).astype(channels.dtype)
    mono = av.AudioFrame.from_ndarray(mean, format=frame.format.packed.name, layout="mono")
    mono.sample_rate, mono.time_base, mono.pts = frame.sample_rate, frame.time_base, frame.pts
    return mono


def read_frames(path: Path, times: Iterable[float]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode the pictures shown at `times`, in one pass and with constant memory.

    Args:
        path: the video.
        times: seconds from the beginning of the container, ascending.

    Yields:
        For each time at which there is a picture: (time, RGB uint8 [height, width, 3]), upright, square pixels, the
        longer side at most 640 pixels. Nothing when the file has no moving pictures.

    Raises:
        MediaError: the file cannot be read, is cut off, or no picture could be decoded.
    """
    with opened(path) as container:
        stream = video_stream(container)
        if stream is None:
            return
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(_MOST_THREADS, os.cpu_count() or 1)
        clock, start_s, wanted = Clock(container, path), origin_s(container), iter(times)
        due = next(wanted, None)
        shown: av.VideoFrame | None = None
        shown_s = 0.0
        for frame in decoded(clock.packets(stream), path):
            if not isinstance(frame, av.VideoFrame):
                continue
            frame_s = _time_s(frame, None if shown is None else shown_s + 1 / _fps(stream), start_s)
            while due is not None and shown is None and due < frame_s - _EARLY_S:
                due = next(wanted, None)
            # What is on screen at `due` is the last picture that began before it.
            while due is not None and shown is not None and frame_s > due + _SAME_S:
                yield due, _upright(shown, stream.sample_aspect_ratio)
                due = next(wanted, None)
            shown, shown_s = frame, frame_s
        if shown is None:
            raise MediaError(t("{path}: not one of its pictures can be decoded; is the file complete?", path=path))
        end_s = _pictures_end_s(container, stream, clock)
        if end_s <= shown_s:  # nothing says how long the last one stays
            end_s = shown_s + 1 / _fps(stream)
        while due is not None and due <= end_s + _SAME_S:
            yield due, _upright(shown, stream.sample_aspect_ratio)
            due = next(wanted, None)


def _time_s(frame: av.VideoFrame, expected_s: float | None, start_s: float) -> float:
    """Return when a picture is shown; a bare stream has no clock, there one follows the other."""
    time_s: float | None = frame.time
    return (expected_s or 0.0) if time_s is None else time_s - start_s


def _pictures_end_s(container: InputContainer, stream: av.VideoStream, clock: Clock) -> float:
    """Return until when the last picture is shown, as far as the file says."""
    end_s = clock.end_s.get(stream.index, 0.0)
    if tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        end_s = max(end_s, int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]))
    if audio_stream(container) is None:
        end_s = max(end_s, stated_duration_s(container) or 0.0)
    return end_s


def _upright(frame: av.VideoFrame, aspect: Fraction | None) -> NDArray[np.uint8]:
    """Scale to the size trisent works with, with square pixels, turned the way the camera was held."""
    wide = float(aspect) if aspect and aspect > 0 else 1.0
    width, height = frame.width * max(wide, 1.0), frame.height / min(wide, 1.0)
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    rgb = frame.reformat(
        width=max(1, round(width * scale)), height=max(1, round(height * scale)), format="rgb24", threads=1
    )
    # `rotation` is counter-clockwise degrees, as np.rot90 turns.
    image = np.rot90(rgb.to_ndarray(), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(image, np.uint8)
