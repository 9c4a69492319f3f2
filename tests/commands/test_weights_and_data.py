"""`trisent weights …` and `trisent data …`."""

import json
from pathlib import Path

import pytest

from commands.conftest import Run


def test_list_names_every_model_of_both_presets(trisent: Run) -> None:
    rows = json.loads(trisent("weights", "list", "--json").stdout)
    names = {row["name"] for row in rows}
    assert {"minilm-l6", "whisper-tiny-en", "efficientnet-lite0", "mtcnn", "mini-xception"} <= names
    assert {"bert-base-uncased", "wav2vec2-base", "resnet50"} <= names
    assert all(row["state"] in {"here", "not here", "damaged"} for row in rows)


def test_list_prints_a_table_in_chinese(trisent: Run) -> None:
    assert "许可" in trisent("--lang", "zh", "weights", "list").stdout


def test_pulling_an_unknown_name_offers_what_comes_close(trisent: Run) -> None:
    done = trisent("weights", "pull", "minilm-l5")
    assert done.returncode == 1
    assert "minilm-l6" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_pull_without_a_name_is_wrong_use(trisent: Run) -> None:
    assert trisent("weights", "pull").returncode == 2


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_pulling_what_is_here_fetches_nothing_and_says_where_it_is(trisent: Run) -> None:
    done = trisent("weights", "pull", "--preset", "embedded", "--json", PIP_NO_INDEX="1", PIP_FIND_LINKS=None)
    assert done.returncode == 0, done.stderr
    pulled = json.loads(done.stdout)
    assert len(pulled) == 5
    assert all(w["pinned"] for w in pulled)


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_verify_hashes_what_is_here(trisent: Run) -> None:
    done = trisent("weights", "verify", "mtcnn", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["verdict"] for row in json.loads(done.stdout)] == ["ok", "ok", "ok"]


def test_verify_of_weights_that_are_not_here_fails(trisent: Run, tmp_path: Path) -> None:
    done = trisent("weights", "verify", "mtcnn", TRISENT_HOME=str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "missing" in done.stdout


def test_verify_finds_a_changed_byte(trisent: Run, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "weights" / "mtcnn"
    folder.mkdir(parents=True)
    (folder / "pnet.pt").write_bytes(b"not a network")
    done = trisent("weights", "verify", "mtcnn", TRISENT_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert "wrong" in done.stdout


def test_without_a_package_index_pull_is_one_line_that_names_the_doctor(trisent: Run, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    done = trisent("weights", "pull", "mtcnn", TRISENT_HOME=home, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "trisent weights doctor" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "home").rglob("*.pt"))


def test_doctor_answers_for_every_source_with_a_fix_for_each_trouble(trisent: Run) -> None:
    done = trisent("weights", "doctor", "--json", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert any("127.0.0.1:9" in f["subject"] for f in findings)
    assert all(f["state"] == "ok" or f["fix"] for f in findings)


def test_a_sample_data_set_says_it_is_synthetic_and_trains(trisent: Run, tmp_path: Path) -> None:
    assert "SYNTHETIC" in trisent("data", "sample", "sample").stdout
    done = trisent("train", "sample", "--epochs", "1", "--device", "cpu", "--json", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["synthetic"] is True
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_training_on_nothing_says_what_was_expected_and_how_to_get_a_sample(trisent: Run) -> None:
    done = trisent("train", "nowhere")
    assert done.returncode == 1
    assert "trisent data sample" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
