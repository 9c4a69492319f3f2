"""Audio features from a Whisper encoder: one row every 20 ms. The weights are also the embedded recogniser's."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trisent.compute import choose_device
from trisent.extractors.backend import transformers
from trisent.extractors.ctranslate2 import read_encoder
from trisent.extractors.loading import Encoder, chosen_layers, load_encoder
from trisent.types import SAMPLE_RATE_HZ, Features, Floats, OnProgress, Provenance, no_progress
from trisent.weights import Weights, ensure

WINDOW_S = 30  # what Whisper was trained on; shorter sound is followed by silence
_HOP = 320  # samples a row: mel frames every 160, halved by the second convolution
_WINDOWS_A_BATCH = 4


class WhisperAudioExtractor:
    """Turn how it sounds into one row of features every 20 ms.

        >>> WhisperAudioExtractor().extract([np.zeros(16_000, np.float32)])[0].values.shape  # doctest: +SKIP
        (50, 384)

    Args:
        model_name: a catalog name, a hub id, or a folder, in transformers' or in CTranslate2's format.
        layers: encoder layers to return side by side; 0 is the input of the transformer, -1 the last layer.
        device: "auto", "cpu", "cuda".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are no Whisper.
    """

    modality = "audio"

    def __init__(
        self,
        model_name: str = "whisper-tiny-en",
        *,
        layers: Sequence[int] = (-1,),
        device: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        weights = ensure(model_name, on_progress=on_progress)
        self._encoder = _load(weights)
        self.device = choose_device(device)
        self._encoder.to(self.device)
        config = self._encoder.config
        self._mel = transformers().WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        self._layers = chosen_layers(layers, config.encoder_layers)
        self.dim = int(config.d_model) * len(self._layers)
        self.provenance = Provenance(
            "whisper", weights.name, weights.digest, self._layers, "log-mel, mono 16 kHz, padded with silence to 30 s"
        )

    def extract(self, batch: Sequence[Floats]) -> list[Features]:
        """Listen to waveforms, float32 mono 16 kHz.

        Returns:
            For each features [steps, dim], one row for every 20 ms begun, with the times of the rows' centres from the
            waveform's beginning. An empty waveform gives no steps.
        """
        size = WINDOW_S * SAMPLE_RATE_HZ
        windows = [(i, w[start : start + size]) for i, w in enumerate(batch) for start in range(0, len(w), size)]
        rows: list[list[np.ndarray]] = [[np.zeros((0, self.dim), np.float32)] for _ in batch]
        for first in range(0, len(windows), _WINDOWS_A_BATCH):
            taken = windows[first : first + _WINDOWS_A_BATCH]
            for (owner, window), values in zip(taken, self._encode([w for _, w in taken]), strict=True):
                rows[owner].append(values[: -(-len(window) // _HOP)].numpy())
        return [self._features(np.concatenate(values)) for values in rows]

    @torch.inference_mode()
    def _encode(self, windows: Sequence[Floats]) -> Tensor:
        """Encode windows of at most 30 s: float32 [windows, 1500, dim]."""
        mel = self._mel(list(windows), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features
        hidden = self._encoder(mel.to(self.device), output_hidden_states=True).hidden_states
        return torch.cat([hidden[layer] for layer in self._layers], dim=-1).cpu()

    @staticmethod
    def _features(values: np.ndarray) -> Features:
        times = ((np.arange(len(values)) + 0.5) * _HOP / SAMPLE_RATE_HZ).astype(np.float32)
        return Features(values, times, np.ones(len(values), np.bool_))


def _load(weights: Weights) -> Encoder:
    """Load the encoder, from CTranslate2's model.bin or from transformers' own files."""
    if weights.file.name == "model.bin":
        return read_encoder(weights.file)
    return load_encoder(transformers().WhisperModel, weights, model_type="whisper").get_encoder()
