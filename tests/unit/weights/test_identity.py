"""What tells weights from others that would give other numbers."""

import json
import logging
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import Weights, digest_with, entry, find, where
from trisent.weights.digests import fresh_sha256
from unit.weights.tiny import BERT, MTCNN, place

pytestmark = pytest.mark.usefixtures("tiny")

BESIDE = ("config.json", "vocab.txt", "tokenizer.json")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[1]}}).encode()
IN_PARTS = {SHARDS[0]: b"one", SHARDS[1]: b"two", "model.safetensors.index.json": INDEX, "config.json": b"{}"}


def found(name: str) -> Weights:
    weights = find(name)
    assert weights is not None
    return weights


def exchange(path: Path) -> None:
    """Put other bytes of the same length in its place."""
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


class TestInParts:
    """A checkpoint too large for one file: an index says which of its tensors is in which part."""

    @pytest.mark.parametrize("name", [*SHARDS, "model.safetensors.index.json"])
    def test_every_part_and_the_index_are_in_the_digest(self, name: str) -> None:
        folder = place(Path("mine/large"), IN_PARTS)
        before = found("mine/large")
        assert before.file == folder / SHARDS[0]
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        assert found("mine/large").digest != before.digest

    def test_a_file_in_one_piece_has_its_own_sha256_whatever_lies_beside_it(self) -> None:
        folder = place(Path("mine/large"), IN_PARTS | {"model.safetensors": b"whole"})
        assert found("mine/large").digest == fresh_sha256(folder / "model.safetensors")

    @pytest.mark.parametrize("name", [*SHARDS, "model.safetensors.index.json"])
    def test_what_is_missing_is_named(self, name: str) -> None:
        (place(Path("mine/large"), IN_PARTS) / name).unlink()
        with pytest.raises(WeightsError, match=rf"lacks {name}\. Put the missing files there"):
            find("mine/large")

    @pytest.mark.parametrize("index", [b"", b"[]", b'{"weight_map": 7}', b"<html>"])
    def test_an_index_that_is_none_is_named(self, index: bytes) -> None:
        place(Path("mine/large"), IN_PARTS | {"model.safetensors.index.json": index})
        with pytest.raises(WeightsError, match=r"index\.json: does not say which file a tensor is in"):
            find("mine/large")

    def test_in_the_hubs_cache_a_part_that_has_not_come_is_still_to_be_fetched(self, tmp_path: Path) -> None:
        folder = place(tmp_path / "hf/hub/models--some--one/snapshots" / ("c" * 40), IN_PARTS)
        whole = found("some/one").digest
        (folder / SHARDS[1]).rename(tmp_path / "aside")
        assert find("some/one") is None
        assert [place.state for place in where(["some/one"])[0].places if place.kind == "hub cache"] == ["incomplete"]
        (folder / SHARDS[1]).write_bytes(b"TWO")
        assert found("some/one").digest != whole


def test_parts_that_the_catalog_pins_count_once_and_others_all_of_them() -> None:
    folder = place(Path("models/mtcnn"), MTCNN)
    pinned = found("mtcnn")
    assert (pinned.pinned, pinned.digest) == (True, entry("mtcnn").files[0].sha256)
    exchange(folder / "onet.pt")
    other = found("mtcnn")
    assert (other.pinned, other.digest == pinned.digest) == (False, False)


def test_the_catalogs_weights_with_the_catalogs_vocabulary_have_the_digest_that_bundles_have_recorded() -> None:
    place(Path("models/bert-base-uncased"), BERT)
    assert digest_with(found("bert-base-uncased"), *BESIDE) == entry("bert-base-uncased").files[0].sha256


@pytest.mark.parametrize("name", BESIDE)
def test_the_catalogs_weights_with_another_file_beside_them_are_others_and_the_file_is_named(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    exchange(place(Path("models/bert-base-uncased"), BERT) / name)
    weights = found("bert-base-uncased")
    with caplog.at_level(logging.WARNING):
        assert digest_with(weights, *BESIDE) not in (weights.digest, entry("bert-base-uncased").files[0].sha256)
    assert f"{name} not: its features do not mix" in caplog.text


def test_a_file_that_is_not_there_is_no_other_one() -> None:
    (place(Path("models/bert-base-uncased"), BERT) / "tokenizer.json").unlink()
    weights = found("bert-base-uncased")
    assert digest_with(weights, *BESIDE) == weights.digest


def test_of_weights_of_ones_own_every_file_that_is_read_counts_and_no_other() -> None:
    folder = place(Path("mine/bert"), {**BERT, "model.safetensors": b"mine", "README.md": b"hello"})
    before = digest_with(found("mine/bert"), *BESIDE)
    exchange(folder / "README.md")
    assert digest_with(found("mine/bert"), *BESIDE) == before
    digests = {before}
    for name in (*BESIDE, "model.safetensors"):
        exchange(folder / name)
        digests.add(digest_with(found("mine/bert"), *BESIDE))
    assert len(digests) == 1 + len(BESIDE) + 1


def test_the_encoder_of_a_bundle_is_known_by_its_weights_for_the_bundle_proves_the_rest() -> None:
    place(Path("run"), {"bundle.json": b"{}"})
    place(Path("run/text_encoder"), {**BERT, "model.safetensors": b"mine"})
    weights = found("run/text_encoder")
    assert digest_with(weights, *BESIDE) == weights.digest
