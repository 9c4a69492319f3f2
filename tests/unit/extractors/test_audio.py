"""wav2vec 2.0 features against transformers' own forward of the network the checkpoint was saved from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2ForPreTraining

from trisent.errors import WeightsError
from trisent.extractors.audio import Wav2VecAudioExtractor
from unit.extractors import tiny
from unit.extractors.tiny import sound

FOLDER = Path("models/wav2vec2-base")


def reference(model: Wav2Vec2ForPreTraining, waveform: np.ndarray, layer: int = -1) -> np.ndarray:
    scaled = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    with torch.no_grad():
        hidden = model.wav2vec2(torch.from_numpy(scaled)[None], output_hidden_states=True).hidden_states
    return hidden[layer][0].numpy()


def test_a_pretraining_checkpoint_gives_what_the_saved_network_gives_so_nothing_in_it_is_random():
    model = tiny.wav2vec(FOLDER)
    names = torch.load(FOLDER / "pytorch_model.bin", weights_only=True)
    assert {"wav2vec2.encoder.pos_conv_embed.conv.weight_g", "quantizer.codevectors", "project_hid.bias"} <= set(names)
    [features] = Wav2VecAudioExtractor(model_name="models/wav2vec2-base").extract([sound(1.3)])
    np.testing.assert_allclose(features.values, reference(model, sound(1.3)), atol=1e-5)


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 16_079, 16_080])
def test_there_is_one_row_every_20_ms_once_there_are_25(samples: int):
    tiny.wav2vec(FOLDER)
    [features] = Wav2VecAudioExtractor(str(FOLDER)).extract([sound(2)[:samples]])
    rows = (samples - 400) // 320 + 1
    assert features.values.shape == (rows, 16)
    np.testing.assert_allclose(features.times, 0.0125 + 0.02 * np.arange(rows), atol=1e-6)
    assert features.mask.all()


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_sound_too_short_for_a_row_gives_no_steps(samples: int):
    tiny.wav2vec(FOLDER)
    [features] = Wav2VecAudioExtractor(str(FOLDER)).extract([sound(1)[:samples]])
    assert (features.values.shape, features.times.shape, features.mask.shape) == ((0, 16), (0,), (0,))


def test_a_sound_s_features_do_not_depend_on_its_neighbours():
    tiny.wav2vec(FOLDER)
    extractor = Wav2VecAudioExtractor(str(FOLDER))
    sounds = [sound(1.5, seed=1), sound(0.01, seed=2), sound(0.3, seed=3)]
    alone = [extractor.extract([one])[0].values for one in sounds]
    for order in ([0, 1, 2], [2, 0, 1]):
        for i, features in zip(order, extractor.extract([sounds[i] for i in order]), strict=True):
            np.testing.assert_array_equal(features.values, alone[i])


def test_sound_longer_than_30_s_goes_in_windows_of_equal_length_without_a_gap():
    model = tiny.wav2vec(FOLDER)
    waveform = sound(30.5)
    [features] = Wav2VecAudioExtractor(str(FOLDER)).extract([waveform])
    rows = (len(waveform) - 400) // 320 + 1
    np.testing.assert_allclose(features.times, 0.0125 + 0.02 * np.arange(rows), atol=1e-5)
    half = rows // 2
    first, second = waveform[: (half - 1) * 320 + 400], waveform[half * 320 :]
    expected = np.concatenate([reference(model, first), reference(model, second)])
    np.testing.assert_allclose(features.values, expected, atol=1e-4)


def test_thirty_seconds_are_one_window():
    model = tiny.wav2vec(FOLDER)
    [features] = Wav2VecAudioExtractor(str(FOLDER)).extract([sound(30)])
    np.testing.assert_allclose(features.values, reference(model, sound(30)), atol=1e-4)


def test_layers_come_side_by_side():
    model = tiny.wav2vec(FOLDER)
    extractor = Wav2VecAudioExtractor(str(FOLDER), layers=(0, 1))
    [features] = extractor.extract([sound(0.5)])
    both = np.concatenate([reference(model, sound(0.5), layer) for layer in (0, 1)], axis=1)
    np.testing.assert_allclose(features.values, both, atol=1e-4)
    assert (extractor.dim, extractor.provenance.layers) == (32, (0, 1))


def test_without_normalisation_in_its_config_the_sound_is_taken_as_recorded():
    # Group norm undoes any scaling; the large checkpoints, with layer norm, do not.
    model = tiny.wav2vec(FOLDER, feat_extract_norm="layer", conv_bias=True)
    path = FOLDER / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    extractor = Wav2VecAudioExtractor(str(FOLDER))
    with torch.no_grad():
        expected = model.wav2vec2(torch.from_numpy(sound(1))[None]).last_hidden_state[0]
    np.testing.assert_allclose(extractor.extract([sound(1)])[0].values, expected, atol=1e-5)
    assert "as recorded" in extractor.provenance.preprocessing


def test_silence_gives_finite_features():
    tiny.wav2vec(FOLDER)
    [features] = Wav2VecAudioExtractor(str(FOLDER)).extract([np.zeros(16_000, np.float32)])
    assert np.isfinite(features.values).all()


def refused() -> str:
    with pytest.raises(WeightsError) as caught:
        Wav2VecAudioExtractor(str(FOLDER))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_for_another_rate_is_refused():
    tiny.wav2vec(FOLDER)
    path = FOLDER / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sampling_rate": 8000}))
    assert "wants sound at 8000 Hz" in refused()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"sampling_rate": "16000"}, "sampling_rate is '16000', expected int"),
        ({"sampling_rate": None}, "sampling_rate is None, expected int"),
        ({"do_normalize": "false"}, "do_normalize is 'false', expected bool"),
    ],
)
def test_a_setting_of_another_kind_is_named_and_not_understood_in_some_way(said: dict[str, object], told: str):
    tiny.wav2vec(FOLDER)
    path = FOLDER / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    assert f"preprocessor_config.json missing or broken ({told})" in refused()


@pytest.mark.parametrize("document", [None, "<html>", "\ufeff{}"])
def test_a_missing_or_broken_preprocessor_config_is_refused(document: str | None):
    tiny.wav2vec(FOLDER)
    path = FOLDER / "preprocessor_config.json"
    path.unlink() if document is None else path.write_text(document)
    assert "preprocessor_config.json" in refused()


def test_a_checkpoint_without_its_positional_weights_is_refused():
    tiny.wav2vec(FOLDER)
    state = torch.load(FOLDER / "pytorch_model.bin", weights_only=True)
    tiny.saved({k: v for k, v in state.items() if "weight_g" not in k}, FOLDER / "pytorch_model.bin")
    assert "pytorch_model.bin" in refused()


def test_a_truncated_file_is_refused():
    tiny.wav2vec(FOLDER)
    path = FOLDER / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "trisent weights verify wav2vec2-base" in refused()
