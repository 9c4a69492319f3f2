"""ResNet features against torchvision's ResNet-50 written down once more, in plain functions over its own names."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from torch import Tensor

from trisent.errors import WeightsError
from trisent.extractors.nets.fusing import can_fuse
from trisent.extractors.resnet import ResNetVideoExtractor
from trisent.types import Frames
from unit.extractors import tiny

FOLDER = Path("models/resnet50")
FILES = ("resnet50-0676ba61.pth", "model.safetensors")


def torchvision_forward(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Run ResNet v1.5 (the stride on the 3x3 convolution) as torchvision/models/resnet.py, without the classifier."""

    def norm(name: str, x: Tensor) -> Tensor:
        running = (state[f"{name}.running_mean"], state[f"{name}.running_var"])
        return F.batch_norm(x, *running, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    x = F.relu(norm("bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3), start=1):
        for block in range(depth):
            at, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            y = F.relu(norm(f"{at}.bn1", F.conv2d(x, state[f"{at}.conv1.weight"])))
            y = F.relu(norm(f"{at}.bn2", F.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1)))
            y = norm(f"{at}.bn3", F.conv2d(y, state[f"{at}.conv3.weight"]))
            if block == 0:
                x = norm(f"{at}.downsample.1", F.conv2d(x, state[f"{at}.downsample.0.weight"], stride=stride))
            x = F.relu(x + y)
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def torchvision_preprocessing(image: np.ndarray) -> Tensor:
    """Resize(256), CenterCrop(224), ToTensor, Normalize: the recipe of ResNet50_Weights.IMAGENET1K_V1."""
    picture = Image.fromarray(image)
    short, long = sorted(picture.size)
    new_long = int(256 * long / short)
    picture = picture.resize((256, new_long) if picture.width <= picture.height else (new_long, 256), Image.BILINEAR)
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1).to(torch.float32).div(255)
    top, left = round((x.shape[1] - 224) / 2.0), round((x.shape[2] - 224) / 2.0)
    x = x[:, top : top + 224, left : left + 224]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return x.sub(mean[:, None, None]).div(std[:, None, None])


def frames(n: int = 2, *, height: int = 240, width: int = 320, seed: int = 0) -> Frames:
    images = np.random.default_rng(seed).integers(0, 256, (n, height // 8, width // 8, 3), np.uint8)
    return Frames(images.repeat(8, 1).repeat(8, 2), np.arange(n, dtype=np.float32) / 2)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("file", FILES)
def test_torchvision_s_and_timm_s_files_give_what_torchvision_gives(
    file: str, fused: bool, monkeypatch: pytest.MonkeyPatch
):
    if fused and not can_fuse(torch.device("cpu")):
        pytest.skip("torch was built without oneDNN")
    monkeypatch.setattr("trisent.extractors.resnet.can_fuse", lambda _: fused)
    state = tiny.resnet(FOLDER, file=file)
    extractor = ResNetVideoExtractor("models/resnet50")
    [features] = extractor.extract([frames()])
    expected = torchvision_forward(state, torch.stack([torchvision_preprocessing(i) for i in frames().images]))
    np.testing.assert_allclose(features.values, expected, atol=1e-5, rtol=1e-5)
    assert features.values.shape == (2, extractor.dim) == (2, 256)
    assert np.abs(features.values).max() > 0.1  # the comparison is about something
    np.testing.assert_array_equal(features.times, [0, 0.5])
    assert features.mask.all()


@pytest.mark.parametrize(
    "strides", [{}, {"downsample_in_bottleneck": True}, {"downsample_in_first_stage": True}], ids=str
)
@pytest.mark.parametrize("kind", ["ResNetModel", "ResNetForImageClassification"])
def test_transformers_own_checkpoints_give_what_its_forward_gives(kind: str, strides: dict[str, bool]):
    small = {"embedding_size": 8, "hidden_sizes": [32, 64, 128, 256], "depths": [3, 4, 6, 3]}
    torch.manual_seed(0)
    source = getattr(transformers, kind)(transformers.ResNetConfig(**small, **strides)).eval()
    tiny.keep(source, FOLDER)
    trunk = getattr(source, "resnet", source)
    with torch.no_grad():
        pictures = torch.stack([torchvision_preprocessing(i) for i in frames().images])
        expected = trunk(pictures).pooler_output.flatten(1)
    [features] = ResNetVideoExtractor("models/resnet50").extract([frames()])
    np.testing.assert_allclose(features.values, expected, atol=1e-4, rtol=1e-4)  # of values up to 90


def test_transformers_config_is_part_of_where_features_come_from_and_timm_s_is_not():
    tiny.resnet(FOLDER, file="model.safetensors")
    timms = ResNetVideoExtractor("models/resnet50").provenance
    (FOLDER / "config.json").write_text('{"architecture": "resnet50"}')
    assert ResNetVideoExtractor("models/resnet50").provenance == timms
    digests = set()
    for first in (False, True):
        (FOLDER / "config.json").write_text(json.dumps({"model_type": "resnet", "downsample_in_first_stage": first}))
        digests.add(ResNetVideoExtractor("models/resnet50").provenance.digest)
    assert len(digests) == 2


def test_a_resnet_of_other_activations_is_refused():
    tiny.resnet(FOLDER, file="model.safetensors")
    (FOLDER / "config.json").write_text('{"model_type": "resnet", "hidden_act": "gelu"}')
    with pytest.raises(WeightsError, match="its activation is gelu"):
        ResNetVideoExtractor("models/resnet50")


def test_a_file_of_full_width_gives_2048_features():
    state = tiny.resnet(FOLDER, width=64)
    parameters = sum(t.numel() for n, t in state.items() if "running" not in n and "num" not in n and "fc." not in n)
    assert parameters == 23_508_032  # torchvision's resnet50 without its classifier
    [features] = ResNetVideoExtractor("models/resnet50").extract([frames(1)])
    expected = torchvision_forward(state, torchvision_preprocessing(frames(1).images[0])[None])
    assert features.values.shape == (1, 2048)
    np.testing.assert_allclose(features.values, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 360), (100, 300), (256, 256), (33, 64), (8, 640)])
def test_pictures_of_every_shape_are_prepared_as_torchvision_does(height: int, width: int):
    state = tiny.resnet(FOLDER)
    pictures = frames(1, height=height, width=width)
    [features] = ResNetVideoExtractor("models/resnet50").extract([pictures])
    expected = torchvision_forward(state, torchvision_preprocessing(pictures.images[0])[None])
    np.testing.assert_allclose(features.values, expected, atol=1e-5, rtol=1e-5)


def test_a_frame_s_features_do_not_depend_on_its_neighbours():
    tiny.resnet(FOLDER)
    extractor = ResNetVideoExtractor("models/resnet50")
    many = frames(18, height=64, width=64)
    [together] = extractor.extract([many])
    for i in (0, 15, 16, 17):
        [alone] = extractor.extract([Frames(many.images[i : i + 1], many.times[i : i + 1])])
        np.testing.assert_allclose(together.values[i], alone.values[0], atol=1e-5)


def test_no_frames_give_no_steps_and_black_and_grey_ones_finite_features():
    tiny.resnet(FOLDER)
    extractor = ResNetVideoExtractor("models/resnet50")
    none = Frames(np.zeros((0, 64, 64, 3), np.uint8), np.zeros(0, np.float32))
    black = Frames(np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1, np.float32))
    grey = Frames(np.full((1, 64, 64, 3), 128, np.uint8), np.zeros(1, np.float32))
    values = [features.values for features in extractor.extract([none, black, grey])]
    assert values[0].shape == (0, 256)
    assert np.isfinite(np.concatenate(values)).all()
    assert not np.allclose(values[1], values[2])


