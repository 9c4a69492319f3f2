"""Audio features from wav2vec 2.0: one row every 20 ms."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from trisent.compute import choose_device
from trisent.errors import WeightsError
from trisent.extractors.backend import transformers
from trisent.extractors.loading import chosen_layers, load_encoder, load_preprocessing
from trisent.i18n import t
from trisent.types import SAMPLE_RATE_HZ, Features, Floats, OnProgress, Provenance, no_progress
from trisent.weights import ensure

WINDOW_S = 30.0  # attention grows with the square of the length: longer utterances go in windows


class Wav2VecAudioExtractor:
    """Turn how it sounds into one row of features every 20 ms.

        >>> Wav2VecAudioExtractor().extract([np.zeros(16_000, np.float32)])[0].values.shape  # doctest: +SKIP
        (49, 768)

    49, not 50: the first layers look at 400 samples every 320, and floor((16000 - 400) / 320) + 1 = 49.

    Args:
        model_name: a catalog name, a hub id, or a folder such as `models/wav2vec2-base`; fetched when absent.
        layers: encoder layers to return side by side; 0 is the input of the transformer, -1 the last layer.
        device: "auto", "cpu", "cuda".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are no wav2vec 2.0.
    """

    modality = "audio"

    def __init__(
        self,
        model_name: str = "wav2vec2-base",
        *,
        layers: Sequence[int] = (-1,),
        device: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        weights = ensure(model_name, on_progress=on_progress)
        wav2vec2 = transformers().Wav2Vec2Model
        self._model = load_encoder(wav2vec2, weights, model_type="wav2vec2", optional=("masked_spec_embed",))
        prepare = transformers().Wav2Vec2FeatureExtractor
        self._prepare = load_preprocessing(prepare, weights, files="preprocessor_config.json")
        if self._prepare.sampling_rate != SAMPLE_RATE_HZ:
            message = "{folder}: wants sound at {rate} Hz, trisent decodes to 16000 Hz; take a 16 kHz checkpoint"
            raise WeightsError(t(message, folder=weights.folder, rate=self._prepare.sampling_rate))
        self.device = choose_device(device)
        self._model.to(self.device)
        config = self._model.config
        self._layers = chosen_layers(layers, config.num_hidden_layers)
        self.dim = int(config.hidden_size) * len(self._layers)
        self._hop = int(np.prod(config.conv_stride))
        # What one row sees, from the last layer back: field = (field - 1) * stride + kernel.
        self._field = 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            self._field = (self._field - 1) * stride + kernel
        norm = "zero mean, unit variance" if self._prepare.do_normalize else "as recorded"
        self.provenance = Provenance("wav2vec", weights.name, weights.digest, self._layers, f"mono 16 kHz, {norm}")

    def extract(self, batch: Sequence[Floats]) -> list[Features]:
        """Listen to waveforms, float32 mono 16 kHz.

        Returns:
            For each features [steps, dim] with the times of the rows' centres, from the waveform's beginning. Sound
            shorter than one row's field (25 ms) gives no steps.
        """
        return [self._one(waveform) for waveform in batch]

    @torch.inference_mode()
    def _one(self, waveform: Floats) -> Features:
        # wav2vec2-base normalises over time in its first layer (group norm): padding would change every row, so
        # utterances go through one at a time.
        rows = max(0, (len(waveform) - self._field) // self._hop + 1)
        most = int(WINDOW_S * SAMPLE_RATE_HZ - self._field) // self._hop + 1
        values = [np.zeros((0, self.dim), np.float32)]
        # Windows of about equal length, since a very short one says little; their rows keep the 20 ms grid.
        edges = np.linspace(0, rows, -(-rows // most) + 1).astype(int)
        for first, last in itertools.pairwise(edges):
            end = len(waveform) if last == rows else (last - 1) * self._hop + self._field
            values.append(self._encode(waveform[first * self._hop : end]))
        times = (self._field / 2 + np.arange(rows) * self._hop) / SAMPLE_RATE_HZ
        return Features(np.concatenate(values), times.astype(np.float32), np.ones(rows, np.bool_))

    def _encode(self, window: Floats) -> Floats:
        """Encode one window: float32 [steps, dim]."""
        inputs = self._prepare(window, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_values
        hidden = self._model(inputs.to(self.device), output_hidden_states=True).hidden_states
        values: Floats = torch.cat([hidden[layer][0] for layer in self._layers], dim=-1).cpu().numpy()
        return values
