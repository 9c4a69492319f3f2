"""The sound of a file, as packets bring it: mono 16 kHz, each sample at its time, holes in the time stamps mended.

Times are seconds from the beginning of the container.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from trisent.errors import MediaError
from trisent.i18n import t
from trisent.media.choice import WrongPlaceError
from trisent.media.container import (
    Clock,
    Decoder,
    Packet,
    audio_stream,
    opened,
    origin_s,
    report_damage,
    stated_duration_s,
)
from trisent.types import SAMPLE_RATE_HZ, Floats, Utterance

_GAP_S = 0.1  # a hole or an overlap in the sound longer than this is mended, so that later words keep their times
# Holes that are together longer than this and what was heard are broken time stamps: silence would fill the memory.
_MOST_SILENCE_S = 3600.0
_SILENCE_AT_ONCE = 60 * SAMPLE_RATE_HZ
# Sound that nobody asked for is not decoded when there is more of it than this; a decoder that begins in the middle
# needs some time until it is right (AAC, MP3 and Opus some packets).
_SKIPPED_S, _WARM_UP_S = 10.0, 1.0

Piece = tuple[int, Floats]  # (number of the first sample, samples)


def read_waveform(path: Path) -> Floats | None:
    """Decode the sound of a file.

    Returns:
        float32 mono 16 kHz in [-1, 1], sample 0 at the beginning of the container; None without a sound stream.

    Raises:
        MediaError: the file cannot be read, is cut off, or its sound cannot be decoded at all.
    """
    pieces = list(stream_waveform(path))
    return np.concatenate(pieces) if pieces else None


def stream_waveform(path: Path) -> Iterator[Floats]:
    """Decode the sound of a file in pieces of at most a minute that follow each other, with constant memory.

    Yields:
        float32 mono 16 kHz in [-1, 1], the first sample at the beginning of the container; nothing without a sound
        stream.

    Raises:
        MediaError: the file cannot be read, is cut off, or its sound cannot be decoded at all.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return
        sound = SoundDecoder(stream, origin_s=origin_s(container), stated_s=stated_duration_s(container))
        written = 0
        for packet in Clock(container, path).packets():
            if packet.stream_index == stream.index:
                for piece in sound.decode(packet):
                    yield from _filled(piece, written)
                    written = piece[0] + len(piece[1])
        for piece in sound.drain():
            yield from _filled(piece, written)
            written = piece[0] + len(piece[1])
        sound.check(path)
        report_damage(path, sound.decoder)


def _filled(piece: Piece, written: int) -> Iterator[Floats]:
    """Put silence before a piece that does not begin where the last one ended."""
    first, samples = piece
    for at in range(written, first, _SILENCE_AT_ONCE):
        yield np.zeros(min(_SILENCE_AT_ONCE, first - at), np.float32)
    yield samples


class SoundDecoder:
    """Packets to pieces of sound with their places; pieces never overlap, and `written` is where the last one ends."""

    def __init__(self, stream: av.AudioStream, *, origin_s: float, stated_s: float | None) -> None:
        self.decoder, self.written = Decoder(stream), 0
        self._mono = _Mono()
        self._origin_s, self._stated_s = origin_s, stated_s
        self._tick_s = float(stream.time_base or 0)
        self._begun, self._before_s = False, -np.inf
        self._silence_left = round(_MOST_SILENCE_S * SAMPLE_RATE_HZ)
        self._empty, self._fed = True, False

    def time_s(self, packet: Packet) -> float | None:
        """Return when a packet begins, as far as known."""
        return None if packet.pts is None else packet.pts * self._tick_s - self._origin_s

    def decode(self, packet: Packet) -> list[Piece]:
        """Return the pieces that come out when `packet` goes in."""
        self._fed = True
        return self._placed(self.decoder.decode(packet))

    def drain(self) -> list[Piece]:
        """Return what is still inside."""
        return [*self._placed(self.decoder.drain()), *(self._place(None, piece) for _, piece in self._mono.rest())]

    def restart(self, at: int) -> None:
        """Begin anew at a packet in the middle, near sample number `at`."""
        self.drain()
        self.written, self._begun, self._before_s = at, False, -np.inf

    def check(self, path: Path) -> None:
        """Raise MediaError when there were packets and nothing could be decoded."""
        if self._fed and self._empty:
            raise MediaError(t("{path}: its sound cannot be decoded; is the file complete?", path=path))

    def _placed(self, frames: Sequence[av.AudioFrame | av.VideoFrame]) -> list[Piece]:
        return [
            self._place(
                None if frame.pts is None else frame.pts * self._tick_s - self._origin_s if first else None, piece
            )
            for frame in frames
            if isinstance(frame, av.AudioFrame)
            for first, piece in self._mono.resampled(frame)
        ]

    def _place(self, time_s: float | None, samples: Floats) -> Piece:
        """Put samples where their time stamp says: the very first exactly, later ones within the jitter of stamps."""
        due = self.written if time_s is None else round(time_s * SAMPLE_RATE_HZ)
        hole = due - self.written
        if hole > self._silence_left or (
            self._stated_s is not None and time_s is not None and time_s > self._stated_s + 1
        ):
            hole = 0
        if hole > (_GAP_S * SAMPLE_RATE_HZ if self._begun else 0):
            self.written += hole
            self._silence_left -= hole
        elif hole < -_GAP_S * SAMPLE_RATE_HZ and time_s is not None and time_s > self._before_s:
            samples = samples[-hole:]  # heard already; stamps that stand still prove nothing
        self._before_s = self._before_s if time_s is None else time_s
        piece = self.written, samples
        self.written += len(samples)
        self._silence_left += len(samples)
        self._begun, self._empty = True, self._empty and not len(samples)
        return piece


