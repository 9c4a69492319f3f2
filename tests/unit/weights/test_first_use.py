"""Trust on first use: what an unpinned repository delivered first is written down, and other bytes are refused."""

import hashlib
import json
import logging
import os
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import find, pull, verify
from trisent.weights.first_use import lock_file, remember, remembered
from unit.weights.hub_server import HubServer
from unit.weights.tiny import BERT

REPO = "FacebookAI/roberta-base"
OTHER = {**BERT, "model.safetensors": b"other weights"}


@pytest.fixture(autouse=True)
def hub(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.add_repo(REPO, BERT)


def test_an_unpinned_name_is_fetched_from_its_repository_and_its_digests_are_written_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        [weights] = pull(["roberta-base"])
    assert weights.name == REPO
    assert weights.pinned is False
    assert weights.licence == "MIT"
    assert set(json.loads(lock_file().read_text())[REPO]) == set(BERT)
    assert "nobody has proven its bytes" in caplog.text


def test_other_bytes_under_the_same_name_are_refused(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull([REPO])
    monkeypatch.setenv("HF_HOME", str(tmp_path / "another"))
    server.add_repo(REPO, OTHER)
    with pytest.raises(WeightsError, match=r"model\.safetensors with digest .* was used first"):
        pull(["roberta-base"])
    assert find("roberta-base") is None


def test_what_has_changed_on_the_disk_since_then_is_not_used_and_the_next_pull_mends_it() -> None:
    [weights] = pull([REPO])
    (weights.folder / "vocab.txt").write_bytes(b"c\nd\n")
    with pytest.raises(WeightsError, match=rf"vocab\.txt is damaged: .* trisent weights pull {REPO}"):
        find(REPO)
    assert pull(["roberta-base"])[0].folder == weights.folder
    assert (weights.folder / "vocab.txt").read_bytes() == BERT["vocab.txt"]


@pytest.mark.skipif(os.name == "nt", reason="the cache has links only where the system allows them")
def test_a_sound_file_of_another_revision_is_used_for_it_is_known_by_its_digest(tmp_path: Path) -> None:
    [weights] = pull([REPO])
    other = tmp_path / "blobs" / hashlib.sha256(b"other weights").hexdigest()
    other.parent.mkdir()
    other.write_bytes(b"other weights")
    weights.file.unlink()
    weights.file.symlink_to(other)
    found = find(REPO)
    assert found is not None
    assert found.digest == other.name != weights.digest


def test_the_same_bytes_are_fetched_again_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pull([REPO])
    caplog.clear()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "another"))
    assert pull([REPO])[0].name == REPO
    assert "nobody has proven" not in caplog.text


def test_what_the_catalog_has_proven_is_never_learnt_from_a_hub() -> None:
    repo, proven = "facebook/wav2vec2-base-960h", "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a"
    remember(repo, "model.safetensors", "0" * 64)
    assert remembered(repo, "model.safetensors") == proven


def test_a_first_use_is_not_overwritten() -> None:
    remember("ORG/NAME", "model.safetensors", "1" * 64)
    remember("ORG/NAME", "model.safetensors", "2" * 64)
    assert remembered("ORG/NAME", "model.safetensors") == "1" * 64


def test_a_lock_file_that_cannot_be_read_is_named_and_not_trusted_anew() -> None:
    lock_file().parent.mkdir(parents=True)
    lock_file().write_text("{")
    with pytest.raises(WeightsError, match=r"first_use\.json cannot be read"):
        remembered("ORG/NAME", "model.safetensors")


def test_verify_compares_with_the_first_use() -> None:
    [weights] = pull(["roberta-base"])
    assert {verdict for _, verdict in verify(["roberta-base"])} == {"ok"}
    weights.file.write_bytes(OTHER["model.safetensors"])
    assert any(verdict.startswith("wrong") for _, verdict in verify([REPO]))
