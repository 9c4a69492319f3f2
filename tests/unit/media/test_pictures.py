"""Pictures: the right one at the right time, upright, in the right shape and colour."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media_files import Picture, greys, lay_out, number_of, plain, tone, turn, write
from trisent.media.probe import probe
from unit.media.conftest import read_frames

RED, GREEN, BLUE = (220, 30, 40), (30, 200, 50), (20, 40, 210)


def quarters(width: int = 64, height: int = 48) -> Picture:
    """Paint red on the left above, green below it, blue on the right."""
    picture = plain(RED, width=width, height=height)
    picture[height // 2 :, : width // 2], picture[:, width // 2 :] = GREEN, BLUE
    return picture


def one(path: Path) -> Picture:
    return next(read_frames(path, [0.01]))[1]


def numbers(path: Path, times: list[float]) -> list[tuple[float, int]]:
    return [(time, number_of(picture)) for time, picture in read_frames(path, times)]


def corners(picture: Picture) -> list[list[int]]:
    """Take the colours above left, above right, below left and below right."""
    y, x = picture.shape[0] // 8, picture.shape[1] // 8
    return [picture[a, b].astype(int).tolist() for a, b in ((y, x), (y, -x - 1), (-y - 1, x), (-y - 1, -x - 1))]


CONTAINERS = {
    "a.mp4": {},
    "a.mov": {},
    "a.mkv": {},
    "a.webm": {"codec": "libvpx-vp9", "sound_codec": "libopus"},
    "fragments.mp4": {"options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}, "sound": None},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8", "sound": None},
    "a.h264": {"format": "h264", "sound": None},
    "b_frames.mp4": {"codec_options": {"preset": "medium", "bf": "3"}},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_picture_for_a_time_is_the_one_on_screen(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, **{"pictures": greys(50), "sound": tone(2.0), **CONTAINERS[name]})
    times = [0.0, 0.02, 0.41, 0.79, 1.0, 1.99]
    assert numbers(path, times) == [(t, int(t * 25 + 1e-9)) for t in times]


@pytest.mark.parametrize("name", ["a.ts", "a.flv", "a.avi"])
def test_formats_with_coarse_clocks_are_right_to_one_picture(tmp_path: Path, name: str) -> None:
    codecs = {"a.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound_codec": "libmp3lame"}}
    sound = tone(2.0, rate=44_100)
    path = write(tmp_path / name, pictures=greys(50), sound=sound, rate=44_100, **codecs.get(name, {}))
    for time, number in numbers(path, [0.02, 0.41, 0.79, 1.0, 1.9]):
        assert number == pytest.approx(int(time * 25), abs=1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_with_a_variable_rate_a_picture_stays_until_the_next_one(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, pictures=greys(4), times=[0.0, 0.1, 1.5, 1.54, 4.0])
    times = [0.05, 0.1, 0.11, 1.49, 1.52, 1.6, 3.9]
    assert [number for _, number in numbers(path, times)] == [0, 1, 1, 1, 2, 3, 3]


def test_after_the_last_picture_there_is_none_although_the_sound_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", pictures=greys(10), sound=tone(2.0))
    assert [time for time, _ in read_frames(path, [0.2, 0.39, 0.6, 1.5])] == [0.2, 0.39]


def test_long_before_the_first_picture_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", pictures=greys(2), times=[1.0, 1.5, 2.0], sound=tone(2.0))
    assert numbers(path, [0.2, 0.9, 1.2, 1.7]) == [(0.9, 0), (1.2, 0), (1.7, 1)]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("odd.mp4", {"pix_fmt": "yuv444p"}),
        ("odd.webm", {"codec": "libvpx-vp9"}),
        ("odd.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}),
    ],
)
def test_odd_sizes_keep_every_column_in_place(tmp_path: Path, name: str, how: dict[str, str]) -> None:
    picture = one(write(tmp_path / name, pictures=[quarters(101, 57)] * 3, **how))
    assert picture.shape == (57, 101, 3)
    assert corners(picture) == [pytest.approx(c, abs=4) for c in (RED, BLUE, GREEN, BLUE)]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("hevc_10_bit.mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
        ("full_range.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("a.mkv", {"codec": "ffv1", "pix_fmt": "yuv422p10le"}),
        ("a.ts", {"codec": "mpeg2video"}),
        ("a.wmv", {"codec": "wmv2"}),
    ],
)
def test_colours_survive_any_pixel_format(tmp_path: Path, name: str, how: dict[str, str]) -> None:
    picture = one(write(tmp_path / name, pictures=[quarters()] * 6, **how))
    assert corners(picture) == [pytest.approx(c, abs=6) for c in (RED, BLUE, GREEN, BLUE)]


INTERLACED = {
    "a.mpg": {"codec": "mpeg2video", "codec_options": {"flags": "+ildct+ilme"}},
    "a.ts": {"codec_options": {"preset": "medium", "x264-params": "interlaced=1"}},
}


def bar(x: int) -> Picture:
    picture = plain((40, 40, 40), width=160, height=96)
    picture[:, x : x + 40] = 200
    return picture


@pytest.mark.parametrize("name", INTERLACED)
def test_what_moves_in_an_interlaced_picture_is_seen_once(tmp_path: Path, name: str) -> None:
    fields = [bar(6 * k) for k in range(20)]
    woven = [
        np.stack([a[::2], b[1::2]], axis=1).reshape(a.shape) for a, b in zip(fields[::2], fields[1::2], strict=True)
    ]
    path = write(tmp_path / name, pictures=woven, **INTERLACED[name])
    for time, picture in read_frames(path, [0.14, 0.26]):
        alone = fields[2 * int(25 * time)]
        assert picture.shape == alone.shape
        assert np.abs(picture.astype(int) - alone).mean() < 6  # with the other field in between 19


def test_a_picture_of_high_dynamic_range_is_as_bright_as_on_an_ordinary_screen(tmp_path: Path) -> None:
    nits = np.array([1.0, 10.0, 50.0, 100.0, 203.0, 1000.0])
    power = (nits / 10_000) ** (2610 / 16384)  # SMPTE ST 2084
    coded = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    picture = np.repeat(np.repeat(255 * coded[None, :, None], 3, axis=2).round().astype(np.uint8), 32, axis=1)
    picture = np.repeat(picture, 48, axis=0)
    tags = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    path = tmp_path / "a.mp4"
    write(path, pictures=[picture] * 3, codec="libx265", pix_fmt="yuv420p10le", codec_options={"x265-params": tags})
    expected = 255 * np.minimum(1, nits / 203) ** (1 / 2.4)  # white is at 203 (BT.2408), the screen BT.1886
    np.testing.assert_allclose(one(path)[24, 16::32].mean(axis=1), expected, atol=9)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (0, (RED, BLUE, GREEN, BLUE)),
        (90, (BLUE, BLUE, RED, GREEN)),
        (180, (BLUE, GREEN, BLUE, RED)),
        (270, (GREEN, RED, BLUE, BLUE)),
    ],
)
def test_a_turned_camera_gives_upright_pictures(
    tmp_path: Path, degrees: int, expected: tuple[tuple[int, int, int], ...]
) -> None:
    picture = one(turn(write(tmp_path / "a.mp4", pictures=[quarters()] * 3), degrees))
    assert picture.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
    assert corners(picture) == [pytest.approx(c, abs=6) for c in expected]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((-1, 0, 0, 1), (BLUE, RED, BLUE, GREEN)),
        ((1, 0, 0, -1), (GREEN, BLUE, RED, BLUE)),
        ((0, 1, 1, 0), (RED, GREEN, BLUE, BLUE)),
        ((0, -1, -1, 0), (BLUE, BLUE, GREEN, RED)),
    ],
    ids=["left and right", "above and below", "along one diagonal", "along the other"],
)
def test_a_mirrored_camera_gives_the_picture_that_players_show(
    tmp_path: Path, matrix: tuple[int, int, int, int], expected: tuple[tuple[int, int, int], ...]
) -> None:
    picture = one(lay_out(write(tmp_path / "a.mp4", pictures=[quarters()] * 3), matrix))
    assert picture.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    assert corners(picture) == [pytest.approx(c, abs=6) for c in expected]


@pytest.mark.parametrize(
    ("name", "aspect", "shape"),
    [
        ("a.mp4", Fraction(2), (48, 128, 3)),
        ("a.mkv", Fraction(2), (48, 128, 3)),
        ("b.mp4", Fraction(1, 2), (96, 64, 3)),
    ],
)
def test_pixels_that_are_not_square_become_square(
    tmp_path: Path, name: str, aspect: Fraction, shape: tuple[int, int, int]
) -> None:
    assert one(write(tmp_path / name, pictures=[quarters()] * 3, aspect=aspect)).shape == shape


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (720, 1280), (2000, 4), (2, 2)])
def test_the_longer_side_is_bounded_and_small_pictures_are_not_enlarged(
    tmp_path: Path, width: int, height: int
) -> None:
    picture = one(write(tmp_path / "a.mkv", pictures=greys(2, width=width, height=height), codec="ffv1"))
    assert max(picture.shape[:2]) == min(640, max(width, height))
    assert picture.shape[1] / picture.shape[0] == pytest.approx(width / height, rel=0.01) or min(picture.shape[:2]) == 1


def test_a_still_picture_is_a_video_of_one_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "100%d off.png", pictures=greys(1), codec="png", pix_fmt="rgb24", format="image2pipe")
    assert probe(path).duration_s == pytest.approx(0.04)
    assert numbers(path, [0.02]) == [(0.02, 0)]


@pytest.mark.parametrize("name", ["a.h264", "live.mkv", "a.aac"])
def test_a_duration_that_is_not_stated_is_found(tmp_path: Path, name: str) -> None:
    how = {
        "a.h264": {"pictures": greys(50), "format": "h264"},
        "live.mkv": {"pictures": greys(50), "options": {"live": "1"}},
        "a.aac": {"sound": tone(2.0), "format": "adts"},
    }
    assert probe(write(tmp_path / name, **how[name])).duration_s == pytest.approx(2.0, abs=0.05)


def test_pictures_may_be_left_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", pictures=greys(25))
    pictures = read_frames(path, np.arange(0, 1, 0.04).tolist())
    next(pictures)
    pictures.close()
