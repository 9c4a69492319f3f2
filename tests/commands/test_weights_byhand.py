"""`trisent weights where | adopt | export | serve | remove`, and what pull says beforehand."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from commands.conftest import ROOT, Run
from trisent.weights import entry

ONET = "onet.pt"


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """Name caches that are empty, and forbid the network."""
    variables = ("TRISENT_HOME", "HF_HOME", "TORCH_HOME")
    return {name: str(tmp_path / "caches" / name) for name in variables} | {"TRISENT_OFFLINE": "1"}


def test_where_names_every_place_in_order(trisent: Run, empty: dict[str, str]) -> None:
    done = trisent("weights", "where", "bert-base-uncased", "--json", **empty)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["winner"] is None
    assert [place["kind"] for place in found["places"]] == ["models", "models", "hub cache", "hub cache", "trisent"]
    assert "HF_HOME" in found["places"][2]["folder"]
    assert "hub cache" in trisent("weights", "where", "bert-base-uncased", **empty).stdout


def test_adopting_what_is_not_right_says_what_it_is_and_fails(
    trisent: Run, tmp_path: Path, empty: dict[str, str]
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"<!doctype html><title>log in</title>")
    done = trisent("weights", "adopt", "model.safetensors", **empty)
    assert done.returncode == 1
    assert "an HTML page" in done.stdout
    done = trisent("weights", "adopt", "model.safetensors", "nowhere", "--json", **empty)
    assert [file["kind"] for file in json.loads(done.stdout)["files"]] == ["web page", "absent"]


def test_export_of_nothing_and_serve_of_no_export_are_refused_in_one_line(
    trisent: Run, tmp_path: Path, empty: dict[str, str]
) -> None:
    assert trisent("weights", "export", "out", **empty).returncode == 2
    for words in (("export", "out", "mtcnn"), ("serve", str(tmp_path))):
        done = trisent("weights", *words, **empty)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1


def test_remove_without_a_name_is_wrong_use(trisent: Run) -> None:
    assert trisent("weights", "remove").returncode == 2


def test_offline_is_an_option_too(trisent: Run, empty: dict[str, str]) -> None:
    online = {**empty, "TRISENT_OFFLINE": None}
    for words in (("--offline", "weights", "pull", "resnet50"), ("weights", "pull", "--offline", "resnet50")):
        done = trisent(*words, **online)
        assert done.returncode == 1
        assert "TRISENT_OFFLINE forbids" in done.stderr


def test_a_dry_run_of_pull_says_what_would_be_fetched(trisent: Run, empty: dict[str, str]) -> None:
    done = trisent("weights", "pull", "--preset", "pretrained", "--dry-run", **empty)
    assert done.returncode == 0, done.stderr
    assert "bert-base-uncased: 5 files, 441.1 MB to fetch" in done.stdout
    assert "in all: 923.9 MB" in done.stdout  # 441,147,956 + 380,269,418 + 102,530,333 bytes
    planned = json.loads(trisent("weights", "pull", "resnet50", "--dry-run", "--json", **empty).stdout)
    assert planned["bytes"] == 102530333


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_from_export_over_a_server_to_another_machine_and_gone_again(
    trisent: Run, tmp_path: Path, empty: dict[str, str]
) -> None:
    done = trisent("weights", "export", "U 盘", "mtcnn", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["copied_bytes"] == sum(file.bytes for file in entry("mtcnn").files)
    done = trisent("weights", "adopt", "U 盘", **empty)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "mtcnn: complete and verified" in done.stdout
    assert trisent("weights", "verify", "mtcnn", **empty).returncode == 0
    done = trisent("weights", "remove", "mtcnn", "--dry-run", "--json", **empty)
    assert json.loads(done.stdout)["bytes"] == sum(file.bytes for file in entry("mtcnn").files)
    assert "freed 2.0 MB" in trisent("weights", "remove", "mtcnn", **empty).stdout
    assert trisent("weights", "verify", "mtcnn", **empty).returncode == 1
    assert (tmp_path / "U 盘" / "packages" / "mtcnn" / ONET).is_file()


@pytest.mark.embedded
def test_remove_asks_before_it_touches_a_cache_of_other_programs(
    trisent: Run, tmp_path: Path, empty: dict[str, str], embedded_weights: Mapping[str, Path]
) -> None:
    # MiniLM's vocabulary is BERT's; the only file of BERT that is on every machine.
    (tmp_path / "download").write_bytes((embedded_weights["minilm-l6"] / "vocab.txt").read_bytes())
    assert "bert-base-uncased: still missing" in trisent("weights", "adopt", "download", **empty).stdout
    done = trisent("weights", "remove", "bert-base-uncased", **empty)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert len(list((tmp_path / "caches/HF_HOME").rglob("vocab.txt"))) == 1
    assert "231508 bytes" in trisent("weights", "remove", "bert-base-uncased", "--yes", **empty).stdout
    assert not list((tmp_path / "caches/HF_HOME").rglob("vocab.txt"))


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a child there")
def test_serve_says_its_address_and_ends_cleanly_at_ctrl_c(trisent: Run, tmp_path: Path) -> None:
    trisent("weights", "export", "out", "mtcnn")
    command = [sys.executable, "-m", "trisent", "weights", "serve", "out", "--port", "0", "--json"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TRISENT_LANG": "en"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = server.stdout.readline()
            assert line, server.communicate()
            text += line
        url = json.loads(text)["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/packages/mtcnn/{ONET}", timeout=10) as answer:
            assert len(answer.read()) == next(file.bytes for file in entry("mtcnn").files if file.path == ONET)
        server.send_signal(signal.SIGINT)
        _, stderr = server.communicate(timeout=10)
        assert server.returncode == 0
        assert stderr.strip() == "stopped"
