"""A folder for a stick, and the server of such a folder, seen by a plain HTTP client."""

import dataclasses
import hashlib
import http.client
import importlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trisent.errors import UsageError, WeightsError
from trisent.weights import Entry, adopt, entry, export, find, pull, serve
from trisent.weights.room import room_urls
from trisent.weights.served import ModelServer
from unit.weights.hub_server import HubServer
from unit.weights.tiny import BERT, MTCNN, RESNET_PTH, place

pytestmark = pytest.mark.usefixtures("tiny")

REPO = "google-bert/bert-base-uncased"
NAMES = ("bert-base-uncased", "resnet50", "mtcnn")


@pytest.fixture
def here(tmp_path: Path) -> None:
    """Have three models on this machine, each in its cache."""
    adopt([place(tmp_path / "source/b", BERT), place(tmp_path / "source/m", {**MTCNN, "r": RESNET_PTH})])


@pytest.fixture
def stick(tmp_path: Path, here: None) -> Path:  # noqa: ARG001
    return export(tmp_path / "U 盘", NAMES).folder


@pytest.fixture
def started() -> Iterator[Callable[[Path], ModelServer]]:
    servers: list[tuple[ModelServer, threading.Thread]] = []

    def start(folder: Path) -> ModelServer:
        server = serve(folder, port=0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


Asked = tuple[int, dict[str, str], bytes]


def ask(server: ModelServer, path: str, *, method: str = "GET", **headers: str) -> Asked:
    """Send `path` as it is: http.client does not tidy it up."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def test_the_layout_is_the_hubs_own(stick: Path) -> None:
    revision = entry(REPO).revision
    files = {p.relative_to(stick).as_posix() for p in stick.rglob("*") if p.is_file()}
    bert = {f"{REPO}/resolve/{revision}/{name}" for name in BERT}
    assert files == bert | {"models/r.pth", "README.txt", "SHA256SUMS"} | {f"packages/mtcnn/{n}" for n in MTCNN}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_itself_finds_everything_right(stick: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=stick, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == len(BERT) + len(MTCNN) + 1


def test_the_readme_says_in_both_languages_what_to_do(stick: Path) -> None:
    text = (stick / "README.txt").read_text(encoding="utf-8")
    assert "导入" in text
    assert "trisent weights adopt" in text
    assert "HF_ENDPOINT=http://ADDRESS:8000 trisent weights pull bert-base-uncased resnet50 mtcnn\n" in text


def test_adopting_the_stick_elsewhere_makes_every_model_complete(
    stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "other" / variable))
    assert find("bert-base-uncased") is None
    adoption = adopt([stick])
    assert set(adoption.complete) == set(NAMES)
    assert adoption.all_adopted


def test_a_second_export_copies_nothing_and_keeps_what_was_there(stick: Path) -> None:
    assert export(stick, ["mtcnn"]).copied_bytes == 0
    assert (stick / "SHA256SUMS").read_text(encoding="utf-8").count("\n") == len(BERT) + len(MTCNN) + 1


def test_what_is_not_here_is_refused_before_anything_is_written(tmp_path: Path, here: None) -> None:  # noqa: ARG001
    with pytest.raises(WeightsError, match="trisent weights pull wav2vec2-base"):
        export(tmp_path / "x", ["bert-base-uncased", "wav2vec2-base"])
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError):
        export(tmp_path / "x")


def test_an_export_that_fails_half_way_takes_its_files_away(
    tmp_path: Path,
    here: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place(tmp_path / "x", {"mine.txt": b"mine"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importlib.import_module("trisent.weights.export"), "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        export(tmp_path / "x", NAMES)
    assert [p.name for p in (tmp_path / "x").rglob("*")] == ["mine.txt"]


def test_a_file_of_somebody_in_the_way_is_not_overwritten(tmp_path: Path, here: None) -> None:  # noqa: ARG001
    place(tmp_path / "x/models", {"r.pth": b"mine"})
    with pytest.raises(WeightsError, match="in the way"):
        export(tmp_path / "x", ["resnet50"])
    assert (tmp_path / "x/models/r.pth").read_bytes() == b"mine"


def test_a_file_is_given_with_what_the_hub_says_of_it(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    server = started(stick)
    digest = hashlib.sha256(BERT["model.safetensors"]).hexdigest()
    for revision in ("main", entry(REPO).revision):
        for method in ("HEAD", "GET"):
            status, headers, body = ask(server, f"/{REPO}/resolve/{revision}/model.safetensors", method=method)
            assert status == 200
            assert headers["x-repo-commit"] == entry(REPO).revision
            assert headers["etag"] == f'"{digest}"'
            assert headers["x-linked-size"] == headers["content-length"] == "3000"
            assert headers["accept-ranges"] == "bytes"
            assert body == (BERT["model.safetensors"] if method == "GET" else b"")
    _, headers, _ = ask(server, f"/{REPO}/resolve/main/config.json")
    assert headers["etag"] == '"9e26dfeeb6e641a33dae4961196235bdb965b21b"'  # what git hash-object says of {}


@pytest.mark.parametrize(
    ("asked", "status", "span", "length"),
    [
        ("bytes=0-9", 206, "bytes 0-9/3000", 10),
        ("bytes=2990-", 206, "bytes 2990-2999/3000", 10),
        ("bytes=0-", 206, "bytes 0-2999/3000", 3000),
        ("bytes=2990-9999", 206, "bytes 2990-2999/3000", 10),
        ("bytes=-5", 206, "bytes 2995-2999/3000", 5),
        ("bytes=-9999", 206, "bytes 0-2999/3000", 3000),
        ("bytes=3000-", 416, "bytes */3000", 0),
        ("bytes=-0", 416, "bytes */3000", 0),
        ("bytes=9-3", 200, None, 3000),
        ("bytes=0-1,5-6", 200, None, 3000),
        ("lines=1-2", 200, None, 3000),
    ],
)
def test_ranges(
    asked: str, status: int, span: str | None, length: int, stick: Path, started: Callable[[Path], ModelServer]
) -> None:
    got, headers, body = ask(started(stick), f"/{REPO}/resolve/main/model.safetensors", Range=asked)
    assert (got, headers.get("content-range"), len(body)) == (status, span, length)
    assert headers["content-length"] == str(length)


def test_the_json_of_a_repository(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    server = started(stick)
    revision = entry(REPO).revision
    about = json.loads(ask(server, f"/api/models/{REPO}/revision/main")[2])
    assert (about["id"], about["sha"]) == (REPO, revision)
    assert {one["rfilename"] for one in about["siblings"]} == set(BERT)
    assert json.loads(ask(server, f"/api/models/{REPO}")[2])["sha"] == revision
    tree = json.loads(ask(server, f"/api/models/{REPO}/tree/{revision}?recursive=true&expand=false")[2])
    assert {row["path"]: row["size"] for row in tree} == {name: len(data) for name, data in BERT.items()}
    (large,) = [row for row in tree if "lfs" in row]
    assert large["lfs"]["oid"] == hashlib.sha256(BERT["model.safetensors"]).hexdigest()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/models/nobody/nothing/revision/main", "RepoNotFound"),
        ("/nobody/nothing/resolve/main/config.json", "RepoNotFound"),
        (f"/{REPO}/resolve/{'d' * 40}/config.json", "RevisionNotFound"),
        (f"/api/models/{REPO}/tree/{'d' * 40}", "RevisionNotFound"),
        (f"/{REPO}/resolve/main/absent.json", "EntryNotFound"),
        ("/nothing", "EntryNotFound"),
    ],
)
def test_what_is_absent_is_named_as_the_hub_does(
    path: str, code: str, stick: Path, started: Callable[[Path], ModelServer]
) -> None:
    status, headers, _ = ask(started(stick), path)
    assert status == 404
    assert headers["x-error-code"] == code


def test_the_old_name_leads_to_the_new_one(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    server = started(stick)
    status, headers, _ = ask(server, "/bert-base-uncased/resolve/main/config.json", method="HEAD")
    assert (status, headers["location"]) == (307, f"/{REPO}/resolve/main/config.json")
    assert ask(server, "/api/models/bert-base-uncased/revision/main")[0] == 307


def test_a_browser_gets_lists_and_files(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    server = started(stick)
    assert b'href="/models/"' in ask(server, "/")[2]
    assert b'href="/models/r.pth"' in ask(server, "/models/")[2]
    assert ask(server, "/models/r.pth")[2] == RESNET_PTH
    assert "导入" in ask(server, "/README.txt")[2].decode()


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/models/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/models/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//secret.txt",
        "/secret.txt",
        "/..\\secret.txt",
        f"/{REPO}/resolve/main/../../../../../secret.txt",
        f"/{REPO}/resolve/main/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt",
        f"/{REPO}/resolve/../config.json",
        "/mine.txt",
        "/link.pth",
        "/folder/link.pth",
        "/etc/passwd",
        "/%00",
    ],
)
def test_no_path_leads_out_of_what_was_exported(path: str, stick: Path, started: Callable[[Path], ModelServer]) -> None:
    secret = stick.parent / "secret.txt"
    secret.write_bytes(b"secret")
    (stick / "mine.txt").write_bytes(b"secret")  # in the folder, but never exported
    (stick / "link.pth").symlink_to(secret)
    (stick / "folder").symlink_to(stick.parent)
    digest = hashlib.sha256(b"secret").hexdigest()
    with (stick / "SHA256SUMS").open("a", encoding="utf-8") as sums:  # a stick that lies
        for name in ("../secret.txt", "/etc/passwd", str(secret), "link.pth", "folder/secret.txt", "C:\\secret.txt"):
            sums.write(f"{digest}  {name}\n")
    status, _, body = ask(started(stick), path)
    assert status == 404
    assert b"secret\n" not in body + b"\n"
    assert b"root:" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/api/models/bert-base-uncased/revision/x%0d%0aX-Evil:%201",
        "/bert-base-uncased/resolve/main/x%0d%0aX-Evil:%201",
        "/bert-base-uncased/resolve/%7b%7d/%7b0%7d",
        f"/{REPO}/resolve/main/x%0d%0aX-Evil:%201",
        "/%0d%0aX-Evil:%201",
    ],
)
def test_no_path_writes_headers(path: str, stick: Path, started: Callable[[Path], ModelServer]) -> None:
    status, headers, _ = ask(started(stick), path)
    assert status in (307, 404)
    assert "x-evil" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_read_only(method: str, stick: Path, started: Callable[[Path], ModelServer]) -> None:
    assert ask(started(stick), "/models/r.pth", method=method)[0] == 501
    assert (stick / "models/r.pth").read_bytes() == RESNET_PTH


def test_a_damaged_file_is_not_given_on(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    (stick / "models/r.pth").write_bytes(b"?" * len(RESNET_PTH))
    server = started(stick)
    assert server.shelf.broken == ["models/r.pth"]
    assert ask(server, "/models/r.pth")[0] == 404


def test_it_listens_on_loopback_alone_unless_told_otherwise(stick: Path) -> None:
    with serve(stick, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_folder_that_was_not_exported_and_a_port_in_use_are_refused(stick: Path, tmp_path: Path) -> None:
    place(tmp_path / "plain", BERT)
    with pytest.raises(WeightsError, match="holds no SHA256SUMS"):
        serve(tmp_path / "plain", port=0)
    with serve(stick, port=0) as server, pytest.raises(WeightsError, match="--port"):
        serve(stick, port=int(server.server_address[1]))


def test_several_clients_are_served_at_once(stick: Path, started: Callable[[Path], ModelServer]) -> None:
    server = started(stick)
    # One client that says nothing does not keep the others waiting.
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)) as silent:
        silent.connect()
        assert ask(server, "/models/r.pth")[0] == 200


def test_the_room_gets_every_model_from_one_machine_without_internet_or_package_index(
    stick: Path, started: Callable[[Path], ModelServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "other" / variable))
    monkeypatch.setenv("HF_ENDPOINT", started(stick).url)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("pip was started"))
    monkeypatch.setattr("trisent.weights.catalog._catalog", _without_addresses())
    events: list[tuple[str, int, int]] = []
    pulled = pull(NAMES, on_progress=lambda *event: events.append(event))
    assert all(weights.pinned for weights in pulled)
    assert events[-1] == ("mtcnn", 120, 120)


def _without_addresses() -> Callable[[], dict[str, Entry]]:
    """Give the catalog, its direct address leading nowhere."""
    table = dict(importlib.import_module("trisent.weights.catalog")._catalog())
    table["resnet50"] = dataclasses.replace(table["resnet50"], url="http://127.0.0.1:9/models/r.pth")
    return lambda: table


def test_a_hub_without_embedded_weights_leaves_the_way_to_the_package_index_open(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr("trisent.weights.package_index.pip_is_here", lambda: False)
    with pytest.raises(WeightsError, match="package index"):
        pull(["mtcnn"])
    assert len(server.gets("/packages/")) == 1


def test_the_public_hubs_are_not_asked_for_embedded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    mtcnn = entry("mtcnn")
    for address in ("", "https://hf-mirror.com", "https://huggingface.co/ ", "hf-mirror.com", "nonsense"):
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert room_urls(mtcnn, mtcnn.files[0]) == []
