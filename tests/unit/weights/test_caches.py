"""What the doctor finds lying about: full volumes, downloads nobody will finish, models stored twice."""

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from trisent.weights.caches import look_at_disks, look_at_leftovers

A_MONTH_AGO = time.time() - 30 * 24 * 3600


def write(path: Path, size: int, *, modified: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    if modified is not None:
        os.utime(path, (modified, modified))
    return path


def test_one_volume_is_one_finding_that_names_all_that_lies_on_it() -> None:
    [finding] = look_at_disks()
    assert all(name in finding.subject for name in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME"))


def test_a_full_volume_is_mended_by_pointing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    [finding] = look_at_disks()
    assert finding.state == "disk"
    assert "TRISENT_HOME" in finding.fix


def test_nothing_lies_about_in_empty_caches() -> None:
    assert look_at_leftovers() == []


@pytest.mark.skipif(os.name == "nt", reason="the fix is spelt for a POSIX shell")
def test_the_hub_librarys_orphans_are_counted_and_the_fix_removes_them_alone(tmp_path: Path) -> None:
    blobs = tmp_path / "hf" / "hub" / "models--ORG--NAME" / "blobs"
    orphan = write(blobs / "abc.12345678.incomplete", 3_000_000, modified=A_MONTH_AGO)
    fresh = write(blobs / "def.12345678.incomplete", 10)
    sound = write(blobs / "0123", 10, modified=A_MONTH_AGO)
    [finding] = look_at_leftovers()
    assert finding.state == "orphans"
    assert finding.detail.startswith("1 unfinished downloads of huggingface_hub, 3 MB")
    subprocess.run(shlex.split(finding.fix), check=True)
    assert (orphan.exists(), fresh.exists(), sound.exists()) == (False, True, True)


def test_a_part_of_ours_is_an_orphan_after_a_week_only(tmp_path: Path) -> None:
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    part = write(checkpoints / ".resnet50.pth.0123456789ab.part", 10)
    assert look_at_leftovers() == []
    os.utime(part, (A_MONTH_AGO, A_MONTH_AGO))
    assert [finding.state for finding in look_at_leftovers()] == ["orphans"]


def test_a_model_under_its_old_and_its_new_name_is_stored_twice(tmp_path: Path) -> None:
    hub = tmp_path / "hf" / "hub"
    write(hub / "models--google-bert--bert-base-uncased" / "snapshots" / "c" / "config.json", 10)
    write(hub / "models--bert-base-uncased" / "blobs" / "68d4", 5_000_000)
    [finding] = look_at_leftovers()
    assert (finding.state, finding.detail.startswith("5 MB")) == ("duplicates", True)
    assert finding.subject.endswith("models--bert-base-uncased")
    assert "models--bert-base-uncased" in finding.fix


def test_a_model_under_its_old_name_alone_is_no_duplicate(tmp_path: Path) -> None:
    write(tmp_path / "hf" / "hub" / "models--bert-base-uncased" / "blobs" / "68d4", 10)
    assert look_at_leftovers() == []
