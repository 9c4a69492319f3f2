"""Where weights are looked for, and what is refused there."""

import hashlib
import importlib
import logging
import os
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import entry, find
from trisent.weights.find import is_folder
from unit.weights.tiny import BERT, BERT_BIN, MTCNN, RESNET_PTH, RESNET_SAFETENSORS, place

pytestmark = pytest.mark.usefixtures("tiny")

REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"


def hub_snapshot(tmp_path: Path, repo: str = "google-bert/bert-base-uncased", revision: str = REVISION) -> Path:
    return tmp_path / "hf" / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / revision


def test_nothing_is_found_on_an_empty_machine() -> None:
    for name in ("bert-base-uncased", "minilm-l6", "models/bert-base-uncased", "someone/something", "whatever"):
        assert find(name) is None


def test_a_folder_is_used_as_it_is() -> None:
    place(Path("models/bert-base-uncased"), BERT)
    weights = find("models/bert-base-uncased")
    assert weights is not None
    assert weights.file == Path("models/bert-base-uncased/model.safetensors")
    assert weights.pinned
    assert weights.licence == "Apache-2.0"
    assert weights.digest == entry("bert-base-uncased").files[0].sha256


def test_a_folder_is_also_seen_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path / "checkout/models/bert-base-uncased", BERT)
    for module in ("find", "places"):
        monkeypatch.setattr(
            importlib.import_module(f"trisent.weights.{module}"), "checkout", lambda: tmp_path / "checkout"
        )
    for name in ("models/bert-base-uncased", "bert-base-uncased"):
        weights = find(name)
        assert weights is not None
        assert weights.folder == tmp_path / "checkout/models/bert-base-uncased"


def test_a_name_is_looked_up_in_models_then_the_hub_cache_then_our_own(tmp_path: Path) -> None:
    places = [
        Path.cwd() / "models/bert-base-uncased",
        hub_snapshot(tmp_path),
        tmp_path / "home/weights/bert-base-uncased",
    ]
    for folder in reversed(places):
        place(folder, BERT)
        weights = find("google-bert/bert-base-uncased")
        assert weights is not None
        assert weights.folder == folder


def test_models_dirs_replaces_the_models_folders(tmp_path: Path) -> None:
    place(tmp_path / "usb/bert-base-uncased", BERT)
    assert find("bert-base-uncased") is None
    assert find("bert-base-uncased", models_dirs=[tmp_path / "usb"]) is not None


def test_the_hub_cache_may_hold_the_old_name_without_organisation(tmp_path: Path) -> None:
    place(hub_snapshot(tmp_path, repo="bert-base-uncased"), BERT)
    assert find("bert-base-uncased") is not None


def test_the_pickled_alternative_is_accepted_in_place_of_safetensors(tmp_path: Path) -> None:
    files = {name: data for name, data in BERT.items() if name != "model.safetensors"}
    snapshot = place(hub_snapshot(tmp_path), {**files, "pytorch_model.bin": BERT_BIN})
    weights = find("bert-base-uncased")
    assert weights is not None
    assert weights.file == snapshot / "pytorch_model.bin"
    assert weights.pinned


def test_resnet50_is_found_in_torch_checkpoints_and_in_timms_repository(tmp_path: Path) -> None:
    place(tmp_path / "torch/hub/checkpoints", {"r.pth": RESNET_PTH})
    weights = find("resnet50")
    assert weights is not None
    assert weights.file.name == "r.pth"
    timm = hub_snapshot(tmp_path, "timm/resnet50.tv_in1k", "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa")
    place(timm, {"model.safetensors": RESNET_SAFETENSORS})
    weights = find("resnet50")
    assert weights is not None
    assert weights.folder == timm


def test_an_incomplete_snapshot_is_not_taken(tmp_path: Path) -> None:
    place(hub_snapshot(tmp_path), {"model.safetensors": BERT["model.safetensors"]})
    assert find("bert-base-uncased") is None


