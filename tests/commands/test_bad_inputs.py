"""The twelve files that people bring and that break tools: none gives a traceback, the good ones are judged."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import media_files
from commands.conftest import ROOT

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("embedded_weights")]

UNREADABLE = ("a_directory", "a_text_file_named_mp4", "zero_bytes", "a_truncated_mp4")
JUDGED = (
    "no_audio",
    "no_video",
    "a_fifth_of_a_second",
    "four_k",
    "rotated_by_90",
    "eight_khz_mono",
    "variable_frame_rate",
    "unicode_and_blank",
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], subprocess.CompletedProcess[str]]:
    """Give all twelve to one `trisent predict`, as one would a folder of downloads."""
    import os
    import sys

    folder = tmp_path_factory.mktemp("media")
    paths = {}
    for name in (*UNREADABLE, *JUDGED):
        (folder / name).mkdir()
        paths[name] = getattr(media_files, name)(folder / name)
    command = [sys.executable, "-m", "trisent", "--lang", "en", "predict", *map(str, paths.values()), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return paths, subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


Judged = tuple[dict[str, Path], subprocess.CompletedProcess[str]]


def test_the_run_ends_with_exit_code_1_and_no_traceback(judged: Judged) -> None:
    _, done = judged
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_one_clean_line(judged: Judged, name: str) -> None:
    paths, done = judged
    lines = [line for line in done.stderr.splitlines() if str(paths[name]) in line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")


def video(judged: Judged, name: str) -> dict[str, Any]:
    paths, done = judged
    found = [v for v in json.loads(done.stdout)["videos"] if v["path"] == str(paths[name])]
    assert len(found) == 1, done.stderr
    return dict(found[0])


@pytest.mark.parametrize("name", JUDGED)
def test_a_readable_file_is_judged_on_what_it_has(judged: Judged, name: str) -> None:
    found = video(judged, name)
    assert found["utterances"]
    for utterance in found["utterances"]:
        assert set(utterance["modalities"]) | set(utterance["missing"]) == {"text", "audio", "video"}
        assert -3 <= utterance["sentiment"] <= 3


def test_what_is_missing_is_said(judged: Judged) -> None:
    assert video(judged, "no_audio")["missing"]["audio"] == "no audio stream"
    assert video(judged, "no_video")["missing"]["video"] == "no video stream"
