"""Back-ends and precisions: the same features from all, within the bounds, or a refusal."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trisent.compute import native_bf16
from trisent.errors import TrisentError, UsageError
from trisent.extractors import examples
from trisent.extractors.audio import Wav2VecAudioExtractor
from trisent.extractors.resnet import ResNetVideoExtractor
from trisent.extractors.runners import BOUNDS, Compute, choose_compute, make_runner, pooled_cosine
from trisent.extractors.text import BERTTextExtractor
from trisent.extractors.vit import ViTVideoExtractor
from trisent.extractors.whisper import WhisperAudioExtractor
from trisent.types import Features, Frames
from unit.extractors import tiny

CPU = torch.device("cpu")
TEXTS = ["i love the film", "good", "a bad film " * 30, "a bad film", ""]

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
needs_nncf = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf is not installed")
needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="onnxscript is not installed")
needs_bf16 = pytest.mark.skipif(not native_bf16(CPU), reason="this processor has no bf16")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
BACKENDS = [pytest.param("openvino", marks=needs_openvino), pytest.param("onnx", marks=needs_onnx)]


def frames() -> Frames:
    images = np.random.default_rng(0).integers(0, 256, (18, 30, 40, 3), np.uint8).repeat(6, 1).repeat(6, 2)
    return Frames(images, np.arange(18, dtype=np.float32))


def text(**options: Any) -> list[Features]:
    tiny.bert(Path("bert"))
    return BERTTextExtractor("bert", layers=(0, -1), **options).extract(TEXTS)


def sound(**options: Any) -> list[Features]:
    tiny.wav2vec(Path("wav2vec"))
    return Wav2VecAudioExtractor("wav2vec", layers=(1, 2), **options).extract([tiny.sound(0.5), tiny.sound(1.3)])


def mel(**options: Any) -> list[Features]:
    tiny.whisper(Path("whisper"))
    return WhisperAudioExtractor("whisper", layers=(1,), **options).extract([tiny.sound(0.5), tiny.sound(1.3)])


def pictures(**options: Any) -> list[Features]:
    tiny.resnet(Path("resnet"))
    return ResNetVideoExtractor("resnet", **options).extract([frames()])


def classes(**options: Any) -> list[Features]:
    tiny.dinov2(Path("dinov2"))
    return ViTVideoExtractor("dinov2", layers=(1, 2), **options).extract([frames()])


MAKERS: list[Callable[..., list[Features]]] = [text, sound, mel, pictures, classes]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", MAKERS)
def test_other_back_ends_give_what_torch_gives_in_float32(make: Callable[..., list[Features]], backend: str):
    for ours, theirs in zip(make(precision="fp32", backend=backend), make(), strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-4, rtol=1e-4)


@needs_openvino
@needs_nncf
@pytest.mark.parametrize("make", MAKERS)
def test_in_int8_features_are_close_to_float32(make: Callable[..., list[Features]]):
    for ours, theirs in zip(make(precision="int8"), make(), strict=True):
        assert ours.values.shape == theirs.values.shape
        assert not len(ours.values) or pooled_cosine(torch.tensor(ours.values), torch.tensor(theirs.values)) > 0.998


class Rounding(nn.Module):
    """A network whose output hangs on digits that bf16 does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]) + torch.tensor([1e-4, 2e-4, -3e-4]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.offset - 1) * x.mean()


def rounding(compute: Compute) -> Any:
    return make_runner(Rounding(), compute, examples=lambda: [(torch.ones(1, 3),)], dynamic=({0: "rows"},))


def test_a_precision_that_is_too_far_from_float32_is_refused_with_the_cosine_measured():
    with pytest.raises(
        UsageError, match=r"bf16 with torch is too far .* cosine 0\.000000, it must be at least 0\.9999"
    ):
        rounding(Compute(CPU, "bf16", "torch"))


