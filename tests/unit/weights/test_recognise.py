"""What a file is called, by its bytes."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from trisent.weights import entry
from trisent.weights import lookalikes as module
from trisent.weights.recognise import Item, Recognised, recognise
from unit.weights.tiny import BERT, RESNET_PTH

pytestmark = pytest.mark.usefixtures("tiny")


def said(path: Path, data: bytes) -> Recognised:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return recognise(Item.of_file(path))


def safetensors(data: bytes) -> bytes:
    """Write the format by hand: eight bytes of length, JSON, the numbers."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return len(header).to_bytes(8, "little") + header + data


def test_a_right_file_is_known_whatever_its_name(tmp_path: Path) -> None:
    found = said(tmp_path / "下载 (3).tmp", BERT["model.safetensors"])
    assert found.kind == "right"
    assert [(entry.name, file.path) for entry, file in found.matches] == [("bert-base-uncased", "model.safetensors")]


def test_a_file_of_two_models_is_known_as_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BERT and MiniLM have one vocabulary."""
    twins = [dataclasses.replace(entry("bert-base-uncased"), name=name) for name in ("one", "other")]
    monkeypatch.setattr("trisent.weights.recognise.entries", lambda: twins)
    found = said(tmp_path / "x", BERT["vocab.txt"])
    assert found.what == "vocab.txt of one, vocab.txt of other"


@pytest.mark.parametrize(
    ("sha256", "size", "words"),
    [
        ("0bb7a1683251b832d6f4644e523b325adcf485b7193379f5515e6083b5ed174b", 440449768, "April-2024 variant"),
        ("11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", 102540417, "V2"),
        ("8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a", 377607901, "wav2vec2-base-960h"),
    ],
)
def test_the_known_mistakes_are_known(sha256: str, size: int, words: str) -> None:
    (row,) = [one for one in module.lookalikes() if one.sha256 == sha256]
    assert row.bytes == size
    assert words in row.what


def test_the_april_variant_has_the_published_git_id_of_its_pointer() -> None:
    (row,) = [one for one in module.lookalikes() if one.entry == "bert-base-uncased"]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{row.sha256}\nsize {row.bytes}\n".encode()
    # Hugging Face's documentation shows this change of the repository as "index a090ee7..e79c80e".
    assert hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest().startswith("e79c80e")


def test_another_version_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v2 = b"V2" * 900
    row = module.Lookalike("resnet50", len(v2), hashlib.sha256(v2).hexdigest(), "ResNet-50 V2, not V1")
    monkeypatch.setattr("trisent.weights.recognise.lookalikes", lambda: (row,))
    assert said(tmp_path / "resnet50.pth", v2) == Recognised("another version", "ResNet-50 V2, not V1")


def test_the_right_length_with_other_bytes_is_no_match(tmp_path: Path) -> None:
    found = said(tmp_path / "model.safetensors", b"X" * 3000)
    assert found.kind == "damaged"
    assert "as long as model.safetensors of bert-base-uncased" in found.what
    assert hashlib.sha256(b"X" * 3000).hexdigest() in found.what


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>", b"\n  <html lang=zh>", b"\xef\xbb\xbf<!-- x -->\n<head>", b"<HTML><BODY>"]
)
def test_a_web_page_is_called_one(page: bytes, tmp_path: Path) -> None:
    found = said(tmp_path / "model.safetensors", page + b"log in" * 99)
    assert found.kind == "web page"
    assert "HTML page" in found.what


def test_a_pointer_says_which_file_it_stands_for(tmp_path: Path) -> None:
    oid = hashlib.sha256(BERT["model.safetensors"]).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3000\n".encode()
    found = said(tmp_path / "model.safetensors", pointer)
    assert found.kind == "pointer"
    assert "model.safetensors of bert-base-uncased" in found.what


def test_safetensors_cut_short_say_at_how_much_of_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = safetensors(b"w" * 5000)
    row = module.Lookalike("resnet50", len(whole), "0" * 64, "a file of 5 kB")
    monkeypatch.setattr("trisent.weights.recognise.lookalikes", lambda: (row,))
    found = said(tmp_path / "x.bin", whole[: len(whole) * 41 // 100 + 1])
    assert found.kind == "truncated"
    assert "a file of 5 kB, truncated at 41 %" in found.what


@pytest.mark.parametrize("name", ["r.pth", "r (1).pth", "r.pth.crdownload"])
def test_a_torch_file_cut_short_is_measured_by_the_catalogs_length(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 5000)
    assert len(RESNET_PTH) == 2000
    found = said(tmp_path / name, buffer.getvalue()[:500])
    assert found.kind == "truncated"
    assert "r.pth of resnet50, truncated at 25 %" in found.what


def test_an_archive_without_its_end_is_truncated(tmp_path: Path) -> None:
    assert said(tmp_path / "stick.zip", b"PK\x03\x04" + b"z" * 300).kind == "truncated"


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    assert said(tmp_path / "model.safetensors", b"").kind == "damaged"


def test_a_sound_file_of_another_model_is_unknown(tmp_path: Path) -> None:
    assert said(tmp_path / "model.safetensors", safetensors(b"w" * 77)).kind == "unknown"
    named_by_digest = tmp_path / f"resnet18-{hashlib.sha256(b'r18').hexdigest()[:8]}.pth"
    found = said(named_by_digest, b"r18")
    assert found.kind == "unknown"
    assert f"a sound {named_by_digest.name}" in found.what


def test_in_a_folder_named_after_the_model_another_length_is_another_version(tmp_path: Path) -> None:
    found = said(tmp_path / "bert-base-uncased/model.safetensors", safetensors(b"w" * 77))
    assert found.kind == "another version"
    assert "expected 3000 bytes of bert-base-uncased" in found.what


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_a_pickle_is_looked_at_and_never_opened(tmp_path: Path) -> None:
    assert said(tmp_path / "pytorch_model.bin", pickle.dumps(_Bomb())).kind in ("unknown", "truncated")
    assert not Path("executed").exists()


@pytest.mark.parametrize("length", [0, 2, 2**63, 16 << 20])
def test_nonsense_headers_do_no_harm(length: int, tmp_path: Path) -> None:
    data = length.to_bytes(8, "little") + b"{" * 3000
    assert said(tmp_path / "x", data).kind in ("unknown", "truncated")


OLD_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # how torch.save began a file before version 1.6


def test_an_old_torch_file_under_a_known_name_is_measured_and_any_other_is_not_called_truncated(tmp_path: Path) -> None:
    assert "r.pth of resnet50, truncated at 50 %" in said(tmp_path / "r.pth", OLD_TORCH.ljust(1000, b".")).what
    assert said(tmp_path / "resnet18.pth", OLD_TORCH + b"." * 99).kind == "unknown"


def test_an_hdf5_file_says_how_long_it_is(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    with h5py.File(tmp_path / "whole.hdf5", "w") as file:
        file["x"] = np.arange(5000)
    whole = (tmp_path / "whole.hdf5").read_bytes()
    assert said(tmp_path / "a.h5", whole).kind == "unknown"
    found = said(tmp_path / "b.h5", whole[: len(whole) // 2])
    assert found.kind == "truncated"
    assert f"truncated at 50 % ({len(whole) // 2} of {len(whole)} bytes)" in found.what
