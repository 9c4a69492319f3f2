"""The test log only ever grows, and counts for one model."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trisent.errors import BundleError
from trisent.runs.openings import LOG, count_openings, record_opening


def opened(folder: Path, model: str = "m") -> int:
    return record_opening(folder, model=model, data="d", predictions="p")


def test_every_opening_is_a_line_and_the_count_grows(tmp_path: Path) -> None:
    assert count_openings(tmp_path, model="m") == 0
    assert [opened(tmp_path), opened(tmp_path), opened(tmp_path)] == [1, 2, 3]
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text(encoding="utf-8").splitlines()]
    keys = {"time", "model_sha256", "data_sha256", "predictions_sha256", "trisent"}
    assert [line.keys() for line in lines] == [keys] * 3


def test_other_weights_in_the_same_folder_are_counted_anew_and_the_old_lines_stay(tmp_path: Path) -> None:
    opened(tmp_path, "old")
    assert opened(tmp_path, "new") == 1
    assert opened(tmp_path, "old") == 2
    assert len((tmp_path / LOG).read_text(encoding="utf-8").splitlines()) == 3


def test_a_line_torn_by_a_crash_counts_and_does_not_swallow_the_next(tmp_path: Path) -> None:
    opened(tmp_path)
    whole = (tmp_path / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(whole + whole[: len(whole) // 2])
    assert opened(tmp_path) == 3
    assert (tmp_path / LOG).read_bytes().startswith(whole)


def test_without_a_log_that_can_be_written_test_stays_shut(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    with pytest.raises(BundleError, match="test is not opened without a line in it"):
        opened(tmp_path)


def test_openings_at_the_same_moment_are_all_counted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        counts = list(workers.map(lambda _: opened(tmp_path), range(80)))
    assert max(counts) == count_openings(tmp_path, model="m") == 80
    assert len((tmp_path / LOG).read_text(encoding="utf-8").splitlines()) == 80
