"""An exported folder, served: huggingface_hub, transformers and trisent itself fetch from it, and load what they have.

The other tools run in a process of their own, for they read their settings when they are imported.
"""

import dataclasses
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trisent.weights import adopt, ensure, entry, export, find, serve, where
from trisent.weights.served import ModelServer
from unit.extractors import tiny as checkpoints
from unit.weights.tiny import environment, pinned

REPO = "google-bert/bert-base-uncased"


@pytest.fixture
def bert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pin a BERT of 16 numbers a layer in the real one's place; return the folder it lies in."""
    folder = tmp_path / "made here"
    folder.mkdir()
    checkpoints.bert(folder)
    roles = {"model.safetensors": "weights", "config.json": "config"}
    files = tuple(
        pinned(path.name, path.read_bytes(), role=roles.get(path.name, "tokenizer"))
        for path in sorted(folder.iterdir())
    )
    module = importlib.import_module("trisent.weights.catalog")
    table = dict(module._catalog())
    table["bert-base-uncased"] = dataclasses.replace(table["bert-base-uncased"], files=files)
    monkeypatch.setattr(module, "_catalog", lambda: table)
    return folder


@pytest.fixture
def room(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """Serve the exported BERT; this machine's own caches are empty."""
    with monkeypatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path / "the other machine"))
        adopt([bert])
        folder = export(tmp_path / "教室", ["bert-base-uncased"]).folder
    with serve(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def child(code: str, **variables: str) -> dict[str, object]:
    """Run Python elsewhere; what it prints last is JSON."""
    settings = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(), **settings, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(document, dict)
    return document


FETCH = f"""
import json
from huggingface_hub import hf_hub_download, list_repo_files, snapshot_download
folder = snapshot_download({REPO!r})
again = hf_hub_download("bert-base-uncased", "config.json")  # by its old name
print(json.dumps({{"folder": folder, "old": again, "files": sorted(list_repo_files({REPO!r}))}}))
"""

LOAD = """
import json, socket, sys
def forbidden(*_, **__): raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = forbidden
from transformers import AutoModel, AutoTokenizer
sums = {}
for name in sys.argv[1:] or NAMES:
    model = AutoModel.from_pretrained(name)
    sums[name] = float(sum(p.double().abs().sum() for p in model.parameters()))
    assert AutoTokenizer.from_pretrained(name)("good film")["input_ids"]
print(json.dumps(sums))
"""


def test_the_hub_library_fetches_from_it_and_trisent_adopts_that_cache_with_nothing_fetched(
    room: ModelServer, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = child(FETCH, HF_ENDPOINT=room.url)
    assert fetched["files"] == sorted(path.name for path in bert.iterdir())
    snapshot = Path(str(fetched["folder"]))
    assert snapshot.name == entry(REPO).revision
    assert (snapshot / "model.safetensors").is_symlink()
    assert Path(str(fetched["old"])).read_bytes() == (bert / "config.json").read_bytes()
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    weights = ensure("bert-base-uncased")
    assert weights.pinned
    assert weights.folder == snapshot


def test_trisent_pulls_from_it_and_transformers_loads_that_offline_by_id_and_by_folder(
    room: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", room.url)
    weights = ensure("bert-base-uncased")
    assert weights.pinned
    names = [REPO, str(weights.folder)]
    sums = child(f"NAMES = {names!r}\n{LOAD}", HF_HUB_OFFLINE="1")
    assert sums[names[0]] == sums[names[1]]


def test_a_plain_web_server_serves_the_same_folder_to_trisent(
    room: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(room.shelf.folder))) as plain:
        thread = threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{plain.server_address[1]}")
        assert ensure("bert-base-uncased").pinned
        plain.shutdown()
        thread.join()


def test_an_uncatalogued_repository_travels_too(
    room: ModelServer, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del room
    snapshot = tmp_path / "hf/hub/models--someone--something/snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for path in bert.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes() + (b" " if path.suffix == ".json" else b""))
    folder = export(tmp_path / "stick", ["someone/something"]).folder
    with serve(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_HOME", str(tmp_path / "fresh"))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert ensure("someone/something").folder.name == "a" * 40
        server.shutdown()
        thread.join()


def test_where_and_find_agree_on_a_cache_of_the_hub_library(room: ModelServer, tmp_path: Path) -> None:
    child(FETCH, HF_ENDPOINT=room.url)
    (found,) = where(["bert-base-uncased"])
    weights = find("bert-base-uncased")
    assert weights is not None
    assert found.winner == weights.folder
    assert [place.state for place in found.places if tmp_path / "hf" in place.folder.parents] == ["right", "incomplete"]
