"""Relatives of BERT and wav2vec 2.0: each gives what transformers' own model of its family gives."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from trisent.errors import UsageError, WeightsError
from trisent.extractors.audio import Wav2VecAudioExtractor
from trisent.extractors.registry import extractor_for
from trisent.extractors.text import BERTTextExtractor
from unit.extractors import tiny
from unit.extractors.tiny import sound

FOLDER = Path("models/relative")
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
TEXTS = ("i love the film", "good", "the film " * 40, "a bad film", "a bad good film")

TEXT = {
    "bert": (transformers.BertModel, transformers.BertConfig, {}),
    "electra": (transformers.ElectraModel, transformers.ElectraConfig, {"embedding_size": 8}),
    "roberta": (transformers.RobertaModel, transformers.RobertaConfig, {}),
    "xlm-roberta": (transformers.XLMRobertaModel, transformers.XLMRobertaConfig, {}),
    "camembert": (transformers.CamembertModel, transformers.CamembertConfig, {}),
    "data2vec-text": (transformers.Data2VecTextModel, transformers.Data2VecTextConfig, {}),
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
AUDIO = {
    "wav2vec2": (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config, {}),
    "wav2vec2-large": (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config, LARGE),
    "hubert": (transformers.HubertModel, transformers.HubertConfig, {}),
    "hubert-large": (transformers.HubertModel, transformers.HubertConfig, LARGE),
    "wavlm": (transformers.WavLMModel, transformers.WavLMConfig, {}),
    "wavlm-large": (transformers.WavLMModel, transformers.WavLMConfig, LARGE),
    "data2vec-audio": (transformers.Data2VecAudioModel, transformers.Data2VecAudioConfig, {"conv_pos_kernel_size": 5}),
}


def text_model(family: str) -> torch.nn.Module:
    model_class, config_class, options = TEXT[family]
    behind_padding = family not in ("bert", "electra")
    positions = {"max_position_embeddings": 130 if behind_padding else 128, "pad_token_id": int(behind_padding)}
    config = config_class(vocab_size=len(tiny.VOCABULARY), **SMALL, **positions, **options)
    model = tiny.filled(model_class(config))
    tiny.keep(model, FOLDER)
    tokenizer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(tiny.VOCABULARY)})
    tokenizer.save_pretrained(FOLDER)
    return model


def audio_model(family: str) -> torch.nn.Module:
    model_class, config_class, options = AUDIO[family]
    common = {k: v for k, v in tiny.WAV2VEC_CONFIG.items() if k in ("conv_dim", "num_conv_pos_embedding_groups")}
    if family != "data2vec-audio":
        common["num_conv_pos_embeddings"] = 16
    model = tiny.filled(model_class(config_class(**SMALL | common | options)))
    tiny.keep(model, FOLDER)
    prepare = {"do_normalize": True, "feature_size": 1, "padding_value": 0.0, "sampling_rate": 16000}
    (FOLDER / "preprocessor_config.json").write_text(json.dumps(prepare))
    return model


@pytest.mark.parametrize("family", TEXT)
def test_packed_texts_have_the_features_that_transformers_gives_each_alone(family: str):
    model = text_model(family)
    extractor = BERTTextExtractor(str(FOLDER), layers="all")
    tokenizer = transformers.BertTokenizer.from_pretrained(FOLDER)
    for text, features in zip(TEXTS, extractor.extract(TEXTS), strict=True):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(features.values, torch.cat(hidden, dim=-1)[0], atol=1e-4, rtol=1e-4)
    assert extractor.dim == 4 * 16


@pytest.mark.parametrize("family", AUDIO)
@pytest.mark.parametrize("layers", [(-1,), (0, 2), "all"])
def test_sounds_have_the_features_that_transformers_gives(family: str, layers: object):
    model = audio_model(family)
    extractor = Wav2VecAudioExtractor(str(FOLDER), layers=layers)
    prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    for seconds, features in zip((0.7, 0.3), extractor.extract([sound(0.7), sound(0.3)]), strict=True):
        values = prepare(sound(seconds), sampling_rate=16_000, return_tensors="pt").input_values
        with torch.no_grad():
            hidden = model(values, output_hidden_states=True).hidden_states
        expected = torch.cat([hidden[i] for i in extractor.provenance.layers], dim=-1)[0]
        np.testing.assert_allclose(features.values, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.parametrize("family", ["roberta", "wavlm-large", "data2vec-audio"])
def test_in_openvino_relatives_give_what_they_give_in_torch(family: str):
    kind, raw = (BERTTextExtractor, TEXTS) if family in TEXT else (Wav2VecAudioExtractor, (sound(0.7), sound(0.3)))
    text_model(family) if family in TEXT else audio_model(family)
    both = [kind(str(FOLDER), layers="all", backend=backend).extract(raw) for backend in ("torch", "openvino")]
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-4, rtol=1e-4)


def test_a_layer_below_the_last_is_computed_without_those_above_it_and_without_the_final_norm():
    model = audio_model("wav2vec2-large")
    values = transformers.Wav2Vec2FeatureExtractor()(sound(0.5), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        hidden = model(values, output_hidden_states=True).hidden_states
    [features] = Wav2VecAudioExtractor(str(FOLDER), layers=(1,)).extract([sound(0.5)])
    np.testing.assert_allclose(features.values, hidden[1][0], atol=1e-4, rtol=1e-4)


def test_layers_by_an_unknown_word_are_refused():
    text_model("bert")
    with pytest.raises(ValueError, match="layers must be between"):
        BERTTextExtractor(str(FOLDER), layers="first")


@pytest.mark.parametrize(
    ("modality", "document", "extractor"),
    [
        ("text", {"model_type": "xlm-roberta"}, "bert"),
        ("audio", {"model_type": "wavlm"}, "wav2vec"),
        ("audio", {"model_type": "whisper"}, "whisper"),
        ("video", {"model_type": "dinov2"}, "vit"),
        ("video", {"model_type": "clip"}, "vit"),
        ("video", {"architecture": "resnet50"}, "resnet"),
    ],
)
def test_the_weights_say_which_extractor_they_are_for(modality: str, document: dict[str, str], extractor: str):
    tiny.saved({"x": torch.ones(1)}, FOLDER / "model.safetensors")
    (FOLDER / "config.json").write_text(json.dumps(document))
    assert extractor_for(modality, str(FOLDER)) == extractor  # type: ignore[arg-type]


def test_weights_of_a_preset_need_not_be_there_to_know_their_extractor():
    assert extractor_for("text", "bert-base-uncased") == "bert"
    assert extractor_for("video", "efficientnet-lite0") == "face"


@pytest.mark.parametrize(("modality", "kind"), [("text", "gpt2"), ("audio", "bert"), ("video", "wav2vec2")])
def test_a_network_that_no_extractor_takes_is_refused_with_those_that_are(modality: str, kind: str):
    tiny.saved({"x": torch.ones(1)}, FOLDER / "model.safetensors")
    (FOLDER / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(UsageError, match=f"of type '{kind}' gives no features for {modality}; supported are "):
        extractor_for(modality, str(FOLDER))  # type: ignore[arg-type]


def test_a_network_of_another_family_is_refused_by_the_extractor_too():
    audio_model("hubert")
    with pytest.raises(WeightsError, match="expected a bert, electra, roberta"):
        BERTTextExtractor(str(FOLDER))


def test_a_roberta_that_does_not_say_its_padding_is_refused_by_name():
    text_model("roberta")
    config = json.loads((FOLDER / "config.json").read_text())
    (FOLDER / "config.json").write_text(json.dumps(config | {"pad_token_id": None}))
    with pytest.raises(WeightsError, match="pad_token_id"):
        BERTTextExtractor(str(FOLDER))
