"""Sound: rate, channels, times and holes, against the tones that were written."""

import wave
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media_files import Samples, greys, tone, write
from trisent.media.clips import read_clips
from trisent.media.probe import probe
from trisent.media.sound import read_waveform
from trisent.types import Utterance

HZ = 16_000


def frequency(waveform: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * HZ / len(waveform))


def loud_from_to(waveform: Samples) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(waveform) > 0.05)
    return loud[0] / HZ, (loud[-1] + 1) / HZ


def heard(path: Path) -> Samples:
    waveform = read_waveform(path)
    assert waveform is not None
    assert waveform.dtype == np.float32
    return waveform


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_pitch_and_length_at_any_rate(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", sound=tone(0.5, hz=1000, rate=rate), rate=rate, sound_codec="pcm_s16le")
    waveform = heard(path)
    assert len(waveform) == pytest.approx(0.5 * HZ, abs=2)
    assert frequency(waveform) == pytest.approx(1000, abs=4)
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.02)


def test_a_voice_that_is_the_same_left_and_right_is_not_made_louder(tmp_path: Path) -> None:
    both = np.stack([tone(0.3, level=0.9)] * 2)
    path = write(tmp_path / "a.wav", sound=both, layout="stereo", sound_codec="pcm_s16le")
    assert np.abs(heard(path)).max() == pytest.approx(0.9, abs=0.01)


def test_a_voice_in_the_centre_of_5_1_is_heard_and_the_loudest_mix_does_not_clip(tmp_path: Path) -> None:
    centre = np.zeros((6, 24_000), np.float32)
    centre[2] = tone(0.5)
    write(tmp_path / "centre.wav", sound=centre, layout="5.1", sound_codec="pcm_s16le")
    full = np.repeat(tone(0.5, level=0.99)[None], 6, axis=0)
    write(tmp_path / "full.wav", sound=full, layout="5.1", sound_codec="pcm_s16le")
    assert frequency(heard(tmp_path / "centre.wav")) == pytest.approx(440, abs=4)
    assert np.abs(heard(tmp_path / "full.wav")).max() < 1.0


@pytest.mark.parametrize("channels", [3, 9])
def test_channels_of_unknown_position_are_mixed(tmp_path: Path, channels: int) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(np.repeat(tone(0.5, rate=HZ)[:, None] * 32767, channels, axis=1).astype("<i2").tobytes())
    waveform = heard(tmp_path / "a.wav")
    assert frequency(waveform) == pytest.approx(440, abs=4)
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.01)


def test_channels_may_change_in_the_middle(tmp_path: Path) -> None:
    one = write(tmp_path / "1.aac", sound=tone(0.5), format="adts").read_bytes()
    two = write(tmp_path / "2.aac", sound=np.stack([tone(0.5)] * 2), layout="stereo", format="adts").read_bytes()
    (tmp_path / "both.aac").write_bytes(one + two)
    assert len(heard(tmp_path / "both.aac")) == pytest.approx(
        1.0 * HZ, abs=0.1 * HZ
    )  # each begins with 21 ms of the encoder's


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
def test_sound_that_starts_later_than_the_pictures_keeps_its_time(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, pictures=greys(50), sound=tone(1.0), sound_start=0.7)
    assert loud_from_to(heard(path)) == pytest.approx((0.7, 1.7), abs=0.03)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_sound_that_begins_after_an_utterance_is_whole_at_the_next(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path / name, pictures=greys(11), times=[2.0 * k for k in range(12)], sound=tone(5.0), sound_start=15.5
    )
    before, after = read_clips(path, [Utterance("before", 0.0, 2.0), Utterance("after", 15.0, 19.0)])
    assert before.waveform is None or not before.waveform.any()
    np.testing.assert_array_equal(after.waveform, heard(path)[15 * HZ : 19 * HZ])


