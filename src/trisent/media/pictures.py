"""The pictures that are on screen at wanted times, scaled and upright, decoding as little of a file as is right.

What is on screen at a time is the last picture that began before it. Times are seconds from the beginning of the
container.
"""

import os
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.video.reformatter import ColorTrc, VideoReformatter
from numpy.typing import NDArray

from trisent.errors import MediaError
from trisent.i18n import t
from trisent.media.choice import ChoiceByPackets, ChoiceByPictures, Due
from trisent.media.container import (
    Clock,
    Decoder,
    Packet,
    audio_stream,
    fps,
    origin_s,
    stated_duration_s,
)
from trisent.media.hdr import from_pq
from trisent.types import Frames, Utterance

_MOST_THREADS = 4  # each decoding thread holds pictures of full size
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pictures:
    """How often an utterance is looked at, and how large; pictures are never enlarged.

    Attributes:
        fps: pictures a second; expressions last 0.5 to 4 s (Ekman 2003).
        most: of one utterance; a longer one is looked at less often, so that memory stays bounded.
        longest_side: pixels, or None; at 640 the faces of a talking head stay above 60 pixels.
        shorter_side: pixels, or None; of both bounds the one that gives the smaller picture holds.
    """

    fps: float = 2.0
    most: int = 64
    longest_side: int | None = 640
    shorter_side: int | None = None

    def __post_init__(self) -> None:
        if not self.fps > 0:
            msg = f"fps must be above 0, got {self.fps}"
            raise ValueError(msg)
        for name in ("most", "longest_side", "shorter_side"):
            if (value := getattr(self, name)) is not None and value < 1:
                msg = f"{name} must be at least 1, got {value}"
                raise ValueError(msg)

    def times(self, utterance: Utterance) -> list[float]:
        """Spread the pictures of an utterance evenly, each in the middle of its stretch: seconds, ascending."""
        length_s = utterance.end - utterance.start
        n = int(np.clip(np.ceil(length_s * self.fps), 1, self.most))
        return [float(utterance.start + (k + 0.5) * length_s / n) for k in range(n)]

    def size(self, width: float, height: float) -> tuple[int, int]:
        """Return the width and height to which a picture of square pixels is scaled."""
        scale = min(
            1.0,
            (self.longest_side or np.inf) / max(width, height),
            (self.shorter_side or np.inf) / min(width, height),
        )
        return max(1, round(width * scale)), max(1, round(height * scale))


