"""Hashing happens once, and never for a file that has changed."""

import hashlib
import importlib
import json
import os
from pathlib import Path

import pytest

from trisent.weights.digests import digest_like, sha256

digests = importlib.import_module("trisent.weights.digests")

BIG = b"0123456789abcdef" * 80_000


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "大 文件.bin"
    path.write_bytes(BIG)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    digests._seen.clear()
    return path


def test_the_digest_is_sha256(big: Path) -> None:
    assert sha256(big) == hashlib.sha256(BIG).hexdigest()


def test_the_next_start_reads_the_digest_instead_of_the_file(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sha256(big)
    digests._seen.clear()
    monkeypatch.setattr(digests, "fresh_sha256", lambda _: pytest.fail("hashed again"))
    assert sha256(big) == first


def test_a_changed_file_is_hashed_again(big: Path) -> None:
    sha256(big)
    big.write_bytes(b"x" * len(BIG))
    assert sha256(big) == hashlib.sha256(b"x" * len(BIG)).hexdigest()


def test_a_file_rewritten_within_the_same_tick_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for data in (b"a", b"b"):
        path.write_bytes(data)
        assert sha256(path) == hashlib.sha256(data).hexdigest()


def test_a_broken_table_costs_time_and_nothing_else(big: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/digests.json").write_text("{ torn", encoding="utf-8")
    assert sha256(big) == hashlib.sha256(BIG).hexdigest()
    assert len(json.loads((tmp_path / "home/digests.json").read_text(encoding="utf-8"))) == 1


def test_git_blob_ids_are_understood(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    # What `git hash-object` says of this file.
    assert digest_like("0" * 40, tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
