"""Whisper features against transformers' own forward, and against CTranslate2's for files published for it."""

from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from ctranslate2.converters.transformers import WhisperLoader
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from trisent.errors import WeightsError
from trisent.extractors.ctranslate2 import read_encoder
from trisent.extractors.whisper import WhisperAudioExtractor
from trisent.samples import TALK
from trisent.weights import ensure
from unit.extractors import tiny
from unit.extractors.tiny import sound

FOLDER = Path("models/whisper")


def log_mel(waveform: np.ndarray) -> torch.Tensor:
    return WhisperFeatureExtractor()(waveform, sampling_rate=16_000, return_tensors="pt").input_features


def reference(model: WhisperForConditionalGeneration, waveform: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.get_encoder()(log_mel(waveform)).last_hidden_state[0].numpy()


def for_ctranslate2(model: WhisperForConditionalGeneration, folder: Path) -> Path:
    """Write `model.bin` with CTranslate2's own converter."""
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary([str(i) for i in range(model.config.vocab_size)])
    spec.config.add_attribute("model_type", "whisper")
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return folder / "model.bin"


@pytest.mark.parametrize("samples", [1, 320, 321, 16_000, 30 * 16_000])
def test_there_is_one_row_for_every_20_ms_begun_as_transformers_computes_it(samples: int):
    model = tiny.whisper(FOLDER)
    [features] = WhisperAudioExtractor(str(FOLDER)).extract([sound(30)[:samples]])
    rows = -(-samples // 320)
    np.testing.assert_allclose(features.values, reference(model, sound(30)[:samples])[:rows], atol=1e-5)
    np.testing.assert_allclose(features.times, 0.01 + 0.02 * np.arange(rows), atol=1e-5)
    assert features.mask.all()


def test_sound_longer_than_30_s_goes_in_windows_without_a_gap():
    model = tiny.whisper(FOLDER)
    [features] = WhisperAudioExtractor(str(FOLDER)).extract([sound(31)])
    expected = [reference(model, sound(31)[: 30 * 16_000]), reference(model, sound(31)[30 * 16_000 :])[:50]]
    np.testing.assert_allclose(features.values, np.concatenate(expected), atol=1e-5)
    np.testing.assert_allclose(features.times, 0.01 + 0.02 * np.arange(1550), atol=1e-4)


def test_a_sound_s_features_do_not_depend_on_its_neighbours():
    tiny.whisper(FOLDER)
    extractor = WhisperAudioExtractor(str(FOLDER))
    sounds = [sound(1, seed=1), sound(0, seed=2), sound(0.3, seed=3), sound(30.5, seed=4), sound(0.1, seed=5)]
    alone = [extractor.extract([one])[0].values for one in sounds]
    for i, features in zip([3, 1, 4, 0, 2], extractor.extract([sounds[i] for i in [3, 1, 4, 0, 2]]), strict=True):
        np.testing.assert_allclose(features.values, alone[i], atol=1e-5)


def test_an_empty_waveform_gives_no_steps():
    tiny.whisper(FOLDER)
    extractor = WhisperAudioExtractor(str(FOLDER), layers=(0, -1))
    [features] = extractor.extract([np.zeros(0, np.float32)])
    assert (features.values.shape, features.times.shape, features.mask.shape) == ((0, 32), (0,), (0,))
    assert extractor.extract([]) == []


def test_a_file_of_ctranslate2_s_converter_gives_the_network_it_was_made_from():
    model = tiny.whisper(Path("source"))
    file = for_ctranslate2(model, FOLDER)
    with torch.no_grad():
        ours = read_encoder(file)(log_mel(sound(2))).last_hidden_state[0].numpy()
    np.testing.assert_allclose(ours, reference(model, sound(2)), atol=1e-5)


def test_a_folder_in_ctranslate2_s_format_gives_features():
    model = tiny.whisper(Path("source"))
    for_ctranslate2(model, FOLDER)
    [features] = WhisperAudioExtractor(str(FOLDER)).extract([sound(1)])
    np.testing.assert_allclose(features.values, reference(model, sound(1))[:50], atol=1e-5)


@pytest.mark.parametrize("keep", [0, 3, 100, 5000, -100])
def test_a_truncated_ctranslate2_file_is_refused_in_one_line(keep: int):
    file = for_ctranslate2(tiny.whisper(Path("source")), FOLDER)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="is no float CTranslate2 Whisper model") as caught:
        WhisperAudioExtractor(str(FOLDER))
    assert "\n" not in str(caught.value)


def test_another_file_named_model_bin_is_refused():
    FOLDER.mkdir(parents=True)
    (FOLDER / "model.bin").write_bytes(b"<html>moved permanently</html>" * 10)
    (FOLDER / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="is no float CTranslate2 Whisper model"):
        WhisperAudioExtractor(str(FOLDER))


def test_another_architecture_is_refused():
    tiny.bert(FOLDER)
    with pytest.raises(WeightsError, match="expected a whisper model"):
        WhisperAudioExtractor(str(FOLDER))


@pytest.mark.embedded
def test_the_published_file_gives_what_ctranslate2_itself_computes():
    from trisent.media.sound import read_waveform

    weights = ensure("whisper-tiny-en")
    waveform = read_waveform(TALK)
    mel = log_mel(waveform)
    theirs = ctranslate2.models.Whisper(str(weights.folder), device="cpu", compute_type="float32", intra_threads=1)
    encoded = np.array(theirs.encode(ctranslate2.StorageView.from_array(mel.numpy())))[0]
    [features] = WhisperAudioExtractor("whisper-tiny-en").extract([waveform])
    assert features.values.shape == (-(-len(waveform) // 320), 384)
    np.testing.assert_allclose(features.values, encoded[: len(features.values)], atol=1e-3)
