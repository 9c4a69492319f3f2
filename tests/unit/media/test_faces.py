"""The face detector on real weights, against a place measured by hand in the sample clip's first picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from media_files import Picture
from trisent.media.faces import SIZE, FaceFinder, cut_face, cut_face_in_colour
from trisent.media.mtcnn import Mtcnn
from unit.media.conftest import SAMPLE, read_frames

FACE = np.array([157.0, 112.0, 328.0, 330.0])  # hair to chin, cheek to cheek; by eye
Box = NDArray[np.floating]

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def folder(embedded_weights: Mapping[str, Path]) -> Path:
    return embedded_weights["mtcnn"]


@pytest.fixture(scope="module")
def detector(folder: Path) -> Mtcnn:
    return Mtcnn(folder)


def overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.clip(high - low, 0, None).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def scene(portrait: Picture, *places: tuple[int, int, int]) -> Picture:
    """Hang the portrait on a grey wall: (x, y, side) each."""
    wall = np.full((360, 640, 3), 120, np.uint8)
    for x, y, side in places:
        wall[y : y + side, x : x + side] = np.asarray(Image.fromarray(portrait).resize((side, side)))
    return wall


def placed(x: int, y: int, side: int) -> Box:
    return FACE * side / 480 + np.array([x, y, x, y])


@pytest.mark.parametrize("side", [120, 200, 340])
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)])
def test_a_face_is_found_at_any_scale_and_place(
    detector: Mtcnn, portrait: Picture, side: int, corner: tuple[float, float]
) -> None:
    x, y = round(corner[0] * (640 - side)), round(corner[1] * (360 - side))
    boxes, probabilities = detector.detect(scene(portrait, (x, y, side)))
    assert overlap(boxes[0], placed(x, y, side)) > 0.5
    assert probabilities[0] > 0.9


def test_the_face_is_found_all_through_the_sample_clip(folder: Path) -> None:
    finder, times = FaceFinder(folder), np.arange(0.5, 19.0, 2.0).tolist()
    for _, picture in read_frames(SAMPLE, times):
        box = finder.main_face(picture)
        assert box is not None
        assert overlap(box, FACE) > 0.5


def test_a_small_and_a_large_face_are_both_found_and_the_large_one_matters(folder: Path, portrait: Picture) -> None:
    picture = scene(portrait, (20, 100, 120), (280, 10, 340))
    boxes, _ = Mtcnn(folder).detect(picture)
    assert len(boxes) == 2
    box = FaceFinder(folder).main_face(picture)
    assert box is not None
    assert overlap(box, placed(280, 10, 340)) > 0.5


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8), id="noise"),
        pytest.param(np.zeros((360, 640, 3), np.uint8), id="black"),
        pytest.param(np.full((2, 640, 3), 200, np.uint8), id="a strip"),
        pytest.param(np.full((1, 1, 3), 200, np.uint8), id="a pixel"),
    ],
)
def test_where_there_is_no_face_none_is_found(detector: Mtcnn, picture: Picture) -> None:
    boxes, probabilities = detector.detect(picture)
    assert boxes.shape == (0, 4)
    assert probabilities.shape == (0,)


LEFT, RIGHT = (10, 40, 290), (340, 40, 290)


def test_of_two_similar_faces_the_main_one_stays_the_same_person(folder: Path, portrait: Picture) -> None:
    finder, mirrored = FaceFinder(folder), portrait[:, ::-1]
    first = finder.main_face(scene(portrait, LEFT))
    for grow in (0, 10, 20, 0, 15):  # the other one leans forward, and is larger now and then
        picture = scene(portrait, LEFT)
        x, y, side = RIGHT[0] - grow, RIGHT[1] - grow, RIGHT[2] + grow
        picture[y : y + side, x : x + side] = np.asarray(Image.fromarray(mirrored).resize((side, side)))
        box = finder.main_face(picture)
        assert box is not None
        assert first is not None
        assert overlap(box, first) > 0.5


def test_while_the_main_face_is_turned_away_nobody_else_takes_its_place(folder: Path, portrait: Picture) -> None:
    finder = FaceFinder(folder)
    assert finder.main_face(scene(portrait, LEFT)) is not None
    assert finder.main_face(scene(portrait, RIGHT)) is None
    back = finder.main_face(scene(portrait, LEFT, RIGHT))
    assert back is not None
    assert overlap(back, placed(*LEFT)) > 0.5


def test_a_main_face_that_comes_back_takes_its_place_again(folder: Path, portrait: Picture) -> None:
    finder, small = FaceFinder(folder), (420, 60, 200)
    both, alone = scene(portrait, LEFT, small), scene(portrait, small)
    boxes = [finder.main_face(picture) for picture in [both] * 6 + [alone] * 3 + [both] * 5]
    assert boxes[6:8] == [None, None]  # at first nobody else is looked at
    for box, place in ((boxes[5], LEFT), (boxes[8], small), (boxes[-1], LEFT)):
        assert box is not None
        assert overlap(box, placed(*place)) > 0.5


def test_a_larger_face_elsewhere_does_not_hide_the_main_one(folder: Path, portrait: Picture) -> None:
    finder, small = FaceFinder(folder, every=1), (10, 220, 110)
    for picture in [scene(portrait, small)] * 2 + [scene(portrait, small, (140, 0, 360))] * 4:
        box = finder.main_face(picture)
        assert box is not None
        assert overlap(box, placed(*small)) > 0.5


def test_after_a_cut_the_new_place_is_accepted(folder: Path, portrait: Picture) -> None:
    finder = FaceFinder(folder)
    finder.main_face(scene(portrait, LEFT))
    found = [finder.main_face(scene(portrait, RIGHT)) for _ in range(4)]
    assert found[-1] is not None
    assert overlap(found[-1], placed(*RIGHT)) > 0.5
    finder.reset()
    assert finder.main_face(scene(portrait, LEFT)) is not None


def test_the_face_is_cut_out_square_and_grey_also_at_the_border(portrait: Picture) -> None:
    for box in (FACE, FACE - 150, FACE + 250, np.array([10.0, 10.0, 10.2, 10.2])):
        face = cut_face(portrait, box.astype(np.float32))
        assert face.shape == (SIZE, SIZE)
        assert face.dtype == np.uint8
    assert cut_face(portrait, (FACE - 1000).astype(np.float32)).max() == 0


def walk(portrait: Picture, n: int) -> list[Picture]:
    """Let the portrait move and grow from picture to picture, as somebody who talks."""
    rng, x, y, side = np.random.default_rng(0), 150.0, 20.0, 280.0
    pictures = []
    for _ in range(n):
        x, y = np.clip(x + rng.uniform(-30, 30), 0, 320), np.clip(y + rng.uniform(-10, 10), 0, 50)
        side = np.clip(side * rng.uniform(0.93, 1.07), 200, 300)
        pictures.append(scene(portrait, (round(x), round(y), round(side))))
    return pictures


def test_a_face_that_is_followed_is_where_the_detector_finds_it(
    folder: Path, detector: Mtcnn, portrait: Picture
) -> None:
    finder = FaceFinder(folder, every=4)
    sample = [picture for _, picture in read_frames(SAMPLE, np.arange(0.5, 8.0, 0.5).tolist())]
    for pictures in (sample, walk(portrait, 24)):
        finder.reset()
        overlaps = []
        for picture in pictures:
            box = finder.main_face(picture)
            assert box is not None
            overlaps.append(overlap(box, detector.detect(picture)[0][0]))
        assert min(overlaps) > 0.7
        assert np.mean(overlaps) > 0.9


def test_the_whole_picture_is_searched_only_now_and_then(
    folder: Path, portrait: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches, detect = list[int](), Mtcnn.detect
    monkeypatch.setattr(Mtcnn, "detect", lambda self, image: searches.append(1) or detect(self, image))
    finder = FaceFinder(folder, every=4)
    for picture in walk(portrait, 12):
        assert finder.main_face(picture) is not None
    assert len(searches) == 3


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_followed_face_that_turns_away_is_not_seen_and_a_cut_is_followed(
    folder: Path, portrait: Picture, after: int
) -> None:
    finder = FaceFinder(folder, every=4)
    for _ in range(after):
        assert finder.main_face(scene(portrait, LEFT)) is not None
    away = scene(portrait, LEFT)
    x, y, side = LEFT
    away[y : y + side, x : x + side] = np.asarray(Image.fromarray(portrait[::-1]).resize((side, side)))  # upside down
    assert finder.main_face(away) is None
    back = finder.main_face(scene(portrait, LEFT))
    assert back is not None
    found = [finder.main_face(scene(portrait, RIGHT)) for _ in range(4)]
    assert found[:2] == [None, None]
    assert found[-1] is not None
    assert overlap(found[-1], placed(*RIGHT)) > 0.5


def test_a_face_that_leaves_the_picture_is_not_followed_out_of_it(folder: Path, portrait: Picture) -> None:
    finder = FaceFinder(folder, every=100)
    assert finder.main_face(scene(portrait, (340, 40, 290))) is not None
    for picture in (np.full((360, 640, 3), 120, np.uint8), np.full((40, 40, 3), 120, np.uint8)):
        assert finder.main_face(picture) is None


def test_the_face_is_cut_out_in_colour_with_a_margin_also_at_the_border(portrait: Picture) -> None:
    face = cut_face_in_colour(portrait, FACE.astype(np.float32), size=64, margin=1.5)
    assert face.shape == (64, 64, 3)
    side = 1.5 * 218  # of the box the longer side
    x, y = 242.5 - side / 2, 221 - side / 2
    crop = Image.fromarray(portrait).crop((round(x), round(y), round(x + side), round(y + side)))
    expected = np.asarray(crop.resize((64, 64), Image.Resampling.BOX), int)
    assert np.abs(face - expected).mean() < 2
    outside = cut_face_in_colour(portrait, (FACE - 1000).astype(np.float32))
    assert outside.shape == (256, 256, 3)
    assert outside.max() == 0
