"""The page on features: its options exist, its tables are read as it says, and both languages say the same."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from commands.conftest import ROOT, Run
from trisent.features.layouts import _COMMON, _STRETCH_WORDS
from trisent.features.settings import ExtractSettings, parse_layers
from trisent.features.sources import find_sources
from trisent.types import Utterance

ENGLISH, CHINESE = (ROOT / "docs" / language / "extract.md" for language in ("en", "zh"))


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Return the words after `trisent` of every command of the page, in blocks and in tables."""
    lines = [line for language, block in blocks(ENGLISH) if language == "bash" for line in block.splitlines()]
    lines += re.findall(r"`(trisent extract[^`]*)`", ENGLISH.read_text(encoding="utf-8"))
    return [shlex.split(line)[1:] for line in lines]


def test_both_languages_have_the_same_blocks_and_numbers() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    english, chinese = (re.findall(r"\d[\d,.]*\d", page.read_text(encoding="utf-8")) for page in (ENGLISH, CHINESE))
    assert sorted(english) == sorted(chinese)


def test_every_option_of_the_page_exists_and_every_option_is_on_it(trisent: Run) -> None:
    done = trisent("extract", "--help", COLUMNS="200")
    offered = set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}
    for page in (ENGLISH, CHINESE):
        assert set(re.findall(r"--[a-z][a-z-]*", page.read_text(encoding="utf-8"))) == offered


def test_the_extractors_that_the_page_names_are_known() -> None:
    assert len(commands()) >= 8
    for words in commands():
        options = dict(itertools.pairwise(words))
        names = {name: options[f"--{name}"] for name in ("preset", "text", "audio", "video") if f"--{name}" in options}
        layers = parse_layers(options.get("--layers", "last"))
        assert ExtractSettings(**names, layers=layers).extractors()  # type: ignore[arg-type]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_the_tables_of_the_page_are_read_as_it_says(tmp_path: Path) -> None:
    labels, stretches = (block for language, block in blocks(ENGLISH) if language == "csv")
    touch(tmp_path, "MOSI/Raw/03bSnISJMiM/1.mp4", "MOSI/Raw/03bSnISJMiM/2.mp4")
    touch(tmp_path, "talks/monday.mp4", "talks/tuesday.mkv")
    (tmp_path / "MOSI/label.csv").write_text(labels)
    (tmp_path / "stretches.csv").write_text(stretches)
    found = find_sources([tmp_path / "MOSI", tmp_path / "stretches.csv"])
    assert found.failures == ()
    assert [u for source in found.sources for u in source.utterances or ()] == [
        Utterance("03bSnISJMiM$_$1", 0.0, float("inf"), "it was really good", sentiment=2.4),
        Utterance("03bSnISJMiM$_$2", 0.0, float("inf"), "well, not all of it", sentiment=-0.8),
        Utterance("monday$_$0", 12.5, 18.0, "I did not like it", sentiment=-1.6),
        Utterance("monday$_$1", 65.0, 69.5, "the end, though, was great", sentiment=2.0),
        Utterance("tuesday$_$0", 0.0, float("inf"), "a short one", sentiment=0.0),
    ]


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_page_names_every_header_that_is_understood(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for synonyms in {**_STRETCH_WORDS, **_COMMON}.values():
        first, *others = synonyms
        row = next(line for line in text.splitlines() if line.startswith(f"| `{first}` |"))
        assert re.findall(r"`(\w+)`", row)[1:] == others


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_megabytes_of_the_page_follow_from_its_widths(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\|.*?(\d+\.?\d*) (?:a second|步) \| (\d+) [^|]*?(\d+) MB \| (\d+) [^|]*?(\d+) MB \|$", text, re.M
    )
    assert len(rows) == 3
    for steps, *widths_and_sizes in rows:
        for width, size in zip(widths_and_sizes[::2], widths_and_sizes[1::2], strict=True):
            assert round(float(steps) * 3600 * (2 * int(width) + 5) / 1e6) == int(size)
