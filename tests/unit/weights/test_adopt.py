"""Weights that come by hand."""

import dataclasses
import importlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from trisent.weights import adopt, entry, find, verify
from trisent.weights.members import Refused, members
from unit.weights.tiny import BERT, BERT_BIN, MTCNN, RESNET_PTH, build_wheel, pinned, place

pytestmark = pytest.mark.usefixtures("tiny")


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_renamed_files_of_a_stick_make_the_model_complete(tmp_path: Path) -> None:
    stick = place(tmp_path / "我的 U盘", {f"file {i}": data for i, data in enumerate(BERT.values())})
    before = everything(stick)
    adoption = adopt([stick])
    assert adoption.complete == ("bert-base-uncased",)
    assert adoption.all_adopted
    weights = find("bert-base-uncased")
    assert weights is not None
    assert weights.pinned
    assert (
        weights.folder
        == tmp_path / "hf/hub/models--google-bert--bert-base-uncased/snapshots" / entry("bert-base-uncased").revision
    )
    assert (weights.folder.parents[1] / "refs/main").read_text(encoding="utf-8") == weights.folder.name
    assert everything(stick) == before


def test_what_is_still_missing_is_named(tmp_path: Path) -> None:
    place(tmp_path / "d", {"weights (1).safetensors": BERT["model.safetensors"]})
    adoption = adopt([tmp_path / "d/weights (1).safetensors"])
    assert adoption.complete == ()
    assert adoption.missing == {"bert-base-uncased": ("config.json", "vocab.txt", "tokenizer.json")}
    assert adoption.all_adopted


def test_a_second_time_nothing_is_copied(tmp_path: Path) -> None:
    place(tmp_path / "d", BERT)
    adopt([tmp_path / "d"])
    again = adopt([tmp_path / "d"])
    assert again.complete == ("bert-base-uncased",)
    assert [file.landed for file in again.files] == [()] * len(BERT)


def test_the_pickled_alternative_is_not_stored_beside_complete_weights(tmp_path: Path) -> None:
    adopt([place(tmp_path / "d", BERT)])
    adoption = adopt([place(tmp_path / "e", {"pytorch_model.bin": BERT_BIN})])
    assert adoption.files[0].kind == "right"
    assert adoption.files[0].landed == ()


def test_the_pickled_alternative_is_adopted_where_there_is_nothing_else(tmp_path: Path) -> None:
    files = {name: data for name, data in BERT.items() if name != "model.safetensors"}
    assert adopt([place(tmp_path / "d", {**files, "x.bin": BERT_BIN})]).complete == ("bert-base-uncased",)


def test_a_torch_file_lands_in_torchs_checkpoints_under_its_own_name(tmp_path: Path) -> None:
    adopt([place(tmp_path / "d", {"resnet.pth.download": RESNET_PTH})])
    assert (tmp_path / "torch/hub/checkpoints/r.pth").read_bytes() == RESNET_PTH


def test_a_zip_and_a_wheel_are_looked_into(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "bert.zip", {f"a/b/{name}": data for name, data in BERT.items()})
    members = {f"facenet_pytorch/data/{name}": data for name, data in MTCNN.items()}
    wheel = build_wheel(tmp_path, package="facenet-pytorch", version="2.6.0", members=members)
    adoption = adopt([archive, wheel])
    assert adoption.all_adopted
    assert set(adoption.complete) == {"bert-base-uncased", "mtcnn"}
    assert everything(tmp_path / "home/weights/mtcnn") == MTCNN
    assert verify(["mtcnn"]) == [(str(tmp_path / "home/weights/mtcnn" / name), "ok") for name in MTCNN]


def test_other_files_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    place(tmp_path / "d", {**BERT, "README.md": b"#", "notes.html": b"<html>", "tf_model.h5": b"tensorflow"})
    adoption = adopt([tmp_path / "d"])
    assert adoption.all_adopted
    assert [f.kind for f in adoption.files if f.kind != "right"] == ["unknown"]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("model.safetensors", b"X" * 3000, "damaged"),
        ("model.safetensors", b"<!doctype html>", "web page"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer"),
        ("holiday.jpg", b"\xff\xd8", "unknown"),
        ("x.zip", b"PK\x03\x04....", "truncated"),
    ],
)
def test_what_is_not_right_is_named_and_not_adopted(name: str, data: bytes, kind: str, tmp_path: Path) -> None:
    place(tmp_path / "d", {name: data})
    adoption = adopt([tmp_path / "d" / name])
    assert [file.kind for file in adoption.files] == [kind]
    assert not adoption.all_adopted
    assert not (tmp_path / "hf").exists()
    assert everything(tmp_path / "d") == {name: data}


