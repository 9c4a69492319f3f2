"""The table of extractors, and what every one of them must be."""

import subprocess
import sys

import numpy as np
import pytest

from trisent.config import PRESETS
from trisent.errors import UsageError
from trisent.extractors.registry import EXTRACTORS, extractor_class, preset_extractors
from trisent.types import MODALITIES, Frames
from trisent.weights import entries
from unit.weights.tiny import environment


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_name_leads_to_a_class_that_says_what_it_takes(name: str):
    found = extractor_class(name)
    assert found.modality in MODALITIES
    assert callable(found.extract)
    assert found.__doc__


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_names_extractors_of_the_right_modality_and_weights_of_the_catalog(preset):
    catalogued = {entry.name: entry.modality for entry in entries(preset.name)}
    assert list(preset.extractors) == list(MODALITIES)
    for modality, (name, weights, _) in preset.extractors.items():
        assert extractor_class(name).modality == modality == catalogued[weights]


def test_an_unknown_extractor_is_refused_with_the_names_there_are():
    with pytest.raises(
        UsageError, match="no extractor is called 'brt'; there are: bert, wav2vec, whisper, resnet, face, vit"
    ):
        extractor_class("brt")


def test_an_unknown_preset_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="no preset is called 'best'; there are: embedded, pretrained"):
        preset_extractors("best")


def test_listing_the_extractors_imports_neither_torch_nor_transformers():
    code = "import sys, trisent.extractors.registry; print({'torch', 'transformers', 'av'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, env=environment()).stdout.strip() == "set()"


@pytest.mark.embedded
def test_the_embedded_preset_extracts_all_three_modalities():
    extractors = preset_extractors("embedded", device="cpu")
    black = Frames(np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1, np.float32))
    raw = {"text": "a good film", "audio": np.zeros(1600, np.float32), "video": black}
    for modality, extractor in extractors.items():
        [features] = extractor.extract([raw[modality]])
        assert features.values.shape[1] == extractor.dim
        assert len(extractor.provenance.digest) == 64
    layers = {m: len(PRESETS["embedded"].extractors[m][2].get("layers", (-1,))) for m in ("text", "audio")}
    expected = {"text": 384 * layers["text"], "audio": 384 * layers["audio"], "video": 1280 + 128 + 7}
    assert {m: e.dim for m, e in extractors.items()} == expected
