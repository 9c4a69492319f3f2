"""Fusion models by name, ours and those of other packages."""

import logging
import sys
from pathlib import Path

import pytest
import torch

from trisent.errors import UsageError
from trisent.fusion.batch import Batch
from trisent.fusion.registry import FUSION_MODELS, FusionModel, build, fusion_class, fusion_models

MODEL = """
import torch
from torch import nn
from trisent.fusion.batch import Output
from trisent.fusion.inputs import Inputs
from trisent.fusion.outputs import make_head


class Sum(nn.Module):
    def __init__(self, dims, *, head="regression"):
        super().__init__()
        self.config = {"dims": dict(dims), "head": head}
        self.inputs = Inputs(dims, modality_dropout=0.0, pooled=True)
        self.maps = nn.ModuleDict({m: nn.Linear(dim, 8) for m, dim in dims.items()})
        self.head = make_head(head, 8)

    def forward(self, batch):
        seen = self.inputs(batch)
        return self.head(sum(self.maps[m](x[:, 0]) for m, x in seen.values.items()))

    def loss(self, output, batch):
        return self.head.loss(output, batch)


class Lossless(nn.Module):
    def __init__(self):
        super().__init__()


class Stubborn(nn.Module):
    def __init__(self, dims):
        raise RuntimeError("not today")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package, as pip would leave it, that brings fusion models."""
    (tmp_path / "other_people.py").write_text(MODEL)
    (tmp_path / "garbled_module.py").write_text("def (")
    info = tmp_path / "other_people-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-people\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[trisent.fusion_models]\n"
        "sum = other_people:Sum\n"
        "concat = other_people:Sum\n"
        "gone = other_people:Gone\n"
        "lossless = other_people:Lossless\n"
        "stubborn = other_people:Stubborn\n"
        "garbled = garbled_module:Model\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "other_people", raising=False)


@pytest.mark.usefixtures("plugin")
def test_a_fusion_model_of_another_package_is_found_by_its_entry_point():
    model = build("sum", {"dims": {"text": 4}})
    assert isinstance(model, FusionModel)
    given = Batch({"text": torch.ones(3, 1, 4)}, {"text": torch.ones(3, 1, dtype=torch.bool)})
    assert model(given).class_logits.shape == (3, 7)
    assert fusion_models()["sum"].dist.name == "other-people"


@pytest.mark.usefixtures("plugin")
def test_another_package_cannot_take_a_name_of_ours_and_we_say_so(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert fusion_class("concat").__module__ == "trisent.fusion.concat"
    assert "the fusion model concat of other-people is left out" in caplog.text


@pytest.mark.usefixtures("plugin")
def test_a_package_that_does_not_keep_its_promise_is_named():
    with pytest.raises(UsageError, match="gone of other-people cannot be imported"):
        build("gone", {})
    with pytest.raises(UsageError, match="garbled of other-people cannot be imported: invalid syntax"):
        build("garbled", {})
    with pytest.raises(UsageError, match="stubborn cannot be made: RuntimeError: not today"):
        build("stubborn", {"dims": {}})
    with pytest.raises(UsageError, match="Lossless is not a fusion model"):
        build("lossless", {})


def test_every_model_of_ours_can_be_imported_and_begins_its_docstring_with_what_it_does():
    for name in FUSION_MODELS:
        assert fusion_class(name).__doc__.splitlines()[0].endswith(".")


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="'perceptron'; there are: concat, late, gated"):
        build("perceptron", {})


def test_settings_a_model_does_not_take_are_named_with_those_it_takes():
    with pytest.raises(UsageError, match="colour is unknown or missing; it takes dims, hidden, fused"):
        build("tfn", {"dims": {"text": 4}, "colour": "red"})
    with pytest.raises(UsageError, match="dims is unknown or missing"):
        build("tfn", {})


def test_listing_the_models_imports_none_of_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "trisent.fusion.mfn", raising=False)
    assert list(FUSION_MODELS) == list(fusion_models())[: len(FUSION_MODELS)]
    assert "trisent.fusion.mfn" not in sys.modules
