"""The two networks written here, against the package and the graph they were published in."""

import json
from collections.abc import Iterator
from pathlib import Path

import efficientnet_lite_pytorch
import h5py
import numpy as np
import pytest
import torch

from trisent.errors import WeightsError
from trisent.extractors.nets.efficientnet_lite import load_efficientnet_lite0
from trisent.extractors.nets.mini_xception import load_mini_xception
from trisent.weights import ensure
from unit.extractors import tiny


def test_efficientnet_lite0_gives_what_its_publishers_package_gives():
    theirs = tiny.filled(efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0"))
    for name, buffer in theirs.named_buffers():
        buffer.copy_(tiny.drawn(name, buffer))
    torch.save(theirs.state_dict(), "lite0.pth")
    pictures = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32))
    with torch.no_grad():
        expected = theirs.extract_features(pictures).mean(dim=(2, 3))
        ours = load_efficientnet_lite0(Path("lite0.pth"))(pictures)
    assert ours.shape == (2, 1280)
    assert expected.std() > 0.01
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("content", [{}, {"_conv_stem.weight": torch.ones(32, 3, 3, 3)}])
def test_a_wrong_file_is_no_efficientnet_lite0(content: dict[str, torch.Tensor]):
    torch.save(content, "lite0.pth")
    with pytest.raises(WeightsError, match="is no EfficientNet-Lite0") as caught:
        load_efficientnet_lite0(Path("lite0.pth"))
    assert "\n" not in str(caught.value)


def test_a_wrong_file_is_no_mini_xception():
    Path("text.hdf5").write_bytes(b"<html>")
    with h5py.File("other.hdf5", "w") as file:
        file["model_weights/conv2d_1/kernel:0"] = np.ones((3, 3, 1, 8), np.float32)
    for name in ("text.hdf5", "other.hdf5", "absent.hdf5"):
        with pytest.raises(WeightsError, match="is no mini-XCEPTION") as caught:
            load_mini_xception(Path(name))
        assert "\n" not in str(caught.value)


@pytest.mark.embedded
def test_mini_xception_gives_what_the_graph_in_its_keras_file_says():
    weights = ensure("mini-xception")
    faces = np.random.default_rng(0).uniform(-1, 1, (3, 64, 64, 1))
    with h5py.File(weights.file) as keras:
        outputs = run_keras(keras, faces)
    with torch.no_grad():
        images = torch.from_numpy(faces.transpose(0, 3, 1, 2)).float()
        embedding, probabilities = load_mini_xception(weights.file)(images)
    np.testing.assert_allclose(embedding, outputs["add_4"].mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(probabilities, outputs["predictions"], atol=1e-5)


def run_keras(keras: h5py.File, images: np.ndarray) -> dict[str, np.ndarray]:
    """Run the graph of `model_config` in NumPy, layer by layer, as Keras' documentation defines each; channels last."""
    outputs: dict[str, np.ndarray] = {}
    for layer in json.loads(keras.attrs["model_config"])["config"]["layers"]:
        inputs = [outputs[name] for name, *_ in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else [images]
        group = keras["model_weights"].get(layer["name"], {})
        tensors: dict[str, np.ndarray] = {}
        if hasattr(group, "visititems"):
            group.visititems(lambda n, o, tensors=tensors: tensors.update({n.rsplit("/")[-1][:-2]: o[()]})
                             if isinstance(o, h5py.Dataset) else None)  # fmt: skip
        outputs[layer["name"]] = _layer(layer["class_name"], layer["config"], inputs, tensors)
    return outputs


def _layer(kind: str, config: dict, inputs: list[np.ndarray], tensors: dict[str, np.ndarray]) -> np.ndarray:
    [x, *others] = inputs
    if kind == "InputLayer":
        return x
    if kind == "Add":
        return sum(others, x)
    if kind == "BatchNormalization":
        scaled = (x - tensors["moving_mean"]) / np.sqrt(tensors["moving_variance"] + config["epsilon"])
        return scaled * tensors["gamma"] + tensors["beta"]
    if kind == "Activation":
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        return (
            np.maximum(x, 0) if config["activation"] == "relu" else exponentials / exponentials.sum(-1, keepdims=True)
        )
    if kind == "GlobalAveragePooling2D":
        return x.mean(axis=(1, 2))
    if kind == "MaxPooling2D":
        return _windows(x, config["pool_size"], config, fill=-np.inf).max(axis=(-2, -1))
    if kind == "SeparableConv2D":
        deep = tensors["depthwise_kernel"]
        x = np.einsum("nhwckl,klc->nhwc", _windows(x, deep.shape[:2], config), deep[..., 0])
        return x @ tensors["pointwise_kernel"][0, 0]
    assert kind == "Conv2D"
    kernel = tensors["kernel"]
    return np.einsum("nhwckl,klco->nhwo", _windows(x, kernel.shape[:2], config), kernel) + tensors.get("bias", 0)


def _windows(x: np.ndarray, size: tuple[int, ...], config: dict, *, fill: float = 0.0) -> np.ndarray:
    """Cut [n, h, w, c] into windows [n, h', w', c, kh, kw]; "same" puts the odd row and column at the end."""

    def pads() -> Iterator[tuple[int, int]]:
        for length, kernel, stride in zip(x.shape[1:3], size, config["strides"], strict=True):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0) if config["padding"] == "same" else 0
            yield total // 2, total - total // 2

    padded = np.pad(x, [(0, 0), *pads(), (0, 0)], constant_values=fill)
    down, right = config["strides"]
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2))[:, ::down, ::right]
