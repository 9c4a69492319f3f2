"""What a media file holds, said without decoding it."""

from dataclasses import dataclass
from pathlib import Path

from av import AudioCodecContext, VideoCodecContext
from av.container import InputContainer

from trisent.errors import MediaError
from trisent.i18n import t
from trisent.media.container import Clock, audio_stream, fps, opened, stated_duration_s, video_stream
from trisent.media.whole import check_whole


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
        check_whole(path)
        audio, video = audio_stream(container), video_stream(container)
        if audio is None and video is None:
            raise MediaError(t("{path}: holds neither sound nor moving pictures", path=path))
        sound = _heard(audio.codec_context) if audio else None
        pictures = _seen(video.codec_context) if video else None
        duration_s = stated_duration_s(container)
        if duration_s is None:
            duration_s = _measured_duration_s(container, path)
    return MediaInfo(path, duration_s, sound, pictures)


def _heard(sound: AudioCodecContext) -> str:
    rate = f", {sound.sample_rate} Hz" if sound.sample_rate else ""  # not known yet where sound begins late
    return f"{sound.name}{rate}"


def _seen(pictures: VideoCodecContext) -> str:
    size = f", {pictures.width} x {pictures.height}" if pictures.width else ""  # animated WebP does not say
    return f"{pictures.name}{size}"


def _measured_duration_s(container: InputContainer, path: Path) -> float:
    clock, video, pictures = Clock(container, path), video_stream(container), 0
    for packet in clock.packets():
        pictures += video is not None and packet.stream_index == video.index and packet.size > 0
    # A bare stream of pictures has no clock: count.
    counted_s = pictures / fps(video) if video and video.index not in clock.end_s else 0.0
    return max(0.0, counted_s, *clock.end_s.values())