def test_a_path_that_is_not_there_and_an_archive_of_nothing_are_named(tmp_path: Path) -> None:
    adoption = adopt([tmp_path / "nowhere", zipped(tmp_path / "x.zip", {"a.txt": b"a"}), place(tmp_path / "e", {})])
    assert [file.kind for file in adoption.files] == ["absent", "unknown", "unknown"]
    assert not adoption.all_adopted


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", r"..\evil", r"C:\evil"])
def test_a_member_that_leads_out_of_the_archive_is_refused(name: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, BERT["model.safetensors"])
    adoption = adopt([tmp_path / "x.zip"])
    assert "refused" in {file.kind for file in adoption.files}
    assert not adoption.all_adopted
    assert not list(tmp_path.rglob("evil*"))


def test_an_archive_that_claims_more_than_the_catalog_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trisent.weights.members.entries", lambda: (entry("mtcnn"),))
    monkeypatch.setattr("trisent.weights.members.lookalikes", tuple)
    files = {f"{i}.pt": b"x" * 50 for i in range(9)}  # mtcnn: 30 + 40 + 50 bytes, twice
    from contextlib import ExitStack

    with ExitStack() as stack:
        items = list(members(zipped(tmp_path / "bomb.zip", files), stack))
    assert len(items) == 5
    assert isinstance(items[-1], Refused)


def test_a_member_of_a_length_nobody_knows_is_not_unpacked(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte of zip costs no more than its first kilobytes."""
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("z.pt", "w") as out:
        for _ in range(64):
            out.write(bytes(1 << 20))
    reads: list[int] = []
    read = zipfile.ZipExtFile.read

    def count(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = read(self, n)
        reads.append(len(data))
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile.ZipExtFile, "read", count)
        adopt([tmp_path / "bomb.zip"])
    assert sum(reads) < 1 << 16


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"model.safetensors": os.urandom(3000)})
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    assert next(file.kind for file in adopt([path]).files) == "damaged"


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_adopt_and_verify_execute_nothing_of_a_malicious_checkpoint(tmp_path: Path) -> None:
    torch_like = io.BytesIO()
    with zipfile.ZipFile(torch_like, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb()))
    place(tmp_path / "d", {"pytorch_model.bin": pickle.dumps(_Bomb()), "r.pth": torch_like.getvalue()})
    adopt([tmp_path / "d", tmp_path / "d/r.pth"])
    place(Path("models/bert-base-uncased"), {**BERT, "model.safetensors": pickle.dumps(_Bomb())})
    verify()
    assert not Path("executed").exists()


def test_an_unreadable_file_is_named_and_the_others_are_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trisent.weights.recognise import Item

    place(tmp_path / "d", BERT)
    of_file = Item.of_file

    def deny(path: Path) -> Item:
        if path.name == "vocab.txt":
            raise PermissionError(13, "Permission denied")
        return of_file(path)

    monkeypatch.setattr(Item, "of_file", deny)
    adoption = adopt([tmp_path / "d"])
    assert [f.source for f in adoption.files if f.kind == "unreadable"] == [str(tmp_path / "d/vocab.txt")]
    assert adoption.missing == {"bert-base-uncased": ("vocab.txt",)}


def test_a_disk_without_room_is_named_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from trisent.errors import WeightsError

    place(tmp_path / "d", BERT)
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(WeightsError, match="0 MB are free"):
        adopt([tmp_path / "d/model.safetensors"])
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.is_file()]


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Give MiniLM weights of its own and BERT's vocabulary, as in the real catalog."""
    files = {"model.safetensors": b"M" * 700, "vocab.txt": BERT["vocab.txt"]}
    module = importlib.import_module("trisent.weights.catalog")
    table = dict(module._catalog())
    roles = {"model.safetensors": "weights", "vocab.txt": "tokenizer"}
    pins = tuple(pinned(name, data, role=roles[name]) for name, data in files.items())
    table["minilm-l6"] = dataclasses.replace(table["minilm-l6"], files=pins)
    monkeypatch.setattr(module, "_catalog", lambda: table)
    return files


def test_a_file_of_two_models_goes_to_the_one_whose_weights_come_along(
    minilm: dict[str, bytes], tmp_path: Path
) -> None:
    adoption = adopt([place(tmp_path / "d", minilm)])
    assert adoption.complete == ("minilm-l6",)
    assert adoption.missing == {}
    assert not (tmp_path / "hf").exists()


def test_a_file_of_two_models_goes_to_both_when_both_come_along(minilm: dict[str, bytes], tmp_path: Path) -> None:
    place(tmp_path / "d/a", minilm)
    zipped(tmp_path / "d/b.zip", BERT)
    assert set(adopt([tmp_path / "d"]).complete) == {"minilm-l6", "bert-base-uncased"}


def test_a_file_of_two_models_that_comes_alone_is_kept_for_both(minilm: dict[str, bytes], tmp_path: Path) -> None:
    adoption = adopt([place(tmp_path / "d", {"x": minilm["vocab.txt"]})])
    assert set(adoption.missing) == {"minilm-l6", "bert-base-uncased"}
