"""Models of other people that do not keep their promises are found out before they are trained."""

import sys
from pathlib import Path

import pytest
import torch

from trisent.errors import UsageError
from trisent.fusion.registry import FUSION_MODELS, build
from trisent.fusion.rehearsal import rehearse

DIMS = {"text": 4, "audio": 3}
MODELS = """
import torch
from torch import nn
from trisent.fusion.batch import Output
from trisent.fusion.inputs import Inputs
from trisent.fusion.outputs import make_head


class Sound(nn.Module):
    def __init__(self, dims, *, width=8):
        super().__init__()
        self.config = {"dims": dict(dims), "width": width}
        self.inputs = Inputs(dims, modality_dropout=0.0, pooled=True)
        self.maps = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.head = make_head("regression", width)

    def forward(self, batch):
        return self.head(sum(self.maps[m](x[:, 0]) for m, x in self.inputs(batch).values.items()))

    def loss(self, output, batch):
        return self.head.loss(output, batch)


class Forgetful(Sound):
    def __init__(self, dims, *, width=8):
        super().__init__(dims, width=width)
        del self.config["width"]


class Unspeakable(Sound):
    def __init__(self, dims):
        super().__init__(dims)
        self.config["width"] = nn.ReLU()


class Tall(Sound):
    def forward(self, batch):
        output = super().forward(batch)
        return Output(output.sentiment.unsqueeze(1), output.class_logits)


class Pair(Sound):
    def forward(self, batch):
        output = super().forward(batch)
        return output.sentiment, output.class_logits


class Severed(Sound):
    def loss(self, output, batch):
        return (output.sentiment.detach() - batch.labels).abs().mean()


class Many(Sound):
    def loss(self, output, batch):
        return (output.sentiment - batch.labels).abs()


class Demanding(Sound):
    def forward(self, batch):
        output = super().forward(batch)
        whole = torch.stack([mask.any(dim=1) for mask in batch.masks.values()]).all(dim=0)
        return Output(output.sentiment.where(whole, float("nan")), output.class_logits)


class Failing(Sound):
    def forward(self, batch):
        raise KeyError("no such thing")
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_promises.py").write_text(MODELS)
    info = tmp_path / "broken_promises-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-promises\nVersion: 1.0\n")
    names = ["Sound", "Forgetful", "Unspeakable", "Tall", "Pair", "Severed", "Many", "Demanding", "Failing"]
    lines = [f"{name.lower()} = broken_promises:{name}\n" for name in names]
    (info / "entry_points.txt").write_text("[trisent.fusion_models]\n" + "".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_promises", raising=False)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("forgetful", {"width": 5}, "its config does not rebuild it"),
        ("unspeakable", {}, "its config must hold JSON values"),
        ("tall", {}, r"sentiment must be \[3\] and class_logits \[3, 7\], got \[3, 1\]"),
        ("pair", {}, "forward must return an Output, got tuple"),
        ("severed", {}, "loss must be a single number that depends on the weights"),
        ("many", {}, "loss must be a single number"),
        ("demanding", {}, "an utterance that lacks a modality must be judged, too"),
        ("failing", {}, "KeyError: 'no such thing'"),
    ],
)
def test_a_broken_promise_is_named_before_training(name: str, settings: dict, words: str):
    model = build(name, {"dims": DIMS, **settings})
    with pytest.raises(UsageError, match=f"the fusion model {name} cannot be trained: .*{words}"):
        rehearse(name, model, DIMS)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("name", ["sound", *FUSION_MODELS])
@pytest.mark.parametrize("dims", [{"audio": 3}, {"text": 4, "audio": 3, "video": 5}], ids=len)
def test_a_model_that_keeps_its_promises_passes_and_is_left_as_it_was(name: str, dims: dict):
    model = build(name, {"dims": dims})
    before = {key: x.clone() for key, x in model.state_dict().items()}
    noise = torch.get_rng_state()
    rehearse(name, model, dims)
    assert all(torch.equal(x, before[key]) for key, x in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), noise)
