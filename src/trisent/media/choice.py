"""Which picture is on screen when: by looking at every picture, or by trusting what the packets say of themselves.

The second way decodes a fraction of a file. It knows from the packets' time stamps which pictures are wanted, begins at
the keyframe before them, and leaves out pictures to which no other refers. Each picture must then turn out to be the
one that its packet promised; where it does not, `BrokenPromiseError` says that the first way has to be gone.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, inf
from typing import NamedTuple

import av

from trisent.media.container import Decoder, Packet

_EARLY_S = 0.5  # the first picture also stands for this long before it
_SAME_S = 1e-6  # times closer than this are one
# Packets that wait for somebody to want them: their bytes, and what each costs besides.
_MOST_BYTES, _BYTES_A_PACKET = 64 << 20, 1000
# Where a format does not write dts, FFmpeg guesses it: in the middle rightly only after the most that one may wait for.
_GUESSED_PACKETS = 16
# Leaving out pictures is exact where "nobody refers to it" is said of every picture, not only of a layer (HEVC).
_SAYS_WHO_REFERS = {"h264"}


class BrokenPromiseError(Exception):
    """What was decoded is not what the packets said."""


class WrongPlaceError(BrokenPromiseError):
    """What was read after going to a place in the middle does not begin before what is wanted."""


class Due(NamedTuple):
    """A wanted time: the how manieth it is, and seconds."""

    number: int
    time_s: float


Chosen = Iterator[tuple[Due, av.VideoFrame | None]]  # None: nothing is on screen then


class ChoiceByPictures:
    """Decodes everything; needs no time stamps and believes no flag."""

    def __init__(
        self, decoder: Decoder, times: Sequence[float], stream: av.VideoStream, *, origin_s: float, usual_s: float
    ) -> None:
        self._decoder, self._origin_s, self._usual_s = decoder, origin_s, usual_s
        self._tick_s = float(stream.time_base or 0)
        self._waiting = deque(Due(k, time) for k, time in enumerate(times))
        self._shown: av.VideoFrame | None = None
        self._shown_s = 0.0

    def feed(self, packet: Packet) -> Chosen:
        """Yield what is decided when `packet` is decoded."""
        if self._waiting:
            yield from self._decided(self._decoder.decode(packet))

    def finish(self, end_s: float) -> Chosen:
        """Yield what the end of the file decides, when the last picture is shown until `end_s` as far as known."""
        if not self._waiting:
            return
        yield from self._decided(self._decoder.drain())
        if end_s <= self._shown_s:  # nothing says how long the last one stays
            end_s = self._shown_s + self._usual_s
        for due in self._waiting:
            yield due, self._shown if due.time_s <= end_s + _SAME_S else None

    def _decided(self, frames: Iterable[av.AudioFrame | av.VideoFrame]) -> Chosen:
        for frame in frames:
            if not isinstance(frame, av.VideoFrame):
                continue
            frame_s = self._time_s(frame)
            while self._waiting and self._shown is None and self._waiting[0].time_s < frame_s - _EARLY_S:
                yield self._waiting.popleft(), None
            while self._waiting and self._shown is not None and frame_s > self._waiting[0].time_s + _SAME_S:
                yield self._waiting.popleft(), self._shown
            self._shown, self._shown_s = frame, frame_s

    def _time_s(self, frame: av.VideoFrame) -> float:
        """Return when a picture is shown; a bare stream has no clock, there one follows the other."""
        if frame.pts is not None:
            return frame.pts * self._tick_s - self._origin_s
        return 0.0 if self._shown is None else self._shown_s + self._usual_s


@dataclass(frozen=True, slots=True)
class _Promise:
    due: Due
    pts: int


class ChoiceByPackets:
    """Decodes what leads to wanted pictures.

    A packet says when its picture is shown (pts), and that all later ones are shown after a certain time (dts). So a
    wanted time before that dts has its picture: the last that begins before it. Only then is it decoded.

    Args:
        in_the_middle: the first packet is not the first of the file.
    """

    def __init__(
        self,
        decoder: Decoder,
        times: Sequence[float],
        stream: av.VideoStream,
        *,
        origin_s: float,
        usual_s: float,
        in_the_middle: bool = False,
    ) -> None:
        self._in_the_middle, self._guessed = in_the_middle, _GUESSED_PACKETS if in_the_middle else 0
        self._decoder, self._context = decoder, stream.codec_context
        self._origin_s, self._usual_s, self._tick_s = origin_s, usual_s, float(stream.time_base or 1)
        self._waiting = deque(Due(k, time) for k, time in enumerate(times))
        self._may_leave_out = stream.codec_context.name in _SAYS_WHO_REFERS
        self._line: float = -inf  # pts: what is shown before it is known
        self._decided: float = -inf  # pts: until here times have got their promise
        self._known: list[int] = []  # pts, ascending: all after the line, and the last before it
        self._packets: deque[Packet] = deque()  # not decoded yet, in order
        self._keyframes: deque[Packet] = deque()  # those among them, but for the first
        self._bytes = 0
        self._promises: deque[_Promise] = deque()
        self._last: av.VideoFrame | None = None  # that came out
        self._begun_at: int | None = None  # pts of the keyframe where decoding began anew

    def feed(self, packet: Packet) -> Chosen:
        """Yield what is decided by `packet`.

        Raises:
            BrokenPromiseError: this packet, or a picture, contradicts an earlier packet.
        """
        if not self._waiting:  # nor any promise: those are kept at once when no more is wanted
            return
        if packet.pts is None or packet.pts <= self._decided:
            raise BrokenPromiseError
        if self._in_the_middle:
            if not packet.is_keyframe or packet.pts > self._pts(self._waiting[0].time_s):
                raise WrongPlaceError
            self._in_the_middle, self._begun_at = False, packet.pts
        if packet.is_keyframe and self._packets:
            self._keyframes.append(packet)
        self._packets.append(packet)
        self._bytes += packet.size + _BYTES_A_PACKET
        if not packet.is_discard:  # decoded, but not shown
            insort(self._known, packet.pts)
        self._guessed = max(0, self._guessed - 1)
        known = not self._guessed or self._bytes > _MOST_BYTES
        if known and packet.dts is not None and packet.dts > self._line:
            yield from self._advance(packet.dts)
        if self._bytes > _MOST_BYTES:
            yield from self._relieve()

    def finish(self, end_s: float) -> Chosen:
        """Yield what the end of the file decides; as `ChoiceByPictures.finish`.

        Raises:
            BrokenPromiseError: a picture contradicts its packet, or there is none.
        """
        if not self._waiting:
            return
        if not self._known:
            raise WrongPlaceError if self._in_the_middle else BrokenPromiseError
        yield from self.give_up(inf, end_s)

    def give_up(self, until_s: float, end_s: float) -> Chosen:
        """Yield what is decided when no picture is to come that begins before `until_s`."""
        until = until_s if until_s == inf else self._pts(until_s)
        past = [pts for pts in self._known[-1:] if pts <= until]
        last_s = past[0] * self._tick_s - self._origin_s if past else inf
        if end_s <= last_s:  # nothing says how long the last one stays
            end_s = last_s + self._usual_s
        waiting, self._waiting = self._waiting, deque[Due]()
        for due in waiting:
            if end_s + _SAME_S < due.time_s <= until_s:
                yield due, None
            else:
                self._waiting.append(due)
        yield from self._advance(until)
        if self._promises:
            yield from self._came_out(self._decoder.drain(), all_of_them=True)

    def _pts(self, time_s: float) -> int:
        """Return the last time stamp that counts as before `time_s`."""
        return floor((time_s + self._origin_s + _SAME_S) / self._tick_s)

    def _advance(self, line: float) -> Chosen:
        """Decide the times before `line`."""
        self._line = max(self._line, line)
        promises = list[_Promise]()
        while self._waiting and (limit := self._pts(self._waiting[0].time_s)) <= self._line:
            due = self._waiting.popleft()
            self._decided = limit
            before = bisect_right(self._known, limit)
            if before:
                promises.append(_Promise(due, self._known[before - 1]))
            elif self._known and self._known[0] <= self._pts(due.time_s + _EARLY_S):
                promises.append(_Promise(due, self._known[0]))
            else:
                yield due, None
        for promise in promises:
            yield from self._skip_to(promise.pts)
            if self._last is not None and self._last.pts == promise.pts:
                yield promise.due, self._last
            else:
                self._promises.append(promise)
                yield from self._decode_to(promise.pts)
        if self._promises and not self._waiting:
            yield from self._came_out(self._decoder.drain(), all_of_them=True)
        yield from self._skip_to(self._line)
        del self._known[: max(0, bisect_right(self._known, self._line) - 1)]

    def _skip_to(self, pts: float) -> Chosen:
        """Drop what lies before the last keyframe that is shown before `pts`."""
        keyframe = None
        while self._keyframes and (self._keyframes[0].pts or 0) <= pts:
            keyframe = self._keyframes.popleft()
            while self._packets[0] is not keyframe:
                self._take_packet()
        if keyframe is not None:
            yield from self._came_out(self._decoder.drain(), all_of_them=True)
            self._begun_at = keyframe.pts

    def _take_packet(self) -> Packet:
        packet = self._packets.popleft()
        self._bytes -= packet.size + _BYTES_A_PACKET
        return packet

    def _decode_to(self, pts: float) -> Chosen:
        """Decode up to the packet of `pts`; if it is not there, it has been decoded before."""
        places = (k for k, packet in enumerate(self._packets) if packet.pts == pts)
        yield from self._decode(next(places, -1) + 1)

    def _decode(self, packets: int) -> Chosen:
        """Decode the next `packets`."""
        for _ in range(packets):
            packet = self._take_packet()
            if self._keyframes and self._packets and self._packets[0] is self._keyframes[0]:
                self._keyframes.popleft()
            if self._may_leave_out:
                self._context.skip_frame = "DEFAULT" if self._may_be_wanted(packet.pts or 0) else "NONREF"
            yield from self._came_out(self._decoder.decode(packet))

    def _may_be_wanted(self, pts: int) -> bool:
        if any(promise.pts == pts for promise in self._promises):
            return True
        before = bisect_right(self._known, self._line)
        return before == 0 or pts >= self._known[before - 1]  # that one stays on screen if no other comes

    def _relieve(self) -> Chosen:
        """Decode the packets of which is known whether they are wanted."""
        decided = [k for k, packet in enumerate(self._packets) if (packet.pts or 0) <= self._line]
        if not decided:  # nothing says in which order pictures are shown
            raise BrokenPromiseError
        yield from self._decode(decided[-1] + 1)

    def _came_out(self, frames: Sequence[av.AudioFrame | av.VideoFrame], *, all_of_them: bool = False) -> Chosen:
        """Keep promises with pictures, which come in the order in which they are shown."""
        for frame in frames:
            if not isinstance(frame, av.VideoFrame):
                continue
            if frame.pts is None or (frame.pts == self._begun_at and not frame.key_frame):
                raise BrokenPromiseError
            while self._promises and self._promises[0].pts == frame.pts:
                yield self._promises.popleft().due, frame
            if self._promises and self._promises[0].pts < frame.pts:
                raise BrokenPromiseError
            self._last = frame
        if self._promises and all_of_them:
            raise BrokenPromiseError
