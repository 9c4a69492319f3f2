"""A mirror that people really run: olah, as a cache in front of a hub and as a server of folders."""

import random
import shutil
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import try_to_load_from_cache
from safetensors.numpy import save

from faults.fetching import MB, part_of
from faults.server import closed_port
from loopback import COMMIT
from trisent.errors import WeightsError
from trisent.weights import pull
from trisent.weights.download import download
from unit.weights.hub_server import Fault, HubServer, hub_server

pytestmark = pytest.mark.slow

REPO = "org/name"
BIG = save({"w": np.frombuffer(random.Random(5).randbytes(3 * MB), np.uint8)})
FILES = {"config.json": b'{"model_type": "bert"}', "vocab.txt": b"[PAD]\n[UNK]\n", "model.safetensors": BIG}
RIGHT = {name: sha256(data).hexdigest() for name, data in FILES.items()}
START_S = 60


@pytest.fixture(scope="session")
def olah(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the mirror into an environment of its own; gives its command."""
    folder = tmp_path_factory.mktemp("olah")
    try:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "olah==0.5.4"]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"olah cannot be installed here: {error} {getattr(error, 'stderr', '')}")
    return folder / "bin" / "olah-cli"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Run the hub that the mirror is in front of."""
    with hub_server() as running:
        running.add_repo(REPO, FILES)
        yield running


@contextmanager
def mirror(olah: Path, folder: Path, *options: str, port: int) -> Iterator[str]:
    """Run the mirror until the block ends; gives its address once it answers."""
    command = [str(olah), "--host", "127.0.0.1", "--port", str(port), *options]
    command += ["--repos-path", str(folder / "olah-repos"), "--log-path", str(folder / "olah-logs")]
    with (folder / "olah.txt").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            assert running.poll() is None, (folder / "olah.txt").read_text()
            assert time.monotonic() < deadline, "olah does not answer"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def caching(olah: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the mirror as a cache of `hub`, and make it the only hub there is."""
    port = _free_port()
    places = ["--hf-scheme", "http", "--hf-netloc", hub.host, "--hf-lfs-netloc", hub.host]
    places += ["--mirror-netloc", f"127.0.0.1:{port}", "--mirror-lfs-netloc", f"127.0.0.1:{port}"]
    with mirror(olah, tmp_path, *places, port=port) as url:
        _use(url, monkeypatch)
        yield url


@pytest.fixture
def offline(olah: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the mirror over a folder with a git repository, without any hub, and make it the only hub there is."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "mirrors" / "models" / REPO
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    for words in ("init -q -b main", "add .", "-c user.name=T -c user.email=t@example.invalid commit -q -m Files"):
        subprocess.run(["git", *words.split()], cwd=folder, check=True)
    config = tmp_path / "olah.toml"
    config.write_text(f"[basic]\nmirrors-path = ['{tmp_path / 'mirrors'}']\n[accessibility]\noffline = true\n")
    with mirror(olah, tmp_path, "--config", str(config), port=_free_port()) as url:
        _use(url, monkeypatch)
        yield url


def _free_port() -> int:
    return int(closed_port().rpartition(":")[2])


def _use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", ())


def in_hub_cache(home: Path) -> dict[str, str]:
    """Give the digests of what huggingface_hub finds in its cache."""
    found = {name: try_to_load_from_cache(REPO, name, cache_dir=home / "hub") for name in FILES}
    return {name: sha256(Path(path).read_bytes()).hexdigest() for name, path in found.items() if isinstance(path, str)}


@pytest.mark.usefixtures("caching")
def test_a_caching_mirror_delivers_right_files_and_asks_its_hub_once(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull([REPO])
    assert in_hub_cache(tmp_path / "hf") == RIGHT
    asked = len(hub.gets("/resolve/"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "another"))
    pull([REPO])
    assert in_hub_cache(tmp_path / "another") == RIGHT
    assert len(hub.gets("/resolve/")) == asked


def test_a_download_is_taken_up_where_it_ended(caching: str, place: Path) -> None:
    part, seen = part_of(place, BIG), list[int]()
    part.path.parent.mkdir()
    part.path.write_bytes(BIG[: 2 * MB])
    url = f"{caching}/{REPO}/resolve/{COMMIT}/model.safetensors"
    download([url], place, bytes=len(BIG), sha256=part.digest, on_progress=lambda _, done, __: seen.append(done))
    assert place.read_bytes() == BIG
    assert min(seen) > 2 * MB


@pytest.mark.usefixtures("caching")
def test_wrong_bytes_that_the_mirror_has_cached_are_never_installed(hub: HubServer, tmp_path: Path) -> None:
    """What olah reads once it serves for ever, without a look at the digest."""
    hub.faults = [Fault("wrong", "model.safetensors", times=2)]
    with pytest.raises(WeightsError, match="wrong bytes"):
        pull([REPO])
    assert "model.safetensors" not in in_hub_cache(tmp_path / "hf")


@pytest.mark.usefixtures("offline")
def test_a_mirror_of_folders_that_knows_no_sha256_delivers_right_files(tmp_path: Path) -> None:
    pull([REPO])
    assert in_hub_cache(tmp_path / "hf") == RIGHT
