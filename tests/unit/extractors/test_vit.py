"""CLIP and DINOv2 features against transformers' own model and image processor."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from trisent.errors import WeightsError
from trisent.extractors.vit import ViTVideoExtractor
from trisent.types import Frames
from unit.extractors import tiny

FOLDER = Path("models/vit")
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
SIZE = {"image_size": 28, "patch_size": 7}
PREPARE = {
    "size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}, "resample": 3,
    "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
}  # fmt: skip


def dinov2() -> torch.nn.Module:
    return placed(Dinov2Model(Dinov2Config(**SMALL, **SIZE, mlp_ratio=2)))


def clip_alone() -> torch.nn.Module:
    return placed(CLIPVisionModel(CLIPVisionConfig(**SMALL, **SIZE)))


def clip_with_its_text_encoder() -> torch.nn.Module:
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 8, "eos_token_id": 1}
    whole = placed(CLIPModel(CLIPConfig(text_config=text, vision_config=SMALL | SIZE, projection_dim=8)))
    return whole.vision_model


def placed(model: torch.nn.Module) -> torch.nn.Module:
    tiny.keep(tiny.filled(model), FOLDER)
    (FOLDER / "preprocessor_config.json").write_text(json.dumps(PREPARE))
    return model


def frames(height: int = 60, width: int = 90) -> Frames:
    images = np.random.default_rng(0).integers(0, 256, (3, height // 6, width // 6, 3), np.uint8)
    return Frames(images.repeat(6, 1).repeat(6, 2), np.array([0.5, 1.0, 1.5], np.float32))


def expected(model: torch.nn.Module, pictures: Frames) -> list[np.ndarray]:
    prepared = CLIPImageProcessorPil(**PREPARE)(list(pictures.images), return_tensors="pt").pixel_values
    with torch.no_grad():
        output = model(prepared, output_hidden_states=True)
    return [*(hidden[:, 0].numpy() for hidden in output.hidden_states[:-1]), output.pooler_output.numpy()]


@pytest.mark.parametrize("make", [dinov2, clip_alone, clip_with_its_text_encoder])
@pytest.mark.parametrize("layers", [(-1,), (1,), (0, 2), "all"])
def test_features_are_the_class_tokens_that_transformers_gives(make, layers):
    model = make()
    extractor = ViTVideoExtractor(str(FOLDER), layers=layers)
    [features] = extractor.extract([frames()])
    whole = expected(model, frames())
    both = np.concatenate([whole[layer] for layer in extractor.provenance.layers], axis=1)
    np.testing.assert_allclose(features.values, both, atol=1e-4, rtol=1e-4)
    assert features.values.shape == (3, extractor.dim)
    assert features.mask.all()


@pytest.mark.parametrize(("height", "width"), [(60, 90), (90, 60), (30, 36), (66, 66)])
def test_pictures_of_every_shape_are_prepared_as_transformers_does(height: int, width: int):
    model = dinov2()
    pictures = frames(height, width)
    [features] = ViTVideoExtractor(str(FOLDER)).extract([pictures])
    np.testing.assert_allclose(features.values, expected(model, pictures)[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("document", [None, {"size": 3}])
def test_a_model_that_does_not_say_how_pictures_are_prepared_is_refused(document: object):
    dinov2()
    path = FOLDER / "preprocessor_config.json"
    path.unlink() if document is None else path.write_text(json.dumps(document))
    with pytest.raises(WeightsError, match=r"preprocessor_config.json does not say size, crop_size"):
        ViTVideoExtractor(str(FOLDER))


def test_another_architecture_is_refused():
    tiny.bert(FOLDER)
    (FOLDER / "preprocessor_config.json").write_text(json.dumps(PREPARE))
    with pytest.raises(WeightsError, match="expected a clip, clip_vision_model, dinov2 model"):
        ViTVideoExtractor(str(FOLDER))


@pytest.mark.embedded
def test_of_a_face_only_the_face_is_looked_at_and_frames_without_one_are_masked():
    from trisent.extractors import examples

    dinov2()
    portrait = examples.pictures()[0]
    beside = portrait.copy()
    beside[:, :20] = 255 - beside[:, :20]  # far from the face
    black = np.zeros_like(portrait)
    shown = Frames(np.stack([portrait, black, beside]), np.array([0.5, 1.0, 1.5], np.float32))
    [face] = ViTVideoExtractor(str(FOLDER.absolute()), frames="face").extract([shown])
    [full] = ViTVideoExtractor(str(FOLDER.absolute()), frames="full").extract([shown])
    assert face.mask.tolist() == [True, False, True]
    assert full.mask.all()
    np.testing.assert_array_equal(face.values[1], 0)
    in_face, in_full = (np.abs(one.values[0] - one.values[2]).max() for one in (face, full))
    assert in_face < in_full / 3
