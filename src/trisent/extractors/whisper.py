"""Audio features from a Whisper encoder: one row every 20 ms. The weights are also the embedded recogniser's."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trisent.extractors import examples
from trisent.extractors.backend import transformers
from trisent.extractors.ctranslate2 import read_encoder
from trisent.extractors.loading import Encoder, Layers, chosen_layers, drop_above, load_encoder
from trisent.extractors.runners import choose_compute, make_runner
from trisent.types import SAMPLE_RATE_HZ, Features, Floats, OnProgress, Provenance, no_progress
from trisent.weights import Weights, digest_with, ensure

WINDOW_S = 30  # what Whisper was trained on; shorter sound is followed by silence
_HOP = 320  # samples a row: mel frames every 160, halved by the second convolution
_WINDOWS_A_BATCH, _WINDOWS_ON_GPU = 4, 32


class WhisperAudioExtractor:
    """Turn how it sounds into one row of features every 20 ms.

        >>> WhisperAudioExtractor().extract([np.zeros(16_000, np.float32)])[0].values.shape  # doctest: +SKIP
        (50, 384)

    Args:
        model_name: a catalog name, a hub id, or a folder, in transformers' or in CTranslate2's format.
        layers: encoder layers to return side by side, or "last" or "all"; 0 is the input of the transformer, -1 the
            last layer.
        device: "auto", "cpu", "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are no Whisper.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "audio"

    def __init__(
        self,
        model_name: str = "whisper-tiny-en",
        *,
        layers: Layers = (-1,),
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        weights = ensure(model_name, on_progress=on_progress)
        encoder = _load(weights)
        config = encoder.config
        self._mel = transformers().WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        chosen = chosen_layers(layers, config.encoder_layers)
        if drop_above(encoder.layers, max(chosen)):
            encoder.layer_norm = nn.Identity()
        network = _Network(encoder, chosen).eval()
        self._run = make_runner(
            network, compute, examples=lambda: [self._inputs([examples.speech()])], dynamic=({0: "windows"},)
        )
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self._windows = _WINDOWS_ON_GPU if compute.device.type == "cuda" else _WINDOWS_A_BATCH
        self.dim = int(config.d_model) * len(chosen)
        digest = weights.digest if _is_ctranslate2(weights) else digest_with(weights, "config.json")
        self.provenance = Provenance(
            "whisper", weights.name, digest, chosen, "log-mel, mono 16 kHz, padded with silence to 30 s"
        )

    def extract(self, batch: Sequence[Floats]) -> list[Features]:
        """Listen to waveforms, float32 mono 16 kHz.

        Returns:
            For each features [steps, dim], one row for every 20 ms begun, with the times of the rows' centres from the
            waveform's beginning. An empty waveform gives no steps.
        """
        size = WINDOW_S * SAMPLE_RATE_HZ
        windows = [(i, w[start : start + size]) for i, w in enumerate(batch) for start in range(0, len(w), size)]
        batches = [windows[first : first + self._windows] for first in range(0, len(windows), self._windows)]
        outputs = [self._run(*self._inputs([window for _, window in one])) for one in batches]
        rows: list[list[np.ndarray]] = [[np.zeros((0, self.dim), np.float32)] for _ in batch]
        for one, output in zip(batches, outputs, strict=True):
            for (owner, window), values in zip(one, output.cpu().numpy(), strict=True):
                rows[owner].append(values[: -(-len(window) // _HOP)])
        return [self._features(np.concatenate(values)) for values in rows]

    def _inputs(self, windows: Sequence[Floats]) -> tuple[Tensor]:
        """Compute the log-mel spectrograms of windows of at most 30 s: float32 [windows, mels, 3000]."""
        return (self._mel(list(windows), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features,)

    @staticmethod
    def _features(values: np.ndarray) -> Features:
        times = ((np.arange(len(values)) + 0.5) * _HOP / SAMPLE_RATE_HZ).astype(np.float32)
        return Features(values, times, np.ones(len(values), np.bool_))


class _Network(nn.Module):
    """Turn log-mel spectrograms [n, mels, 3000] into the chosen layers side by side, [n, 1500, dim]."""

    def __init__(self, encoder: Encoder, layers: Sequence[int]) -> None:
        super().__init__()
        self._encoder, self._layers = encoder, tuple(layers)

    def forward(self, mel: Tensor) -> Tensor:
        hidden = self._encoder(mel, output_hidden_states=True).hidden_states
        return torch.cat([hidden[layer] for layer in self._layers], dim=-1)


def _load(weights: Weights) -> Encoder:
    """Load the encoder, from CTranslate2's model.bin or from transformers' own files."""
    if _is_ctranslate2(weights):
        return read_encoder(weights.file)
    return load_encoder(transformers().WhisperModel, weights, model_types=("whisper",)).get_encoder()


def _is_ctranslate2(weights: Weights) -> bool:
    """Say whether the file describes its network itself, as CTranslate2's does: nothing beside it is read."""
    return weights.file.name == "model.bin"
