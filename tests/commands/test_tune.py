"""`trisent tune`, and training with what it found; `trisent train --finetune`, and judging a video with it."""

import json
import tomllib
from pathlib import Path

import pytest

import media_files
from commands.conftest import Run
from unit.extractors import tiny


@pytest.mark.slow
def test_the_settings_that_tune_found_are_what_train_takes(trisent: Run, tmp_path: Path) -> None:
    assert trisent("data", "sample", "data").returncode == 0
    words = ("tune", "data", "--trials", 2, "--epochs", 2, "--out", "found", "--device", "cpu")
    done = trisent(*words, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len([line for line in done.stderr.splitlines() if line.startswith("trial ")]) == 2
    assert (
        tomllib.loads((tmp_path / "found/best.toml").read_text())["train"]["lr"] == told["best"]["settings"]["train.lr"]
    )

    shown = trisent(*words)  # nothing is left to try
    assert shown.returncode == 0, shown.stderr
    assert "next: trisent train data --config" in shown.stdout

    done = trisent("train", "data", "--config", "found/best.toml", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout)["scores"]["valid"]["mae"] - told["best"]["score"]) < 1e-6


def test_a_text_encoder_learns_from_a_table_and_judges_a_video(trisent: Run, tmp_path: Path) -> None:
    tiny.bert(tmp_path / "tiny")
    (tmp_path / "table.csv").write_text(
        "video_id,clip_id,text,label,mode\n"
        + "".join(f"{mode}{i},0,{'good' if i % 2 else 'bad'} film,{2 * (i % 2) - 1},{mode}\n"
                  for mode in ("train", "valid") for i in range(6))
    )  # fmt: skip
    words = ("train", "table.csv", "--finetune", "lora", "--text", "./tiny", "--epochs", 1, "--device", "cpu")
    done = trisent(*words, "--out", "run", TRISENT_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "next: trisent predict --bundle run VIDEO" in done.stdout
    assert json.loads((tmp_path / "run/run.json").read_text())["settings"]["finetune"]["method"] == "lora"
    media_files.write(tmp_path / "talk.mp4", pictures=media_files.greys(25), sound=media_files.tone(1.0))
    done = trisent("predict", "talk.mp4", "--bundle", "run", "--text", "good film", "--json", TRISENT_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    [utterance] = json.loads(done.stdout)["videos"][0]["utterances"]
    assert -3 <= utterance["sentiment"] <= 3


def test_naming_an_encoder_without_saying_how_it_learns_is_one_line(trisent: Run) -> None:
    assert trisent("data", "sample", "data").returncode == 0
    done = trisent("train", "data", "--text", "minilm-l6")
    assert done.returncode == 2
    assert "--finetune full" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