class _Mono:
    """Brings frames to mono 16 kHz; rate and channels may change in the middle, as in recordings of television."""

    def __init__(self) -> None:
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def resampled(self, frame: av.AudioFrame) -> Iterator[tuple[bool, Floats]]:
        """Yield samples, each with whether it begins when `frame` does."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._kind != kind or self._resampler is None:
            yield from self.rest()
            self._kind = kind
            # Into integers, because FFmpeg adds channels up without making room for the sum when the result is float:
            # a voice that is the same left and right would come out 1.4 times as loud and clipped.
            self._resampler = av.AudioResampler(format="s32", layout="mono", rate=SAMPLE_RATE_HZ)
        pieces = self._resampler.resample(frame if _has_layout(frame) else _averaged(frame))
        yield from ((i == 0, _samples(piece)) for i, piece in enumerate(pieces))

    def rest(self) -> Iterator[tuple[bool, Floats]]:
        """Yield what the resampler still holds."""
        pieces = self._resampler.resample(None) if self._resampler else []
        self._resampler = None
        yield from ((False, _samples(piece)) for piece in pieces if piece is not None)  # None: nothing was resampled


def _samples(frame: av.AudioFrame) -> Floats:
    whole = np.frombuffer(memoryview(frame.planes[0]), np.int32, count=frame.samples)
    return whole.astype(np.float32) * np.float32(2**-31)


def _has_layout(frame: av.AudioFrame) -> bool:
    return not frame.layout.name.endswith("channels")  # "9 channels": nobody knows what stands where


def _averaged(frame: av.AudioFrame) -> av.AudioFrame:
    """Mix channels of unknown position to one."""
    if frame.format.is_planar:
        # PyAV reads past the end of the list of planes when there are more than eight.
        packed = av.AudioResampler(format=frame.format.packed, layout=frame.layout, rate=frame.sample_rate)
        whole = packed.resample(frame)[0]
    else:
        whole = frame
    channels = whole.to_ndarray().reshape(-1, frame.layout.nb_channels)
    mean = channels.mean(axis=1).astype(channels.dtype)[None]
    mono = av.AudioFrame.from_ndarray(mean, format=whole.format.name, layout="mono")
    mono.sample_rate, mono.time_base, mono.pts = frame.sample_rate, frame.time_base, frame.pts
    return mono


class SoundTrack:
    """Cuts the sound of utterances out of packets, keeping only what is still needed, decoding little else.

    Args:
        utterances: in any order; none may be open-ended.
        in_the_middle: the first packet is not the first of the file.
    """

    def __init__(
        self,
        stream: av.AudioStream,
        utterances: Sequence[Utterance],
        *,
        origin_s: float,
        stated_s: float | None,
        in_the_middle: bool = False,
    ) -> None:
        self.index, self._in_the_middle = stream.index, in_the_middle
        self._sound = SoundDecoder(stream, origin_s=origin_s, stated_s=stated_s)
        self._spans = [(_sample(u.start), _sample(u.end)) for u in utterances]
        self._by_end = sorted(range(len(utterances)), key=lambda i: self._spans[i][1], reverse=True)  # the next is last
        self._by_start = sorted(range(len(utterances)), key=lambda i: self._spans[i][0], reverse=True)
        self._stretches = _stretches(self._spans)
        self._from_the_start = bool(self._stretches) and self._stretches[-1][0] == 0
        self._inside = False  # a stretch
        self._follows = False  # the next packet, the one that was decoded last
        self._pieces: list[Piece] = []
        self._heard = 0
        self._cut: dict[int, Floats | None] = {}
        self._ended = False
        self._is_cut = [False] * len(utterances)

    @property
    def decoder(self) -> Decoder:
        """What decodes the packets, and knows how many were damaged."""
        return self._sound.decoder

    def feed(self, packet: Packet) -> None:
        """Take the next packet of the stream.

        Raises:
            WrongPlaceError: the file has to be read from its beginning.
        """
        if not self._stretches:
            return
        begin, end = self._stretches[-1]
        if not self._inside:
            time_s = self._sound.time_s(packet)
            if self._in_the_middle and (time_s is None or time_s * SAMPLE_RATE_HZ >= begin):
                raise WrongPlaceError
            self._in_the_middle = False
            if time_s is None:  # without a clock, only the samples before it tell where it is
                begin, end = 0, self._stretches[0][1]
                self._stretches = [(begin, end)]
            elif begin > 0 and time_s * SAMPLE_RATE_HZ < begin:
                self._follows = False
                return
            self._inside = True
            if begin > 0 and not self._follows:
                self._sound.restart(begin)
        self._follows = True
        self._keep(self._sound.decode(packet))
        if self._sound.written >= end:
            self._stretches.pop()
            self._inside = False

    def finish(self, path: Path) -> None:
        """Take note that the file has ended.

        Raises:
            MediaError: nothing of the sound could be decoded.
        """
        if self._inside:
            self._keep(self._sound.drain())
        if self._from_the_start:
            self._sound.check(path)
        self._ended = True

    def is_complete(self, i: int) -> bool:
        """Say whether all the sound of utterance `i` is here."""
        return self._ended or self._is_cut[i]

    def take(self, i: int) -> Floats | None:
        """Return the sound of utterance `i` as far as it is here, once; None when it begins after the end.

        Raises:
            WrongPlaceError: no packet came, so it may lie before the place that was gone to.
        """
        if self._in_the_middle:
            raise WrongPlaceError
        if not self._is_cut[i]:
            self._cut_out(i)
        return self._cut.pop(i)

    def _keep(self, pieces: list[Piece]) -> None:
        self._pieces += pieces
        if pieces:
            self._heard = self._sound.written
        while self._by_end and self._spans[self._by_end[-1]][1] <= self._sound.written:
            i = self._by_end.pop()
            if not self._is_cut[i]:
                self._cut_out(i)
        while self._by_start and self._is_cut[self._by_start[-1]]:
            self._by_start.pop()
        first = self._spans[self._by_start[-1]][0] if self._by_start else self._heard
        del self._pieces[: bisect_right(self._pieces, first, key=_end)]

    def _cut_out(self, i: int) -> None:
        start, end = self._spans[i]
        self._is_cut[i] = True
        self._cut[i] = None
        if start >= self._heard:
            return
        waveform = np.zeros(max(0, min(end, self._heard) - start), np.float32)
        for first, samples in self._pieces[bisect_right(self._pieces, start, key=_end) :]:
            if first >= end:
                break
            part = samples[max(0, start - first) : end - first]
            waveform[max(0, first - start) :][: len(part)] = part
        self._cut[i] = waveform


def _sample(time_s: float) -> int:
    return max(0, round(time_s * SAMPLE_RATE_HZ))


def _end(piece: Piece) -> int:
    return piece[0] + len(piece[1])


def _stretches(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join the spans that are near each other to stretches that are decoded: sample numbers, the first one last."""
    joined = list[tuple[int, int]]()
    for start, end in sorted(spans):
        if start - (joined[-1][1] if joined else 0) <= _SKIPPED_S * SAMPLE_RATE_HZ:
            joined = joined or [(0, 0)]
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start - round(_WARM_UP_S * SAMPLE_RATE_HZ), end))
    return joined[::-1]