def pieces_at(path: Path, starts_s: Iterable[float]) -> Path:
    """Write 50 ms of a tone at each of the times, whether they fit together or not."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=HZ, layout="mono")
        samples = (tone(0.05, rate=HZ) * 32767).astype(np.int16)
        for start_s in starts_s:
            packet = av.Packet(samples.tobytes())
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 1000), 50
            packet.pts = packet.dts = round(start_s * 1000)
            file.mux(packet)
    return path


def test_sound_that_runs_ahead_of_its_time_stamps_is_held_back(tmp_path: Path) -> None:
    path = pieces_at(tmp_path / "a.mkv", np.arange(0.0, 2.0, 0.04).tolist())
    assert len(heard(path)) == pytest.approx(2.0 * HZ, abs=0.11 * HZ)  # 2.5 s of samples


def test_a_hole_in_the_time_stamps_is_silence(tmp_path: Path) -> None:
    starts_s = [*np.arange(0.0, 0.5, 0.05).tolist(), *np.arange(1.5, 2.0, 0.05).tolist()]
    waveform = heard(pieces_at(tmp_path / "hole.mkv", starts_s))
    assert len(waveform) == pytest.approx(2.0 * HZ, abs=20)
    assert np.abs(waveform[int(0.51 * HZ) : int(1.49 * HZ)]).max() == 0.0
    assert loud_from_to(waveform[HZ:])[0] == pytest.approx(0.5, abs=0.01)


def test_of_several_tracks_the_default_one_is_heard_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("pcm_s16le", rate=HZ, layout="mono") for _ in range(2)]
        streams[1].disposition = av.stream.Disposition.default
        for stream, hz in zip(streams, (300, 900), strict=True):
            samples = (tone(0.5, hz=hz, rate=HZ) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = HZ, Fraction(1, HZ), 0
            file.mux(stream.encode(frame))
    assert frequency(heard(path)) == pytest.approx(900, abs=4)
    (clip,) = read_clips(path, [Utterance("all", 0.0, 0.5)])
    assert frequency(clip.waveform) == pytest.approx(900, abs=4)
    (told,) = caplog.messages
    assert "has 2 tracks of sound; heard is number 2" in told


def test_recordings_that_were_joined_follow_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "1.ts", pictures=greys(25), sound=tone(1.0)).read_bytes()
    offset = {"output_ts_offset": "500"}
    second = write(tmp_path / "2.ts", pictures=greys(25), sound=tone(1.0, hz=880), options=offset).read_bytes()
    (tmp_path / "joined.ts").write_bytes(first + second + first)
    waveform = heard(tmp_path / "joined.ts")
    assert len(waveform) == pytest.approx(3.0 * HZ, abs=0.15 * HZ)
    assert frequency(waveform[int(1.2 * HZ) : int(1.8 * HZ)]) == pytest.approx(880, abs=4)
    assert probe(tmp_path / "joined.ts").duration_s == pytest.approx(3.0, abs=0.15)


def test_a_broken_float_stream_gives_finite_samples(tmp_path: Path) -> None:
    sound = tone(0.3)
    sound[1000:1010], sound[2000] = np.nan, np.inf
    waveform = heard(write(tmp_path / "nan.wav", sound=sound, sound_codec="pcm_f32le"))
    assert np.isfinite(waveform).all()
    assert np.abs(waveform).max() <= 1.0


def test_a_file_without_sound_gives_none(tmp_path: Path) -> None:
    assert read_waveform(write(tmp_path / "a.mp4", pictures=greys(5))) is None


def test_music_with_a_cover_is_sound_only(tmp_path: Path) -> None:
    music = write(tmp_path / "plain.mp3", sound=tone(1.0), sound_codec="libmp3lame")
    cover = write(tmp_path / "cover.png", pictures=greys(1), codec="png", pix_fmt="rgb24", format="image2pipe")
    path = tmp_path / "song.mp3"
    picture = b"\x00image/png\x00\x03\x00" + cover.read_bytes()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\x00\x00" + picture
    size = len(frame)
    header = b"ID3\x03\x00\x00" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    path.write_bytes(header + frame + music.read_bytes())
    info = probe(path)
    assert info.video is None
    assert info.duration_s == pytest.approx(1.0, abs=0.06)
    assert frequency(heard(path)) == pytest.approx(440, abs=4)
