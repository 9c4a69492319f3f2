"""Video files to sound and pictures, through PyAV (FFmpeg). Constant memory for pictures; sound is held whole.

Times are seconds from the beginning of the container, so that sound and pictures of one file agree.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from trisent.errors import MediaError
from trisent.i18n import t
from trisent.types import SAMPLE_RATE_HZ, Floats

logger = logging.getLogger(__name__)

LONGEST_SIDE = 640  # pixels; faces of a talking head stay above 60 pixels, and a 4K frame does not fill the memory
_GAP_S = 0.05  # a hole in the sound longer than this is filled with silence, so that later words keep their times
_CUT_S, _CUT_PART = 0.5, 0.02  # a stream that ends this much too early was cut off


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds: `duration_s` as far as it is known, `audio` and `video` as words ("aac, 44100 Hz") or None."""

    path: Path
    duration_s: float
    audio: str | None
    video: str | None


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """Open `path`; every way in which that, or the work inside, can fail is a MediaError naming the file."""
    if path.is_dir():
        raise MediaError(t("{path}: is a folder, not a video; name the files in it, e.g. {path}/*.mp4", path=path))
    if not path.is_file():
        raise MediaError(t("{path}: no such file", path=path))
    if path.stat().st_size == 0:
        raise MediaError(t("{path}: is empty (0 bytes); copy or download it again", path=path))
    try:
        with av.open(str(path)) as container:
            yield container
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = (
            "{path}: cannot be read as video or sound ({reason}); is it complete? Try playing it, or copy it again"
        )
        raise MediaError(t(message, path=path, reason=reason)) from error
    except OSError as error:  # permissions, a disk that went away
        raise MediaError(t("{path}: cannot be opened ({reason})", path=path, reason=error.strerror or error)) from error


def _audio_stream(container: InputContainer) -> av.AudioStream | None:
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def _video_stream(container: InputContainer) -> av.VideoStream | None:
    """Take the first moving picture; the cover of a music file is none."""
    cover = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = (s for s in container.streams.video if s.codec_context is not None)
    return next((s for s in streams if not s.disposition & cover), None)


def _origin_s(container: InputContainer) -> float:
    return (container.start_time or 0) / av.time_base


def probe(path: Path) -> MediaInfo:
    """Say what `path` holds without decoding it.

    Raises:
        MediaError: it is no file, empty, unreadable, or holds neither sound nor pictures.
    """
    with _opened(path) as container:
        audio, video = _audio_stream(container), _video_stream(container)
        info = MediaInfo(
            path,
            (container.duration or 0) / av.time_base,
            audio and f"{audio.codec_context.name}, {audio.codec_context.sample_rate} Hz",
            video and f"{video.codec_context.name}, {video.codec_context.width} x {video.codec_context.height}",
        )
    if info.audio is None and info.video is None:
        raise MediaError(t("{path}: holds neither sound nor moving pictures", path=path))
    return info


class _CutCheck:
    """Notices a stream that ends long before the file says it does: the sign of a broken download."""

    def __init__(self, container: InputContainer, stream: av.AudioStream | av.VideoStream, path: Path) -> None:
        self._path, self._stream, self._packets, self._end_s = path, stream, 0, 0.0
        declared = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        self._declared_s = float(declared) if declared is not None else (container.duration or 0) / av.time_base
        self._first_s: float | None = None

    def packets(self, container: InputContainer) -> Iterator[av.Packet]:
        for packet in container.demux(self._stream):
            if packet.pts is not None and packet.time_base is not None:
                start_s = float(packet.pts * packet.time_base)
                self._first_s = start_s if self._first_s is None else self._first_s
                self._end_s = max(self._end_s, start_s + float((packet.duration or 0) * packet.time_base))
                self._packets += 1
            yield packet

    def verify(self) -> None:
        """Raise MediaError when both the time reached and the packets counted fall short of what was declared."""
        reached_s = self._end_s - (self._first_s or 0.0)
        late = self._declared_s - reached_s > max(_CUT_S, _CUT_PART * self._declared_s)
        # A file that states its packet count and delivers them all is whole, whatever its clock says.
        short = self._stream.frames == 0 or self._packets < (1 - _CUT_PART) * self._stream.frames
        if late and short:
            message = (
                "{path}: is cut off: its {kind} ends at {reached:.1f} s of {declared:.1f} s; copy or download it again"
            )
            raise MediaError(
                t(message, path=self._path, kind=self._stream.type, reached=reached_s, declared=self._declared_s)
            )


