"""Utterances far into a file: it is not read from its beginning for them, and they are the same as if it were."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from media_files import greys, tone, write
from trisent.media.clips import read_clips
from trisent.media.container import Clock
from trisent.types import Clip, Utterance

SECONDS = 50
SPANS = ((36.2, 38.4), (40.0, 44.0), (37.0, 37.3))
FPS = 5
PICTURES = [picture for picture in greys(SECONDS, width=32, height=32) for _ in range(FPS)]
TIMES = [k / FPS for k in range(SECONDS * FPS + 1)]
GROUPS = {"g": "12", "bf": "3", "preset": "veryfast"}
FILES = {
    "usual.mp4": {"codec_options": GROUPS},
    "fragments.mp4": {"codec_options": GROUPS, "options": {"movflags": "frag_keyframe+empty_moov"}},
    "one_keyframe.mp4": {"codec_options": {**GROUPS, "g": "10000"}},
    "sound_begins_late.mp4": {"codec_options": GROUPS, "sound_start": 36.5},
    "only_sound.m4a": {"pictures": ()},
    "usual.mkv": {"codec_options": {**GROUPS, "x264-params": "open-gop=1"}},
    "in_order.mkv": {"codec_options": {**GROUPS, "bf": "0"}},
    "sound_ends_early.mkv": {"codec_options": GROUPS, "sound": tone(20)},
    "hidden_pictures.webm": {
        "codec": "libvpx",
        "codec_options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"},
        "sound_codec": "libopus",
    },
}
INDEXED = ("usual.mp4", "usual.mkv", "only_sound.m4a", "hidden_pictures.webm")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("far")
    noise = np.random.default_rng(0).standard_normal(SECONDS * 48_000).astype(np.float32) / 10
    for name, how in FILES.items():
        write(folder / name, **{"pictures": PICTURES, "times": TIMES, "sound": noise, **how})
    sound_first(folder / "in_order.mkv", folder / "sound_first.mkv")
    return folder


def sound_first(path: Path, copy: Path) -> None:
    """Copy packets so that all sound lies before the pictures."""
    with av.open(str(path)) as file, av.open(str(copy), "w", options={"max_interleave_delta": "1"}) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in file.streams}
        packets = [packet for packet in file.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: packet.stream.type):
            packet.stream = streams[packet.stream_index]
            out.mux(packet)


def same(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Clip]:
    """Read clips far into a file, and compare them with those of a reading from its beginning."""
    utterances = [Utterance(str(i), *span) for i, span in enumerate(SPANS)]
    far = list(read_clips(path, utterances))
    monkeypatch.setattr("trisent.media.clips.go_near", lambda *_, **__: False)
    for one, other in zip(far, read_clips(path, utterances), strict=True):
        assert one.utterance == other.utterance
        for a, b in ((one.waveform, other.waveform), *zip(seen(one), seen(other), strict=True)):
            np.testing.assert_array_equal(a, b)
    return far


def seen(clip: Clip) -> Sequence[object]:
    return (clip.frames.images, clip.frames.times) if clip.frames else (None, None)


@pytest.mark.parametrize("name", FILES)
def test_clips_far_into_a_file_are_those_of_a_reading_from_its_beginning(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    assert len(same(files / name, monkeypatch)) == len(SPANS)


def test_sound_that_lies_far_from_its_pictures_is_not_lost(files: Path, monkeypatch: pytest.MonkeyPatch):
    for clip in same(files / "sound_first.mkv", monkeypatch):
        assert clip.waveform is not None
        assert np.abs(clip.waveform).mean() > 0.01


@pytest.mark.parametrize("name", INDEXED)
def test_what_lies_long_before_is_not_read(files: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    path, times, place = files / name, list[float](), Clock._place
    monkeypatch.setattr(
        Clock, "_place", lambda self, packet: times.append(float(packet.pts * packet.time_base)) or place(self, packet)
    )
    list(read_clips(path, [Utterance("far", 45.0, 46.0)]))
    assert 38 < min(times) < 45


def test_an_utterance_beyond_every_time_of_a_file_has_neither_sound_nor_pictures(files: Path):
    (clip,) = read_clips(files / "usual.mp4", [Utterance("never", 1e300, 1e300)])
    assert clip.waveform is None
    assert clip.frames is None
