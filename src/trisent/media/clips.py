"""A video file to clips: the sound and the pictures of its utterances, in one pass.

The one path from media to extractors: training and prediction both come through here. Who says what when is found out
in `listening.py`, or known.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from trisent.i18n import t
from trisent.media.choice import BrokenPromiseError, WrongPlaceError
from trisent.media.container import (
    Clock,
    audio_stream,
    go_near,
    opened,
    origin_s,
    report_damage,
    stated_duration_s,
    tell_of_others,
    video_stream,
)
from trisent.media.pictures import Pictures, PictureTrack
from trisent.media.probe import probe
from trisent.media.sound import SoundTrack
from trisent.types import Clip, Utterance

_log = logging.getLogger(__name__)

__all__ = ["Pictures", "read_clips"]

# After so many packets of other streams in a row, a stream is taken to have ended before the file: sound sooner than
# pictures, which may stand still for minutes and take little memory to wait for.
_SOUND_ENDED, _PICTURES_ENDED = 3_000, 30_000
_LATE_S = 0.5  # tables round, and sound ends some packets after pictures


def read_clips(
    path: Path,
    utterances: Sequence[Utterance],
    *,
    sound: bool = True,
    pictures: Pictures | None = Pictures(),  # noqa: B008  (it is frozen)
    threads: int | None = None,
) -> Iterator[Clip]:
    """Decode the sound and the pictures of utterances in one pass over their file, with constant memory.

    The pass begins near the first utterance where the file says what is where, else at the beginning.

    Args:
        path: anything FFmpeg reads.
        utterances: in any order; they may overlap. One whose `end` is infinite lasts to the end of the file.
        sound: whether to decode it.
        pictures: how many and how large; None decodes none.
        threads: of the picture decoder; as many as there are cores, at most four, if None.

    Yields:
        A clip an utterance, each as soon as it is complete: in order of their ends. Its utterance has the real end; an
        utterance that begins after the end of the file has neither sound nor pictures.

    Raises:
        MediaError: the file cannot be read, or is cut off; clips that are complete by then have been yielded.
    """
    done, anywhere, everything = 0, True, False
    while True:
        clips = _read(path, utterances, sound, pictures, threads, anywhere=anywhere, everything=everything)
        try:
            for clip in islice(clips, done, None):
                yield clip
                done += 1
            return
        except WrongPlaceError:
            anywhere = False
        except BrokenPromiseError:
            anywhere, everything = False, True


def _read(
    path: Path,
    utterances: Sequence[Utterance],
    sound: bool,
    pictures: Pictures | None,
    threads: int | None,
    *,
    anywhere: bool,
    everything: bool,
) -> Iterator[Clip]:
    with opened(path) as container:
        tell_of_others(container, path)
        clock = Clock(container, path)
        stated_s = stated_duration_s(container)
        utterances = _in_order_of_end(utterances, path, stated_s)
        heard, seen = None, None
        audio = audio_stream(container) if sound else None
        video = video_stream(container) if pictures is not None else None
        in_the_middle = False
        if anywhere and utterances and (stream := video or audio):
            in_the_middle = go_near(container, stream, min(u.start for u in utterances), path=path)
        if audio:
            heard = SoundTrack(
                audio, utterances, origin_s=origin_s(container), stated_s=stated_s, in_the_middle=in_the_middle
            )
        if pictures is not None and video:
            seen = PictureTrack(
                container,
                video,
                clock,
                utterances=utterances,
                pictures=pictures,
                threads=threads,
                everything=everything,
                in_the_middle=in_the_middle,
            )
        since_sound = since_picture = done = 0
        for packet in clock.packets():
            since_sound, since_picture = since_sound + 1, since_picture + 1
            if heard and packet.stream_index == heard.index:
                heard.feed(packet)
                since_sound = 0
            elif seen and packet.stream_index == seen.index:
                seen.feed(packet)
                since_picture = 0
            while done < len(utterances):
                if heard and not heard.is_complete(done) and not (seen and since_sound > _SOUND_ENDED):
                    break
                if seen and not seen.is_complete(done) and since_picture > _PICTURES_ENDED:
                    seen.give_up(utterances[done].end)
                if seen and not seen.is_complete(done):
                    break
                yield _clip(utterances[done], done, heard, seen)
                done += 1
            if done == len(utterances):
                break
        else:
            if heard:
                heard.finish(path)
            if seen:
                seen.finish(path)
            end_s = max(stated_s or 0.0, max(clock.end_s.values(), default=math.inf))
            _tell_of_late_ends(path, end_s, utterances[done:])
            for i in range(done, len(utterances)):
                yield _clip(utterances[i], i, heard, seen)
        report_damage(path, *(track.decoder for track in (heard, seen) if track))


def _in_order_of_end(utterances: Sequence[Utterance], path: Path, stated_s: float | None) -> list[Utterance]:
    """Sort utterances by their ends, which are finite then."""
    if any(math.isinf(u.end) for u in utterances):
        end_s = probe(path).duration_s if stated_s is None else stated_s
        utterances = [replace(u, end=max(u.start, end_s)) if math.isinf(u.end) else u for u in utterances]
    return sorted(utterances, key=lambda u: u.end)


def _tell_of_late_ends(path: Path, end_s: float, utterances: Sequence[Utterance]) -> None:
    """Say so when utterances go on long after the end of their file: little of them is there."""
    late = [u for u in utterances if u.start < end_s < u.end - _LATE_S]
    if late:
        message = "{path}: ends at {end:.1f} s, before {count} of its utterances, such as {id} ({until:.1f} s)"
        _log.warning("%s", t(message, path=path, end=end_s, count=len(late), id=late[-1].id, until=late[-1].end))


def _clip(utterance: Utterance, i: int, heard: SoundTrack | None, seen: PictureTrack | None) -> Clip:
    return Clip(utterance, heard.take(i) if heard else None, seen.take(i) if seen else None)