@needs_bf16
def test_auto_goes_back_to_float32_and_says_so_rather_than_taking_a_precision_too_far_from_it(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    runner = rounding(Compute(CPU, "auto", "torch"))
    assert (runner.precision, runner.cosine) == ("fp32", 1.0)
    assert "bf16 is too far from fp32 for these weights" in caplog.text
    torch.testing.assert_close(runner(torch.ones(2, 3)), torch.tensor([1e-4, 2e-4, -3e-4]), atol=1e-7, rtol=0)


def test_where_the_processor_has_no_bf16_auto_means_float32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trisent.extractors.runners.native_bf16", lambda _: False)
    tiny.bert(Path("bert"))
    assert BERTTextExtractor("bert", precision="auto").precision == "fp32"


def test_unless_asked_extractors_compute_in_torch_in_float32():
    tiny.bert(Path("bert"))
    extractor = BERTTextExtractor("bert")
    assert (extractor.precision, extractor.backend) == ("fp32", "torch")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16, int8, got 'fp8'"),
        ({"backend": "jax"}, "backend must be one of auto, torch, openvino, onnx, got 'jax'"),
        ({"precision": "int8", "backend": "torch"}, "say --backend openvino"),
        ({"precision": "bf16", "backend": "onnx"}, "onnx computes in fp32"),
        ({"device": "cuda", "backend": "openvino"}, "openvino runs on the CPU"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_loaded(asked: dict[str, str], message: str):
    with pytest.raises(UsageError, match=message):
        choose_compute(**asked)


def test_int8_is_openvinos_business_and_auto_is_torch():
    assert choose_compute(precision="int8", device="cpu").backend == "openvino"
    assert choose_compute(device="cpu").backend == "torch"
    assert choose_compute(backend="onnx").precision == "fp32"


class Without(nn.Module):
    """A network with an operation that the processor does not have in bf16."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.bfloat16:
            msg = "bf16 path needs the cpu support avx512bw"
            raise RuntimeError(msg)
        return x


def test_a_precision_that_the_processor_cannot_compute_is_refused_in_one_line():
    with pytest.raises(
        UsageError, match=r"bf16 with torch cannot be computed here \(bf16 path needs .*\); say --precis"
    ):
        make_runner(Without(), Compute(CPU, "bf16", "torch"), examples=lambda: [(torch.ones(1, 3),)], dynamic=({},))


@pytest.mark.parametrize("make", MAKERS)
def test_bf16_asked_for_by_name_is_computed_or_refused_on_every_processor(make: Callable[..., list[Features]]):
    expected = make()
    try:
        features = make(precision="bf16")
    except UsageError:
        return
    for ours, theirs in zip(features, expected, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=1)
        assert not len(ours.values) or np.abs(ours.values - theirs.values).max() > 1e-4


@needs_openvino
def test_openvino_either_computes_in_bf16_or_says_that_it_cannot():
    def texts(precision: str) -> np.ndarray:
        return BERTTextExtractor("bert", backend="openvino", precision=precision).extract(TEXTS[:1])[0].values

    tiny.bert(Path("bert"))
    core = importlib.import_module("openvino").Core()
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert np.abs(texts("bf16") - texts("fp32")).max() > 1e-4  # bf16 has three digits
    else:
        with pytest.raises(UsageError, match="OpenVINO has no bf16 on this processor; say --precision fp32 or auto"):
            texts("bf16")


@pytest.mark.parametrize(("backend", "package"), [("openvino", "openvino"), ("onnx", "onnxscript")])
def test_a_back_end_that_is_not_installed_is_named_with_the_command_that_installs_it(
    backend: str, package: str, monkeypatch: pytest.MonkeyPatch
):
    tiny.bert(Path("bert"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TrisentError, match=rf'pip install -c constraints.txt "trisent\[{backend}\]"'):
        BERTTextExtractor("bert", precision="fp32", backend=backend)


def test_pooled_cosine_is_that_of_the_means_and_nonsense_has_none():
    ours = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert pooled_cosine(ours, torch.tensor([[[2.0, 2.0]]])) == pytest.approx(1)
    assert pooled_cosine(ours, torch.tensor([[[1.0, -1.0]]])) == pytest.approx(0)
    assert pooled_cosine(ours * torch.nan, ours) == 0


REAL = {
    "text": ("trisent.extractors.text:BERTTextExtractor", {"layers": (3, 6)}),
    "audio": ("trisent.extractors.whisper:WhisperAudioExtractor", {"layers": (2, 3)}),
    "video": ("trisent.extractors.face:FaceVideoExtractor", {}),
}
WEIGHTS = {"text": "minilm-l6", "audio": "whisper-tiny-en", "video": "efficientnet-lite0"}


def real(modality: str, **options: Any) -> Any:
    module, _, name = REAL[modality][0].partition(":")
    return getattr(importlib.import_module(module), name)(
        WEIGHTS[modality], device="cpu", **REAL[modality][1], **options
    )


def raws(modality: str) -> list[Any]:
    faces = examples.pictures()
    return {
        "text": [*examples.sentences(), "I did not like it at all.", "Never again!"],
        "audio": [examples.speech(), examples.speech()[8000:20_000]],
        "video": [Frames(faces, np.arange(len(faces), dtype=np.float32))],
    }[modality]


@pytest.mark.embedded
@pytest.mark.parametrize("modality", REAL)
@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        ("torch", "bf16"),
        pytest.param("openvino", "bf16", marks=[needs_openvino, needs_bf16]),
        pytest.param("openvino", "int8", marks=[needs_openvino, needs_nncf]),
        pytest.param("onnx", "fp32", marks=[needs_onnx, pytest.mark.slow]),
    ],
)
def test_real_weights_stay_within_the_bound_of_their_precision(modality: str, backend: str, precision: str):
    if modality == "video" and precision != "fp32":
        pytest.skip("EfficientNet-Lite0 does not; see the next test")
    expected = real(modality).extract(raws(modality))
    extractor = real(modality, backend=backend, precision=precision)
    assert (extractor.backend, extractor.precision) == (backend, precision)
    for ours, theirs in zip(extractor.extract(raws(modality)), expected, strict=True):
        np.testing.assert_array_equal(ours.mask, theirs.mask)
        a, b = ours.pooled(), theirs.pooled()
        assert a is not None
        assert b is not None
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) >= BOUNDS[precision]


@pytest.mark.embedded
@needs_bf16
def test_efficientnet_lite0_loses_too_much_in_bf16_so_auto_computes_it_in_float32():
    assert real("video", precision="auto").precision == "fp32"
    with pytest.raises(UsageError, match=r"cosine 0\.99[89]\d+, it must be at least 0\.9999"):
        real("video", precision="bf16")


@pytest.mark.embedded
@needs_bf16
def test_in_bf16_too_a_text_s_features_hardly_depend_on_its_neighbours():
    extractor = real("text", precision="bf16")
    texts = raws("text")
    [alone] = extractor.extract(texts[:1])
    together = extractor.extract(texts)[0]
    np.testing.assert_allclose(together.values, alone.values, atol=0.05)
    assert np.median(np.abs(together.values - alone.values)) < 2e-3


@needs_cuda
@pytest.mark.parametrize("make", MAKERS)
def test_a_gpu_gives_what_the_cpu_gives(make: Callable[..., list[Features]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)  # the fixture of this folder hides the GPU
    for ours, theirs in zip(make(device="cuda"), make(device="cpu"), strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=2e-2, rtol=2e-2)
