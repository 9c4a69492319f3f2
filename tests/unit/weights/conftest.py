"""Every test here has a home, caches and a current folder of its own, entries of a few bytes, and no internet."""

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import forget_settings
from trisent.weights.catalog import File
from unit.weights.hub_server import HubServer, hub_server
from unit.weights.tiny import RESNET_PTH, RESNET_SAFETENSORS, bert_files, mtcnn_files, pinned


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test empty caches, an empty current folder, no checkout, and no public hub."""
    forget_settings(monkeypatch, tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    # By name: `trisent.weights.find` the attribute is the function, not the module.
    for module in ("find", "places"):
        monkeypatch.setattr(importlib.import_module(f"trisent.weights.{module}"), "checkout", lambda: None)
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", ())
    monkeypatch.setattr("trisent.weights.order._records", {})


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as running:
        yield running


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, server: HubServer) -> None:
    """Shrink three entries of the catalog to a few bytes: bert-base-uncased, resnet50 and mtcnn."""
    module = importlib.import_module("trisent.weights.catalog")
    table = dict(module._catalog())

    def shrink(name: str, files: tuple[File, ...], **fields: str) -> None:
        table[name] = dataclasses.replace(table[name], files=files, **fields)

    alternative = dataclasses.replace(
        table["resnet50"].files[1], **_size_and_digest(pinned("model.safetensors", RESNET_SAFETENSORS))
    )
    shrink("bert-base-uncased", bert_files())
    shrink("mtcnn", mtcnn_files())
    shrink("resnet50", (pinned("r.pth", RESNET_PTH), dataclasses.replace(alternative, instead_of="r.pth")),
           url=f"{server.url}/models/r.pth")  # fmt: skip
    monkeypatch.setattr(module, "_catalog", lambda: table)


def _size_and_digest(file: File) -> dict[str, object]:
    return {"bytes": file.bytes, "sha256": file.sha256}
