"""What the audit says of real data, where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from trisent.data.audit import audit, describe
from trisent.data.dataset import Dataset, Sequences
from trisent.data.readers import read
from trisent.types import Floats

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def data() -> Path:
    """Return the folder of real data that docs/en/embedded.md describes."""
    folder = os.environ.get("TRISENT_DATA")
    if not folder:
        pytest.skip("TRISENT_DATA names no folder")
    return Path(folder)


@pytest.fixture(scope="module")
def mosei_text(data: Path) -> Dataset:
    return read(data / "mosei_text")


def rows(values: Floats) -> Sequences:
    n = len(values)
    return Sequences(values, np.arange(n + 1), np.full(n, np.nan, np.float32), np.ones(n, bool))


@pytest.fixture(scope="module")
def mosei_videos(data: Path) -> Dataset:
    with np.load(data / "mosei_videolevel" / "mosei_videos.npz", allow_pickle=False) as file:
        arrays = dict(file)
    ids = tuple(map(str, arrays["id"]))
    return Dataset(
        "mosei_videolevel", "made", ids, tuple("" if f == "none" else str(f) for f in arrays["fold"]),
        {"sentiment": arrays["sentiment"]},
        {"text": rows(arrays["language_bert_cls"]), "audio": rows(arrays["acoustic_covarep40"]),
         "video": rows(arrays["visual_facet35"])},
        videos=ids,
    )  # fmt: skip


def test_mosei_has_the_published_counts(mosei_text: Dataset) -> None:
    d = describe(mosei_text)
    assert {s: f.utterances for s, f in d.splits.items()} == {"train": 16_326, "valid": 1_871}
    assert {s: f.videos for s, f in d.splits.items()} == {"train": 2_249, "valid": 300}


def test_mosei_repeats_texts_across_splits_and_has_no_error(mosei_text: Dataset) -> None:
    report = audit(mosei_text)
    assert report.of("error") == ()
    found = {f.code: f for f in report.findings}
    assert found["text.repeated"].level == "warning"
    assert found["text.repeated"].count == 24
    assert found["split.published"].level == "note"
    # 45 labels are sixths: real, and no defect.
    assert not {"label.steps", "label.scale", "split.videos", "leak.order"} & found.keys()


def test_mosei_pairs_of_equal_texts_are_equal(mosei_text: Dataset) -> None:
    text = dict(zip(mosei_text.ids, mosei_text.texts, strict=True))
    repeats = audit(mosei_text).repeats
    equal = [r for r in repeats if r.similarity == 1]
    assert len(equal) == 24
    for r in equal:
        a, b = ("".join(c for c in text[i].casefold() if c.isalnum()) for i in (r.first, r.second))
        assert a == b


def test_the_column_of_minus_infinity_is_found_in_whole_videos(mosei_videos: Dataset) -> None:
    report = audit(mosei_videos)
    assert report.of("error") == ()
    (finding,) = (f for f in report.findings if f.code == "feature.nonfinite")
    assert "-inf in column 7" in finding.title
    assert finding.count == int(np.isneginf(mosei_videos.features["audio"].values[:, 7]).sum())


def test_a_video_moved_to_valid_is_found_in_mosei(mosei_text: Dataset) -> None:
    splits = ("valid", *mosei_text.splits[1:])
    moved = Dataset("x", "made", mosei_text.ids, splits, mosei_text.labels, {}, mosei_text.texts, mosei_text.videos)
    (finding,) = audit(moved).of("error")
    assert finding.code == "split.videos"
    assert mosei_text.ids[0] in finding.ids
