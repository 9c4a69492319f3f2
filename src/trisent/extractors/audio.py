"""Audio features from wav2vec 2.0 and its relatives: one row every 20 ms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trisent.errors import WeightsError
from trisent.extractors import examples
from trisent.extractors.backend import transformers
from trisent.extractors.loading import Encoder, Layers, chosen_layers, drop_above, load_encoder, load_preprocessing
from trisent.extractors.runners import Compute, Examples, Runner, choose_compute, make_runner
from trisent.extractors.speech_front import SpeechFront, fold_weight_norm
from trisent.i18n import t
from trisent.types import SAMPLE_RATE_HZ, Features, Floats, OnProgress, Provenance, no_progress
from trisent.weights import digest_with, ensure

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
WINDOW_S = 30.0  # attention grows with the square of the length: longer utterances go in windows


class Wav2VecAudioExtractor:
    """Turn how it sounds into one row of features every 20 ms.

        >>> Wav2VecAudioExtractor().extract([np.zeros(16_000, np.float32)])[0].values.shape  # doctest: +SKIP
        (49, 768)

    49, not 50: the first layers look at 400 samples every 320, and floor((16000 - 400) / 320) + 1 = 49. HuBERT, WavLM
    and data2vec-audio listen the same way.

    Args:
        model_name: a catalog name, a hub id, or a folder such as `models/wav2vec2-base`; fetched when absent.
        layers: encoder layers to return side by side, or "last" or "all"; 0 is the input of the transformer, -1 the
            last layer.
        device: "auto", "cpu", "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are of another family.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "audio"

    def __init__(
        self,
        model_name: str = "wav2vec2-base",
        *,
        layers: Layers = (-1,),
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        weights = ensure(model_name, on_progress=on_progress)
        model = load_encoder(
            transformers().AutoModel, weights, model_types=MODEL_TYPES, optional=("masked_spec_embed",)
        )
        prepare = transformers().Wav2Vec2FeatureExtractor
        self._prepare = load_preprocessing(prepare, weights, files=("preprocessor_config.json",), accepted=_try)
        if self._prepare.sampling_rate != SAMPLE_RATE_HZ:
            message = "{folder}: wants sound at {rate} Hz, trisent decodes to 16000 Hz; take a 16 kHz checkpoint"
            raise WeightsError(t(message, folder=weights.folder, rate=self._prepare.sampling_rate))
        config = model.config
        chosen = chosen_layers(layers, config.num_hidden_layers)
        self._run = _runner(model, chosen, compute, probe=lambda: [(self._normalised(examples.speech()),)])
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self.dim = int(config.hidden_size) * len(chosen)
        self._hop = int(np.prod(config.conv_stride))
        # What one row sees, from the last layer back: field = (field - 1) * stride + kernel.
        self._field = 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            self._field = (self._field - 1) * stride + kernel
        norm = "zero mean, unit variance" if self._prepare.do_normalize else "as recorded"
        digest = digest_with(weights, "config.json")
        self.provenance = Provenance("wav2vec", weights.name, digest, chosen, f"mono 16 kHz, {norm}")

    def extract(self, batch: Sequence[Floats]) -> list[Features]:
        """Listen to waveforms, float32 mono 16 kHz.

        Returns:
            For each features [steps, dim] with the times of the rows' centres, from the waveform's beginning. Sound
            shorter than one row's field (25 ms) gives no steps.
        """
        # wav2vec2-base normalises over time in its first layer (group norm): padding would change every row, so
        # windows go through one at a time. So do the others': on a CPU four clips of 7 s at once are no faster.
        outputs = [[self._run(self._normalised(window)) for window in self._windows(w)] for w in batch]
        return [self._features(len(w), rows) for w, rows in zip(batch, outputs, strict=True)]

    def _windows(self, waveform: Floats) -> list[Floats]:
        rows = self._rows(len(waveform))
        most = self._rows(int(WINDOW_S * SAMPLE_RATE_HZ))
        # Windows of about equal length, since a very short one says little; their rows keep the 20 ms grid.
        edges = np.linspace(0, rows, -(-rows // most) + 1).astype(int)
        ends = [*((edges[1:-1] - 1) * self._hop + self._field), len(waveform)]
        return [waveform[first * self._hop : end] for first, end in zip(edges[:-1], ends, strict=True)] if rows else []

    def _rows(self, samples: int) -> int:
        return max(0, (samples - self._field) // self._hop + 1)

    def _normalised(self, window: Floats) -> Tensor:
        """Scale a window as the encoder was trained: float32 [1, samples]."""
        inputs: Tensor = self._prepare(window, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_values
        return inputs

    def _features(self, samples: int, outputs: Sequence[Tensor]) -> Features:
        rows = self._rows(samples)
        values = [np.zeros((0, self.dim), np.float32), *(output.cpu().numpy() for output in outputs)]
        times = (self._field / 2 + np.arange(rows) * self._hop) / SAMPLE_RATE_HZ
        return Features(np.concatenate(values), times.astype(np.float32), np.ones(rows, np.bool_))


def _try(prepare: Any) -> None:  # Any: of transformers
    """Refuse settings that transformers takes without a look, and then understands in its own way.

    Raises:
        TypeError: one is not of its kind.
    """
    for name, value, kind in (
        ("sampling_rate", prepare.sampling_rate, int),
        ("do_normalize", prepare.do_normalize, bool),
    ):
        if type(value) is not kind:
            raise TypeError(t("{name} is {value!r}, expected {kind}", name=name, value=value, kind=kind.__name__))


class _Network(nn.Module):
    """Turn a waveform [1, samples] into the chosen layers side by side, [steps, dim]."""

    def __init__(self, encoder: Encoder, layers: Sequence[int]) -> None:
        super().__init__()
        self._encoder, self._layers = encoder, tuple(layers)

    def forward(self, waveform: Tensor) -> Tensor:
        hidden = self._encoder(waveform, output_hidden_states=True).hidden_states
        return torch.cat([hidden[layer][0] for layer in self._layers], dim=-1)


def _runner(model: Encoder, layers: Sequence[int], compute: Compute, *, probe: Examples) -> Runner:
    fold_weight_norm(model)
    if drop_above(model.encoder.layers, max(layers)) and getattr(model.config, "do_stable_layer_norm", False):
        model.encoder.layer_norm = nn.Identity()
    if compute.backend == "torch":  # the other back-ends lay out arrays themselves
        model.feature_extractor = SpeechFront(model.feature_extractor)
    return make_runner(_Network(model, layers).eval(), compute, examples=probe, dynamic=({1: "samples"},))
