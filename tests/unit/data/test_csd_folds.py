"""The official folds of CMU-MOSEI and CMU-MOSI."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from trisent.data.csd.folds import official_folds, splits_of


def test_the_folds_have_the_published_numbers_of_videos() -> None:
    assert Counter(official_folds()["mosei"].values()) == {"train": 2249, "valid": 300, "test": 678}
    assert Counter(official_folds()["mosi"].values()) == {"train": 52, "valid": 10, "test": 31}


def test_names_are_those_of_youtube_or_numbers_and_no_data_set_has_the_others() -> None:
    mosei, mosi = official_folds()["mosei"], official_folds()["mosi"]
    assert all(len(name) == 11 or name.isdigit() for name in (*mosei, *mosi))
    assert not mosei.keys() & mosi.keys()


def test_known_videos_are_in_their_folds() -> None:
    mosei, mosi = official_folds()["mosei"], official_folds()["mosi"]
    assert [mosei[v] for v in ("hh04W3xXa5s", "188343", "7l3BNtSE0xc")] == ["train", "valid", "test"]
    assert [mosi[v] for v in ("2iD-tVS8NPw", "WKA5OygbEKI", "tmZoasNr4rU")] == ["train", "valid", "test"]


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("TRISENT_DATA"), reason="TRISENT_DATA is unset")
def test_mmsas_table_of_mosei_has_its_videos_in_the_same_folds_but_for_the_one_that_cmu_took_out() -> None:
    table = Path(os.environ["TRISENT_DATA"]) / "mosei_text" / "label.csv"
    with table.open(encoding="utf-8", newline="") as file:
        said = {line["video_id"]: line["mode"] for line in csv.DictReader(file)}
    official = official_folds()["mosei"]
    assert {video for video, split in said.items() if official.get(video) != split} == {"-NFrJFQijFE"}


def test_utterances_go_with_their_video_and_strangers_are_in_no_split() -> None:
    splits, (note,) = splits_of(["188343", "7l3BNtSE0xc", "mine"], ["a", "b", "c"])
    assert splits == ("valid", "test", "")
    assert "1 utterances" in note
    assert "(c)" in note


def test_one_known_name_among_strangers_makes_no_mosei() -> None:
    splits, (note,) = splits_of(["188343", "x", "y"], ["a", "b", "c"])
    assert splits == ("", "", "")
    assert "trisent data split" in note
