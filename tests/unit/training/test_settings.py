"""Settings from a file, from options, and one by one: what wins, and what cannot be said."""

import inspect
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from trisent.errors import UsageError
from trisent.training import TrainConfig, fit
from trisent.training.settings import read_settings

FILE = """
[train]
lr = 3e-4
epochs = 7
schedule = "cosine"

[model]
name = "gated"
hidden = 64

[cleaning]
standardise = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_says_everything_and_what_it_leaves_out_stays_as_it_is(file: Path) -> None:
    settings = read_settings(file)
    assert (settings.train.lr, settings.train.epochs, settings.train.schedule) == (3e-4, 7, "cosine")
    assert (settings.model, settings.model_config) == ("gated", {"hidden": 64})
    assert settings.cleaning.standardise
    assert settings.train.batch_size == TrainConfig().batch_size


def test_an_option_wins_over_the_file_and_an_assignment_over_both(file: Path) -> None:
    flags = {"train.lr": 1e-3, "train.epochs": 9, "train.seed": None}
    settings = read_settings(file, flags=flags, assignments=["train.lr=5e-3", "model.hidden=32"])
    assert (settings.train.lr, settings.train.epochs, settings.train.seed) == (5e-3, 9, 0)
    assert settings.model_config == {"hidden": 32}


@pytest.mark.parametrize("said", ["audio,text", ' ["text", "audio"]', "text, audio"])
def test_modalities_are_a_list_or_names_with_commas(said: str) -> None:
    assert read_settings(assignments=[f"data.modalities={said}"]).modalities == ("text", "audio")
    assert read_settings(flags={"data.modalities": "video"}).modalities == ("video",)
    assert read_settings().modalities is None


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.lrr=1", "there is no setting train.lrr; train has epochs, batch_size, lr"),
        ("model.colour=1", "there is no setting model.colour"),
        ("optimizer.lr=1", "there is no setting optimizer; there are train, model, cleaning"),
        ("train.epochs=many", "train.epochs must be a whole number, got 'many'"),
        ("train.epochs=2.5", "train.epochs must be a whole number"),
        ("lr=1", "takes TABLE.KEY=VALUE"),
        ("data.modalities=text,sound", "modalities must be some of text, audio, video, got sound"),
        ("data.modalities=3", "modalities must be some of text, audio, video, got 3"),
        ("data.split=test", "there is no setting data.split"),
        ("train.schedule=step", "schedule must be one of constant, cosine, linear"),
        ("train.ema=1.0", r"ema must be in \[0, 1\)"),
        ("train.device=tpu", "--device must be auto, cpu, cuda or cuda:N, got .tpu."),
    ],
)
def test_what_is_unknown_or_makes_no_sense_is_refused_by_name(assignment: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_settings(assignments=[assignment])


@pytest.mark.parametrize(
    "cheat",
    ["train.select=test", "train.select=test_mae", "train.split=test", "train.test=true", "cleaning.fit_on=test"],
)
def test_choosing_on_the_test_split_cannot_be_asked_for(cheat: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_settings(assignments=[cheat])
    table, _, rest = cheat.partition(".")
    key, _, value = rest.partition("=")
    path = tmp_path / "cheat.toml"
    path.write_text(f"[{table}]\n{key} = {value if value == 'true' else repr(value)}\n", encoding="utf-8")
    with pytest.raises(UsageError):
        read_settings(path)


def test_nothing_in_training_has_a_name_for_the_test_split() -> None:
    assert not [field.name for field in fields(TrainConfig) if "test" in field.name]
    assert not [name for name in inspect.signature(fit).parameters if "test" in name]


@pytest.mark.parametrize(("text", "words"), [("[train", "is not a TOML file"), ("train = 3", "must be a table")])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_settings(tmp_path / "c.toml")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        read_settings(tmp_path / "none.toml")


OTHERS = """
from __future__ import annotations
from typing import TYPE_CHECKING
from torch import nn
if TYPE_CHECKING:
    from collections.abc import Mapping


class Mine(nn.Module):
    def __init__(self, dims: Mapping[str, int], *, width: int = 8, **more: object) -> None:
        super().__init__()
"""


def test_a_model_whose_types_only_type_checkers_know_has_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "typed_lazily.py").write_text(OTHERS)
    info = tmp_path / "typed_lazily-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: typed-lazily\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[trisent.fusion_models]\nlazily_typed = typed_lazily:Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "typed_lazily", raising=False)
    found = read_settings(assignments=["model.name=lazily_typed", "model.width=4"])
    assert found.model_config == {"width": 4}
    with pytest.raises(UsageError, match=r"there is no setting model\.height; model has width$"):
        read_settings(assignments=["model.name=lazily_typed", "model.height=4"])
