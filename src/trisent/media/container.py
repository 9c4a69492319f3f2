"""Opening a media file with PyAV: refusing what is none, choosing its streams, and giving out packets on one clock.

Times are seconds from the beginning of the container, so that sound and pictures of one file agree.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import av
from av.container import InputContainer
from av.stream import Disposition

from trisent.errors import MediaError
from trisent.i18n import system_reason, t
from trisent.media.whole import check_whole

logger = logging.getLogger(__name__)

# FFmpeg reads these too: text as a picture of a terminal, and lists of other files, here or on the network.
_NO_MEDIA = {"tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat", "ffmetadata"}
# What is shown while music plays is no picture of the speaker.
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails
# Formats in which the duration is written down. Elsewhere FFmpeg guesses it from the bit rate of the beginning, or from
# the last time stamp, which is wrong when the clock restarts.
_STATES_DURATION = {"mov", "matroska", "wav", "w64", "avi", "asf", "flac", "aiff", "caf", "gif"}
# Formats whose files are cut off when they end much before the duration that is written in them.
_WRITES_DURATION = {"mov", "matroska", "flv", "asf", "flac", "avi"}
# Formats that write when the file ends on its own clock, which need not begin at 0: a recording that was joined late.
_WRITES_END = {"matroska", "flv", "asf"}
_CUT_S, _CUT_PART = 0.5, 0.02  # how much earlier
_MAY_RESTART = 0x0200  # AVFMT_TS_DISCONT
# In a format that may restart its clock, these jumps are restarts (as in ffmpeg's own program).
_AHEAD_S, _BACK_S = 10.0, 0.1
_APART_S = 1.0  # how far apart sound and pictures may be cut where two recordings were joined

# Formats with a table of where their keyframes are.
_KNOWS_PLACES = {"mov", "matroska"}
_FAR_S, _EARLY_S = 30.0, 3.0  # what begins later is gone to; so much earlier, for decoders to be right in time

_USUAL_FPS = 25.0

_Stream = TypeVar("_Stream", av.AudioStream, av.VideoStream)
Packet: TypeAlias = "av.Packet[Any]"  # of any stream; PyAV knows the parameter only in its stubs


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open `path`; every way in which that, or the work inside, can fail is a MediaError naming the file."""
    try:
        _refuse(path)
        # Absolute, because FFmpeg takes "12:30 talk.mp4" for a protocol; only files, because a list that passes for a
        # video could name an address.
        with av.open(
            str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            if _formats(container) & _NO_MEDIA:
                raise MediaError(t("{path}: is a text or a list of files, not a video", path=path))
            yield container
    except av.error.FFmpegError as error:
        check_whole(path)  # says better what is wrong
        message = (
            "{path}: cannot be read as video or sound ({reason}); is it complete? Try playing it, or copy it again"
        )
        raise MediaError(t(message, path=path, reason=system_reason(error))) from error
    except OSError as error:  # permissions, a disk that went away
        raise MediaError(t("{path}: cannot be opened ({reason})", path=path, reason=system_reason(error))) from error


def _refuse(path: Path) -> None:
    if path.is_dir():
        raise MediaError(t("{path}: is a folder, not a video; name the files in it, e.g. {path}/*.mp4", path=path))
    if not path.exists():
        raise MediaError(t("{path}: no such file", path=path))
    if not path.is_file():
        raise MediaError(t("{path}: is a device or a pipe, not a file; save it to a file first", path=path))
    with path.open("rb") as file:  # raises when it may not be read
        if not file.read(1):
            raise MediaError(t("{path}: is empty (0 bytes); copy or download it again", path=path))


def _formats(container: InputContainer) -> set[str]:
    return set(container.format.name.split(","))


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """Choose the sound: the track marked as default, else the first."""
    return _default(_sounds(container))


def video_stream(container: InputContainer) -> av.VideoStream | None:
    """Choose the moving pictures, likewise; the cover of a music file is none."""
    return _default(_moving(container))


def tell_of_others(container: InputContainer, path: Path) -> None:
    """Log which track is chosen where there are several."""
    sounds, moving = _sounds(container), _moving(container)
    if len(sounds) > 1 and (heard := _default(sounds)):
        message = "{path}: has {n} tracks of sound; heard is number {k}, for another one make a file with it alone"
        logger.warning("%s", t(message, path=path, n=len(sounds), k=sounds.index(heard) + 1))
    if len(moving) > 1 and (seen := _default(moving)):
        message = "{path}: has {n} tracks of pictures; seen is number {k}, for another one make a file with it alone"
        logger.warning("%s", t(message, path=path, n=len(moving), k=moving.index(seen) + 1))


def _sounds(container: InputContainer) -> list[av.AudioStream]:
    return [s for s in container.streams.audio if s.codec_context is not None]


def _moving(container: InputContainer) -> list[av.VideoStream]:
    return [s for s in container.streams.video if s.codec_context is not None and not s.disposition & _COVER]


def _default(streams: Sequence[_Stream]) -> _Stream | None:
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


def fps(video: av.VideoStream) -> float:
    """Return how many pictures a second there usually are."""
    return float(video.average_rate or video.guessed_rate or _USUAL_FPS)


def origin_s(container: InputContainer) -> float:
    """Return the time stamp of the beginning."""
    return (container.start_time or 0) / av.time_base


def stated_duration_s(container: InputContainer) -> float | None:
    """Return the duration if the file states it; None when it does not, or FFmpeg only guesses it."""
    return _written_s(container) if _formats(container) & _STATES_DURATION else None


def _written_s(container: InputContainer) -> float | None:
    """Return the duration as far as anything is written of it; of FLV it is the least that it may be."""
    if not container.duration or container.duration < 0:
        return None
    before_s = origin_s(container) if _formats(container) & _WRITES_END else 0.0
    return max(0.0, container.duration / av.time_base - before_s)


def _demuxed(container: InputContainer) -> Iterator[Packet]:
    try:
        yield from container.demux()
    except IndexError:
        return  # PyAV's, at the end of a file in which a stream appeared on the way


def go_near(container: InputContainer, stream: av.AudioStream | av.VideoStream, time_s: float, *, path: Path) -> bool:
    """Go to a keyframe well before `time_s`, if that is far and the file is whole and knows where it is.

    A long file would otherwise be read from its beginning for each few of its utterances. Says whether it went.
    """
    if not time_s >= _FAR_S or not stream.time_base or not _formats(container) & _KNOWS_PLACES:
        return False
    try:
        if not check_whole(path):
            return False
        container.seek(int((time_s - _EARLY_S + origin_s(container)) / stream.time_base), stream=stream)
    except (MediaError, av.error.FFmpegError, OverflowError):  # what is wrong shows when it is read from its beginning
        return False
    return True


class Clock:
    """Gives out the packets of a file and follows the time they reach; `end_s` holds that of each stream by index."""

    def __init__(self, container: InputContainer, path: Path) -> None:
        self._container, self._path = container, path
        self._may_restart = bool(container.format.flags & _MAY_RESTART)
        self._shifts_s = [0.0]  # one more after every restart
        self._restarts, self._next_s = dict[int, int](), dict[int, float]()  # by stream: how many it has seen
        self._origin_s, self._longest_s = origin_s(container), 0.0
        self._ticks_s = dict[int, float]()  # by stream
        self.end_s: dict[int, float] = {}

    def packets(self) -> Iterator[Packet]:
        """Yield the packets of all streams to the end; then make sure that the end is where it should be.

        Raises:
            MediaError: the file is shorter than it states, in bytes or in time.
        """
        for packet in _demuxed(self._container):
            if packet.size:  # FFmpeg takes an empty one for the end
                self._place(packet)
                yield packet
        self._check_end()

    def _place(self, packet: Packet) -> None:
        """Close the jump when the clock restarts, as in recordings that were joined, and note the time reached."""
        stamp = packet.pts if packet.dts is None else packet.dts
        index = packet.stream_index
        if index not in self._ticks_s:
            self._ticks_s[index] = float(packet.time_base or 0)
        tick_s = self._ticks_s[index]
        if stamp is None or not tick_s:
            return
        length_s = (packet.duration or 0) * tick_s
        if self._may_restart:
            # In the middle of a group dts is guessed; where only it goes back, the clock has not restarted.
            late_s = max(0, (packet.pts or stamp) - stamp) * tick_s
            shift_s = self._shift_s(index, stamp * tick_s, late_s)
            self._next_s[index] = stamp * tick_s + shift_s + length_s
            ticks = round(shift_s / tick_s)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        start_s = (stamp if packet.pts is None else packet.pts) * tick_s - self._origin_s
        before_s = self.end_s.get(index, start_s)
        self._longest_s = max(self._longest_s, start_s + length_s - before_s)
        self.end_s[index] = max(before_s, start_s + length_s)

    def _shift_s(self, index: int, stamp_s: float, late_s: float) -> float:
        """Return what to add to the stamps of a stream so that they go on from where they were.

        Args:
            index: of the stream.
            stamp_s: when the packet is decoded.
            late_s: how much later it is shown.
        """
        seen = self._restarts.setdefault(index, len(self._shifts_s) - 1)
        next_s = self._next_s.get(index, stamp_s + self._shifts_s[seen])
        jump_s = stamp_s + self._shifts_s[seen] - next_s
        if not -_BACK_S - late_s <= jump_s <= _AHEAD_S:
            # Streams meet the same restart one after the other; with the same shift they stay together.
            together = seen + 1 < len(self._shifts_s) and abs(stamp_s + self._shifts_s[seen + 1] - next_s) < _APART_S
            if not together:
                self._shifts_s[seen + 1 :] = [self._shifts_s[seen] - jump_s]
            self._restarts[index] = seen = seen + 1
        return self._shifts_s[seen]

    def _check_end(self) -> None:
        proven = check_whole(self._path)
        stated_s = _written_s(self._container)
        if proven or stated_s is None or not self.end_s or not _formats(self._container) & _WRITES_DURATION:
            return
        reached_s = max(self.end_s.values())
        # The last picture may stay as long as any other did, and not every format says how long.
        if stated_s - reached_s > max(_CUT_S, _CUT_PART * stated_s, self._longest_s):
            message = "{path}: is cut off: it ends at {reached:.1f} s of {stated:.1f} s; copy or download it again"
            raise MediaError(t(message, path=self._path, reached=reached_s, stated=stated_s))


class Decoder:
    """Decodes the packets of one stream, passing over those that are damaged, as players do."""

    def __init__(self, stream: av.AudioStream | av.VideoStream) -> None:
        self._context: av.AudioCodecContext | av.VideoCodecContext = stream.codec_context
        self._fed = self.gave_something = False
        self.damaged = 0

    def decode(self, packet: Packet) -> Sequence[av.AudioFrame | av.VideoFrame]:
        """Return what comes out when `packet` goes in: pictures come later than their packets, sound too."""
        self._fed = True
        try:
            frames = self._context.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            return ()
        self.gave_something = self.gave_something or bool(frames)
        return frames

    def drain(self) -> Sequence[av.AudioFrame | av.VideoFrame]:
        """Return what is still inside, and be ready to begin anew, elsewhere in the file."""
        if not self._fed:
            return ()
        self._fed = False
        try:
            frames = self._context.decode(None)
        except av.error.FFmpegError:
            frames = []
        self._context.flush_buffers()
        self.gave_something = self.gave_something or bool(frames)
        return frames


def report_damage(path: Path, *decoders: Decoder) -> None:
    """Log how many packets were passed over, if any were."""
    if damaged := sum(decoder.damaged for decoder in decoders):
        logger.warning("%s: %d damaged packets were passed over", path, damaged)