def test_a_file_without_batch_counters_loads():
    state = tiny.resnet(FOLDER)
    tiny.saved({k: v for k, v in state.items() if "num_batches" not in k}, FOLDER / FILES[0])
    assert ResNetVideoExtractor("models/resnet50").dim == 256


def refused() -> str:
    with pytest.raises(WeightsError) as caught:
        ResNetVideoExtractor("models/resnet50")
    message = str(caught.value)
    assert "\n" not in message
    assert FILES[0] in message
    return message


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {k: v for k, v in state.items() if not k.startswith("layer3.5.")} | {"layer3.6.x": torch.ones(1)},
        lambda state: {k: v for k, v in state.items() if k != "layer2.1.bn2.running_mean"},
        lambda state: state | {"layer2.1.conv2.weight": torch.ones(3)},
        lambda _: {"bert.embeddings.word_embeddings.weight": torch.ones(3, 4)},
        lambda _: {},
        lambda state: {"state_dict": state},
        lambda _: {1: 2},
    ],
    ids=["another block", "a tensor less", "another shape", "another network", "nothing", "nested", "numbers"],
)
def test_a_wrong_file_is_refused_in_one_line(change: object):
    state = tiny.resnet(FOLDER)
    torch.save(change(state), FOLDER / FILES[0])
    assert "trisent weights pull resnet50" in refused()


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", None], ids=["empty", "a web page", "truncated"])
def test_a_broken_file_is_refused_in_one_line(content: bytes | None):
    tiny.resnet(FOLDER)
    path = FOLDER / FILES[0]
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    assert "cannot be read" in refused()


def test_a_network_of_basic_blocks_is_refused():
    state = {k: v for k, v in tiny.resnet(FOLDER).items() if "conv3" not in k and "bn3" not in k}
    tiny.saved(state, FOLDER / FILES[0])
    assert "is no ResNet-50" in refused()


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)


def test_a_pickle_with_code_in_it_is_refused_and_nothing_is_executed():
    torch.save(tiny.resnet(FOLDER) | {"evil": Malicious()}, FOLDER / FILES[0])
    assert "cannot be read" in refused()
    assert not Path("executed").exists()
