"""Bundles: what is saved is what is loaded, and what is broken is told in one line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trisent import checkpoint
from trisent.checkpoint import Bundle, find_bundle, load_bundle, save_bundle, shipped_bundles
from trisent.errors import BundleError
from trisent.evaluation.metrics import scores
from trisent.files import write_whole
from trisent.fusion.concat import ConcatFusion
from trisent.types import Provenance


def saved(folder: Path, **changes: object) -> tuple[Bundle, ConcatFusion]:
    fusion = ConcatFusion({"text": 4, "video": 3}, hidden=5)
    known = Provenance("bert", "tiny", "ab" * 32, (1, 2), "lower case")
    facts = {
        "model_name": "concat",
        "model_config": fusion.config,
        "preset": "embedded",
        "extractors": {"text": known},
        "scores": {"valid": scores([1.0, 1.0], [1.0, -1.0]), "test": scores([1.0, 0.5], [1.0, -1.0])},
        "data": {"name": "made up", "rows": {"train": 2}},
        "synthetic": False,
        "licence": "CC0-1.0",
        "seed": 3,
    }
    bundle = Bundle(**{**facts, **changes})
    save_bundle(folder, bundle, fusion)
    return bundle, fusion


def edit(folder: Path, **changes: object) -> None:
    path = folder / "bundle.json"
    values = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v != "DELETE"}), encoding="utf-8")


def test_a_bundle_comes_back_as_it_was_saved(tmp_path: Path):
    bundle, fusion = saved(tmp_path / "a" / "b")
    loaded, rebuilt = load_bundle(tmp_path / "a" / "b")
    assert loaded.extractors == bundle.extractors
    assert loaded.to_json() == bundle.to_json()
    assert loaded.scores["test"] == bundle.scores["test"]
    assert not rebuilt.training
    assert all(torch.equal(x, rebuilt.state_dict()[name]) for name, x in fusion.state_dict().items())


def test_a_folder_of_several_seeds_says_which_of_them_can_be_named(tmp_path: Path):
    saved(tmp_path / "seed-0")
    saved(tmp_path / "seed-1")
    with pytest.raises(BundleError, match=r"each of 2 seeds; name one of them: .*seed-0"):
        load_bundle(tmp_path)


def test_saving_leaves_nothing_half_written_and_other_files_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    saved(tmp_path)
    saved(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"mine.txt", "bundle.json", "model.safetensors", "README.md"}


def test_a_write_that_fails_leaves_the_old_bundle_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bundle, _ = saved(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(descriptor))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved(tmp_path, seed=99)
    assert load_bundle(tmp_path)[0].seed == bundle.seed
    assert not list(tmp_path.glob("*.part"))


def test_the_file_readers_open_first_is_put_in_place_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    moved: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda part, target: (moved.append(target.name), replace(part, target))[1])
    saved(tmp_path)
    assert moved[-1] == "bundle.json"


def test_files_get_the_permissions_of_ordinary_files(tmp_path: Path):
    (tmp_path / "ordinary").write_text("", encoding="utf-8")
    write_whole(tmp_path, {"whole": b""})
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_the_model_card_says_synthetic_loudly_and_only_when_true(tmp_path: Path):
    saved(tmp_path / "real")
    saved(tmp_path / "made_up", synthetic=True)
    assert "SYNTHETIC" not in (tmp_path / "real" / "README.md").read_text(encoding="utf-8")
    card = (tmp_path / "made_up" / "README.md").read_text(encoding="utf-8")
    assert "TRAINED ON SYNTHETIC DATA" in card.splitlines()[2]
    assert "| MAE | 1.0000 (n=2) | 0.7500 (n=2) |" in card
    assert "not defined (n=2)" in card


def test_a_missing_folder_or_file_is_named(tmp_path: Path):
    with pytest.raises(BundleError, match=r"nowhere is not a bundle: bundle\.json is missing.*trisent train"):
        load_bundle(tmp_path / "nowhere")
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors is missing"):
        load_bundle(tmp_path)


def test_one_changed_bit_in_the_weights_is_noticed(tmp_path: Path):
    saved(tmp_path)
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match="is damaged or belongs to another bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has format 2, trisent .* reads format 1"),
        ({"format": "DELETE"}, "has format None"),
        ({"files": {}}, r"bundle\.json cannot be read"),
        ({"seed": "DELETE"}, r"bundle\.json cannot be read .*seed"),
        ({"surprise": 1}, r"bundle\.json cannot be read .*surprise"),
        ({"scores": {"test": {"mae": 1}}}, r"bundle\.json cannot be read"),
        ({"extractors": {"text": {}}}, r"bundle\.json cannot be read"),
        ({"extractors": {"smell": {}}}, r"bundle\.json cannot be read .*smell"),
        ({"model_name": "magic"}, "no fusion model is called 'magic'"),
        ({"model_config": {"dims": {"text": 4}}}, "does not fit together"),
        ({"model_config": {"size": 4}}, "does not fit together"),
    ],
)
def test_a_bundle_that_is_wrong_is_refused_in_one_line(tmp_path: Path, changes: dict, words: str):
    saved(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(BundleError, match=words) as caught:
        load_bundle(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_unreadable_json_is_refused(tmp_path: Path, text: str):
    saved(tmp_path)
    (tmp_path / "bundle.json").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json cannot be read"):
        load_bundle(tmp_path)


def test_a_name_finds_a_shipped_bundle_and_a_path_never_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "_SHIPPED", tmp_path)
    saved(tmp_path / "small", seed=42)
    assert shipped_bundles() == ("small",)
    assert load_bundle("small")[0].seed == 42
    assert find_bundle("./small") == Path("small")
    assert find_bundle(Path("small")) == Path("small")
    with pytest.raises(BundleError, match=r"large is not a bundle.*one of: small"):
        load_bundle("large")


def test_parts_of_a_model_may_share_weights(tmp_path: Path):
    bundle, fusion = saved(tmp_path)
    fusion.add_module("again", fusion.project)
    save_bundle(tmp_path, bundle, fusion)
    kept = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(x, kept[f"again.{name}"]) for name, x in fusion.project.state_dict().items())
