"""Entries of a few bytes, with the file names of the real ones."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import trisent
from trisent.weights.catalog import File

BERT = {"model.safetensors": b"W" * 3000, "config.json": b"{}", "vocab.txt": b"a\nb\n", "tokenizer.json": b"[]"}
BERT_BIN = b"B" * 3100
RESNET_PTH, RESNET_SAFETENSORS = b"P" * 2000, b"S" * 2100
MTCNN = {"pnet.pt": b"p" * 30, "rnet.pt": b"r" * 40, "onet.pt": b"o" * 50}


def pinned(path: str, data: bytes, **fields: str) -> File:
    """Pin `data` as a file of the catalog."""
    return File(path, len(data), hashlib.sha256(data).hexdigest(), **fields)  # type: ignore[arg-type]


def bert_files() -> tuple[File, ...]:
    roles = {"model.safetensors": "weights", "config.json": "config"}
    files = [pinned(path, data, role=roles.get(path, "tokenizer")) for path, data in BERT.items()]
    return (*files, pinned("pytorch_model.bin", BERT_BIN, instead_of="model.safetensors"))


def mtcnn_files() -> tuple[File, ...]:
    return tuple(pinned(path, data, member=f"facenet_pytorch/data/{path}") for path, data in MTCNN.items())


def environment() -> dict[str, str]:
    """Return the environment in which a child process, in whatever folder, imports this same trisent."""
    return {**os.environ, "PYTHONPATH": str(Path(trisent.__file__).resolve().parents[1])}


def place(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def build_wheel(folder: Path, *, package: str, version: str, members: dict[str, bytes]) -> Path:
    """Write a wheel that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{package.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **metadata}.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", "")
    wheel = folder / f"{stem}-py3-none-any.whl"
    wheel.write_bytes(buffer.getvalue())
    return wheel
