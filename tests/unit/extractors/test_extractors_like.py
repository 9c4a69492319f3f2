"""Extractors are made again from what features say of their origin."""

from pathlib import Path

import pytest

from trisent.extractors.registry import extractors_like
from trisent.extractors.resnet import ResNetVideoExtractor
from trisent.extractors.text import BERTTextExtractor
from unit.extractors import tiny


def test_the_same_network_and_layers_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.bert(tmp_path / "models" / "bert-base-uncased")
    monkeypatch.chdir(tmp_path)
    wanted = BERTTextExtractor("bert-base-uncased", layers=(1, 2), device="cpu").provenance
    made = extractors_like({"text": wanted}, device="cpu")
    assert made["text"].provenance == wanted
    assert made["text"].dim == 32


@pytest.mark.embedded
def test_an_extractor_that_looks_at_faces_comes_back_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.resnet(tmp_path / "models" / "resnet50")
    monkeypatch.chdir(tmp_path)
    wanted = ResNetVideoExtractor("resnet50", frames="face", device="cpu").provenance
    assert extractors_like({"video": wanted}, device="cpu")["video"].provenance == wanted