def _decoded(packets: Iterable[av.Packet]) -> Iterator[av.AudioFrame | av.VideoFrame]:
    """Decode, passing over packets that are damaged, as players do."""
    damaged = 0
    for packet in packets:
        try:
            yield from packet.decode()  # type: ignore[misc]  # PyAV types this as frames of any kind
        except av.error.InvalidDataError:
            damaged += 1
    if damaged:
        logger.warning("%d damaged packets were passed over", damaged)


def read_waveform(path: Path) -> Floats | None:
    """Decode the sound of a file.

    Returns:
        float32 mono 16 kHz in [-1, 1], sample 0 at the beginning of the container; None without a sound stream.

    Raises:
        MediaError: the file cannot be read, is cut off, or its sound cannot be decoded at all.
    """
    with _opened(path) as container:
        stream = _audio_stream(container)
        if stream is None:
            return None
        check, origin_s = _CutCheck(container, stream, path), _origin_s(container)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        pieces: list[Floats] = []
        written = 0
        for frame in chain(_decoded(check.packets(container)), [None]):  # None: give out what the resampler still holds
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                if frame is not None and frame.time is not None:
                    due = round((frame.time - origin_s) * SAMPLE_RATE_HZ)
                    if due - written > _GAP_S * SAMPLE_RATE_HZ:
                        pieces.append(np.zeros(due - written, np.float32))
                        written = due
                pieces.append(samples)
                written += len(samples)
        check.verify()
    if not pieces:
        raise MediaError(t("{path}: its sound cannot be decoded; is the file complete?", path=path))
    # A broken float stream may hold NaN, which would poison every later step.
    return np.clip(np.nan_to_num(np.concatenate(pieces)), -1.0, 1.0)


def read_frames(path: Path, times: Iterable[float]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode the pictures shown at `times`, in one pass and with constant memory.

    Args:
        path: the video.
        times: seconds from the beginning of the container, ascending.

    Yields:
        For each time up to the end of the video: (time, RGB uint8 [height, width, 3]), upright, square pixels, the
        longer side at most 640 pixels. Nothing when the file has no moving pictures.

    Raises:
        MediaError: the file cannot be read, is cut off, or no picture could be decoded.
    """
    with _opened(path) as container:
        stream = _video_stream(container)
        if stream is None:
            return
        stream.thread_type = "AUTO"
        check, origin_s, wanted = _CutCheck(container, stream, path), _origin_s(container), iter(times)
        due = next(wanted, None)
        shown: av.VideoFrame | None = None
        end_s = 0.0
        for frame in _decoded(check.packets(container)):
            if not isinstance(frame, av.VideoFrame) or frame.time is None:
                continue
            frame_s = frame.time - origin_s
            # What is on screen at `due` is the last picture that began before it; the first one also stands for
            # anything before it.
            while due is not None and shown is not None and frame_s > due:
                yield due, _upright(shown)
                due = next(wanted, None)
            shown = frame
            end_s = frame_s + float((frame.duration or 0) * (frame.time_base or 0))
        check.verify()
        if shown is None:
            raise MediaError(t("{path}: not one of its pictures can be decoded; is the file complete?", path=path))
        while due is not None and (due <= end_s or due == 0.0):
            yield due, _upright(shown)
            due = next(wanted, None)


def _upright(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Scale to the size trisent works with, with square pixels, turned the way the camera was held."""
    aspect = float(frame.sample_aspect_ratio or 1) if hasattr(frame, "sample_aspect_ratio") else 1.0
    width, height = frame.width * (aspect if aspect > 0 else 1.0), float(frame.height)
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    size = {"width": max(1, round(width * scale)), "height": max(1, round(height * scale))}
    image = frame.reformat(format="rgb24", **size).to_ndarray()  # type: ignore[arg-type]  # names match by position
    # `rotation` is counter-clockwise degrees, as np.rot90 turns.
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4)).astype(np.uint8, copy=False)
