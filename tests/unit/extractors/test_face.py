"""The face extractor with its real networks, on the sample's portrait and on pictures without anybody."""

import numpy as np
import pytest

from trisent.extractors.face import FaceVideoExtractor
from trisent.media.clips import read_clips
from trisent.samples import TALK
from trisent.types import Frames, Utterance

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def extractor() -> FaceVideoExtractor:
    return FaceVideoExtractor(device="cpu")


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    clip = next(read_clips(TALK, [Utterance("0", 1.0, 1.0)], sound=False))
    assert clip.frames is not None
    return clip.frames.images[0]


def frames(*images: np.ndarray) -> Frames:
    return Frames(np.stack(images), np.arange(len(images), dtype=np.float32) / 2)


def test_a_frame_without_a_face_keeps_its_place_and_its_time_and_is_masked(
    extractor: FaceVideoExtractor, portrait: np.ndarray
):
    [features] = extractor.extract([frames(portrait, np.zeros_like(portrait), portrait)])
    assert features.mask.tolist() == [True, False, True]
    assert features.times.tolist() == [0.0, 0.5, 1.0]
    assert features.values.shape == (3, extractor.dim) == (3, 1415)
    np.testing.assert_array_equal(features.values[1], 0)
    np.testing.assert_allclose(features.values[2], features.values[0], atol=1e-5)


def test_the_last_seven_features_are_the_expression_s_probabilities(
    extractor: FaceVideoExtractor, portrait: np.ndarray
):
    [features] = extractor.extract([frames(portrait)])
    assert features.values[0, -7:].sum() == pytest.approx(1, abs=1e-5)
    assert features.values[0, -7:].argmax() == 3  # the astronaut smiles


def test_black_white_and_grey_pictures_are_masked_and_no_frames_give_no_steps(extractor: FaceVideoExtractor):
    blanks = [np.full((120, 160, 3), level, np.uint8) for level in (0, 128, 255)]
    none = Frames(np.zeros((0, 120, 160, 3), np.uint8), np.zeros(0, np.float32))
    blank, empty = extractor.extract([frames(*blanks), none])
    assert not blank.mask.any()
    assert blank.pooled() is None
    assert (empty.values.shape, empty.mask.shape) == ((0, 1415), (0,))


def test_a_grey_picture_gives_nearly_what_the_coloured_one_gives_for_faces_are_seen_in_grey(
    extractor: FaceVideoExtractor, portrait: np.ndarray
):
    from PIL import Image

    grey = np.asarray(Image.fromarray(portrait).convert("L").convert("RGB"))
    in_colour, in_grey = extractor.extract([frames(portrait), frames(grey)])
    assert in_grey.mask.all()
    assert np.corrcoef(in_colour.values[0], in_grey.values[0])[0, 1] > 0.9


def test_a_frame_s_features_depend_neither_on_other_frames_nor_on_other_utterances(
    extractor: FaceVideoExtractor, portrait: np.ndarray
):
    mirrored = portrait[:, ::-1]
    [alone] = extractor.extract([frames(mirrored)])
    first, second = extractor.extract([frames(portrait, portrait), frames(mirrored)])
    np.testing.assert_allclose(second.values, alone.values, atol=1e-5)
    assert not np.allclose(first.values[0], second.values[0], atol=1e-2)


def test_faces_already_cut_out_are_encoded_one_like_in_a_crowd(extractor: FaceVideoExtractor):
    faces = list(np.random.default_rng(0).integers(0, 256, (17, 48, 48), np.uint8))
    together = extractor.encode(faces)
    assert together.shape == (17, 1415)
    for i in (0, 15, 16):
        np.testing.assert_allclose(together[i], extractor.encode([faces[i]])[0], atol=1e-4)
    assert extractor.encode([]).shape == (0, 1415)