class PictureTrack:
    """Collects the pictures of utterances from packets.

    Args:
        utterances: in any order; none may be open-ended.
        everything: decode every packet, for files in which packets do not tell what they hold.
        in_the_middle: the first packet is not the first of the file.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: av.VideoStream,
        clock: Clock,
        *,
        utterances: Sequence[Utterance],
        pictures: Pictures,
        threads: int | None,
        everything: bool,
        in_the_middle: bool,
    ) -> None:
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads or min(_MOST_THREADS, _cores())
        self._container, self._stream, self._clock, self._pictures = container, stream, clock, pictures
        self.index, self.decoder = stream.index, Decoder(stream)
        wanted = sorted((time, i) for i, u in enumerate(utterances) for time in pictures.times(u))
        self._owners = [i for _, i in wanted]
        self._left = [0] * len(utterances)
        for i in self._owners:
            self._left[i] += 1
        self._shown: dict[int, list[tuple[float, Picture]]] = defaultdict(list)
        self._latest: tuple[av.VideoFrame, Picture] | None = None
        self._scaler = VideoReformatter()  # making one takes longer than scaling
        # By rotation, so that few frames are asked: one that was lives on until the garbage collector comes.
        self._layouts = dict[int, tuple[int, int, int, int]]()
        self._everything = everything
        times = [time for time, _ in wanted]
        begin_s, usual_s = origin_s(container), 1 / fps(stream)
        self._choice: ChoiceByPictures | ChoiceByPackets
        if everything:
            self._choice = ChoiceByPictures(self.decoder, times, stream, origin_s=begin_s, usual_s=usual_s)
        else:
            self._choice = ChoiceByPackets(
                self.decoder, times, stream, origin_s=begin_s, usual_s=usual_s, in_the_middle=in_the_middle
            )

    def feed(self, packet: Packet) -> None:
        """Take the next packet of the stream.

        Raises:
            BrokenPromiseError: the file has to be read anew, decoding everything.
        """
        self._collect(self._choice.feed(packet))

    def finish(self, path: Path) -> None:
        """Take note that the file has ended.

        Raises:
            MediaError: not one picture could be decoded.
            BrokenPromiseError: the file has to be read anew, decoding everything.
        """
        self._collect(self._choice.finish(self._end_s()))
        if self._everything and self._owners and not self.decoder.gave_something:
            message = "{path}: no picture of it can be decoded; is it complete? If players show it, save it as MP4"
            raise MediaError(t(message, path=path))

    def is_complete(self, i: int) -> bool:
        """Say whether all the pictures of utterance `i` are here."""
        return self._left[i] == 0

    def give_up(self, until_s: float) -> None:
        """Expect no more pictures that begin before `until_s`; where everything is decoded, go on waiting."""
        if isinstance(self._choice, ChoiceByPackets):
            self._collect(self._choice.give_up(until_s, self._end_s()))

    def take(self, i: int) -> Frames | None:
        """Return the pictures of utterance `i`, once; None without any."""
        shown = self._shown.pop(i, [])
        if not shown:
            return None
        height, width, _ = shown[0][1].shape  # the size may change in the middle of a file
        images = np.stack([_resized(image, width, height) for _, image in shown])
        return Frames(images, np.array([time for time, _ in shown]))

    def _collect(self, chosen: Iterable[tuple[Due, av.VideoFrame | None]]) -> None:
        for due, frame in chosen:
            i = self._owners[due.number]
            self._left[i] -= 1
            if frame is not None:
                self._shown[i].append((due.time_s, self._image(frame)))

    def _image(self, frame: av.VideoFrame) -> Picture:
        if self._latest is None or self._latest[0] is not frame:
            self._latest = frame, self._upright(frame)
        return self._latest[1]

    def _upright(self, frame: av.VideoFrame) -> Picture:
        """Scale to square pixels, and turn the way the camera was held."""
        aspect = self._stream.sample_aspect_ratio
        wide = float(aspect) if aspect and aspect > 0 else 1.0
        width, height = self._pictures.size(frame.width * max(wide, 1.0), frame.height / min(wide, 1.0))
        still = _one_field(frame) if frame.interlaced_frame else frame
        is_pq = frame.color_trc == ColorTrc.SMPTE2084
        kind = "rgb48le" if is_pq else "rgb24"
        scaled = self._scaler.reformat(still, width=width, height=height, format=kind, threads=1)
        if scaled.rotation not in self._layouts:
            self._layouts[scaled.rotation] = _layout(scaled)
        values = scaled.to_ndarray()
        image = from_pq(np.asarray(values, np.uint16)) if is_pq else np.asarray(values, np.uint8)
        return _laid_out(image, self._layouts[scaled.rotation])

    def _end_s(self) -> float:
        """Return until when the last picture is shown, as far as the file says."""
        end_s = self._clock.end_s.get(self._stream.index, 0.0)
        tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", self._stream.metadata.get("DURATION", ""))  # Matroska
        if tag:
            tagged_s = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
            end_s = max(end_s, tagged_s - origin_s(self._container))
        if audio_stream(self._container) is None:
            end_s = max(end_s, stated_duration_s(self._container) or 0.0)
        return end_s


def _one_field(frame: av.VideoFrame) -> av.VideoFrame:
    """Take every second line of an interlaced picture: what moves is elsewhere in the others, and looks like a comb."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    graph.link_nodes(source, graph.add("field", "type=top"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _layout(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Return a, b, c, d of a frame's display matrix: what is at (x, y) is shown at (a x + c y, b x + d y)."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # PyAV's stubs know other side data alone
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    return a, b, c, d


def _laid_out(image: Picture, layout: tuple[int, int, int, int]) -> Picture:
    """Turn and mirror a picture, to the nearest quarter of a turn."""
    a, b, c, d = layout
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _resized(image: Picture, width: int, height: int) -> Picture:
    if image.shape[:2] == (height, width):
        return image
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(width=width, height=height, threads=1)
    return np.ascontiguousarray(frame.to_ndarray(), np.uint8)
