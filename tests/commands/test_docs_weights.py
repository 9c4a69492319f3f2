"""Every command of the page on weights exists, those that need no network run, and both languages say the same."""

import re
import shlex
from pathlib import Path

import pytest

from commands.conftest import ROOT, Run
from trisent.weights import entries, entry
from trisent.weights.plan import guides_table

ENGLISH, CHINESE = (ROOT / "docs" / language / "weights.md" for language in ("en", "zh"))


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path = ENGLISH) -> list[list[str]]:
    """Return the words after `trisent` of every command of the page."""
    lines = [line for language, block in blocks(page) if language != "python" for line in block.splitlines()]
    return [shlex.split(line.partition("trisent ")[2]) for line in lines if "trisent " in line]


def test_both_languages_have_the_same_commands() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert len(commands()) >= 12


def test_both_languages_have_the_same_numbers() -> None:
    english, chinese = (re.findall(r"\d[\d,.]*\d", page.read_text(encoding="utf-8")) for page in (ENGLISH, CHINESE))
    assert set(english) == set(chinese)


@pytest.mark.parametrize("verb", sorted({words[1] for words in commands()}))
def test_every_verb_and_option_of_the_page_exists(verb: str, trisent: Run) -> None:
    done = trisent("weights", verb, "--help", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    options = {word for words in commands() if words[1] == verb for word in words if word.startswith("--")}
    assert {option for option in options if option not in done.stdout} == set()


@pytest.mark.parametrize(
    "words",
    [words for words in commands() if words[1] in ("list", "where", "doctor") or "--dry-run" in words],
    ids=" ".join,
)
def test_what_needs_no_network_runs_as_written(words: list[str], trisent: Run, tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("TRISENT_HOME", "HF_HOME", "TORCH_HOME")}
    done = trisent(*words, TRISENT_OFFLINE="1", HF_HUB_CACHE=None, **places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_name_on_the_page_is_in_the_catalog() -> None:
    named = {word for words in commands() for word in words[2:] if re.fullmatch(r"[a-z0-9-]+\d*[a-z-]+", word)}
    for name in named - {"pretrained"} - {word for word in named if word.startswith("--")}:
        assert entry(name).name == name


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_tables_bytes_and_minutes_are_the_catalogs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, size, seconds in guides_table():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert f" {size:,} " in row
        assert f" {seconds / 60:.1f} " in row
        assert all(f"`{file.path}`" in row for file in entry(name).files)
    total = sum(size for _, size, _ in guides_table())
    assert f" {total:,} " in text
    assert f" {total * 8 / 10**7 / 60:.1f} " in text


def test_the_addresses_of_the_page_are_the_pinned_ones() -> None:
    text = ENGLISH.read_text(encoding="utf-8")
    for e in entries("pretrained"):
        assert (e.url or f"https://huggingface.co/{e.repo}/tree/{e.revision}") in text


def test_the_page_never_advises_to_switch_verification_off() -> None:
    for page in (ENGLISH, CHINESE):
        assert not re.search(r"_unverified|verify=False|--insecure|curl -k", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("readme", "page"), [("README.md", "docs/en/weights.md"), ("README.zh-CN.md", "docs/zh/weights.md")]
)
def test_the_readme_leads_to_the_page(readme: str, page: str) -> None:
    assert f"]({page})" in (ROOT / readme).read_text(encoding="utf-8")