def test_a_damaged_cached_file_is_an_error_with_both_digests_and_the_command(tmp_path: Path) -> None:
    snapshot = place(hub_snapshot(tmp_path), {**BERT, "model.safetensors": b"X" * 3000})
    with pytest.raises(WeightsError) as caught:
        find("bert-base-uncased")
    message = str(caught.value)
    assert str(snapshot / "model.safetensors") in message
    assert entry("bert-base-uncased").files[0].sha256 in message
    assert message.endswith("trisent weights pull bert-base-uncased")


@pytest.mark.skipif(os.name == "nt", reason="the cache has links only where the system allows them")
def test_a_sound_snapshot_of_another_revision_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshot = place(hub_snapshot(tmp_path, revision="d" * 40), BERT)
    other = b"Y" * 3000
    blobs = place(snapshot.parent.parent / "blobs", {})
    digest = hashlib.sha256(other).hexdigest()
    (blobs / digest).write_bytes(other)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(blobs / digest)
    assert find("bert-base-uncased") is None
    assert "another revision" in caplog.text


def test_fine_tuned_weights_are_used_but_not_called_pinned(caplog: pytest.LogCaptureFixture) -> None:
    place(Path("models/bert-base-uncased"), {**BERT, "model.safetensors": b"mine"})
    with caplog.at_level(logging.WARNING):
        weights = find("bert-base-uncased")
    assert weights is not None
    assert not weights.pinned
    assert "models/bert-base-uncased are not the catalog's" in caplog.text.replace("\\", "/")


def test_the_catalogs_bytes_are_recognised_in_a_folder_of_any_name() -> None:
    place(Path("模型 备份/我的 bert"), BERT)
    weights = find("模型 备份/我的 bert")
    assert weights is not None
    assert weights.name == "bert-base-uncased"
    assert weights.pinned


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"vocab.txt": b"", "config.json": b"{}"}, "lacks model.safetensors (or pytorch_model.bin)."),
        ({"model.safetensors": b"w", "vocab.txt": b""}, "lacks config.json."),
        ({"model.safetensors": b"w", "config.json": b"{}"}, "lacks tokenizer.json (or vocab.txt)."),
        ({}, "lacks model.safetensors (or pytorch_model.bin), config.json, tokenizer.json (or vocab.txt)."),
    ],
)
def test_an_incomplete_folder_is_refused_naming_what_it_lacks(files: dict[str, bytes], missing: str) -> None:
    place(Path("models/bert-base-uncased"), files)
    with pytest.raises(WeightsError) as caught:
        find("models/bert-base-uncased")
    assert missing in str(caught.value)
    assert "trisent weights pull bert-base-uncased" in str(caught.value)


def test_weights_of_several_files_need_all_of_them() -> None:
    place(Path("models/mtcnn"), {"pnet.pt": MTCNN["pnet.pt"]})
    with pytest.raises(WeightsError, match=r"lacks rnet\.pt, onet\.pt"):
        find("mtcnn")


def test_what_a_training_run_leaves_beside_is_not_taken_for_weights() -> None:
    place(
        Path("mine"), {"training_args.bin": b"t", "optimizer.pt": b"o", "pytorch_model.bin": b"w", "config.json": b"{}"}
    )
    weights = find("mine")
    assert weights is not None
    assert weights.file.name == "pytorch_model.bin"


def test_a_git_lfs_pointer_is_not_taken_for_weights() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    place(Path("models/bert-base-uncased"), {**BERT, "model.safetensors": pointer})
    with pytest.raises(WeightsError, match="git lfs pull"):
        find("models/bert-base-uncased")


def test_an_unrelated_folder_of_the_same_name_does_not_hide_the_weights(tmp_path: Path) -> None:
    place(Path("bert-base-uncased"), {"notes.txt": b"hello"})
    place(hub_snapshot(tmp_path), BERT)
    assert find("bert-base-uncased") is not None


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("bert-base-uncased", False),
        ("google-bert/bert-base-uncased", False),
        ("models/bert-base-uncased", True),
        ("./bert", True),
        ("/srv/bert", True),
        ("~/bert", True),
        ("a/b/c", True),
        ("模型/bert", True),
        ("models/", True),
        (r"D:\models\bert", True),
    ],
)
def test_the_form_of_a_folder_is_told_from_a_name(text: str, folder: bool) -> None:
    assert is_folder(text) is folder
