"""The page on clusters: both languages say the same, and its table is what the script prints."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENGLISH, CHINESE = ((ROOT / "docs" / language / "cluster.md").read_text(encoding="utf-8") for language in ("en", "zh"))


def blocks(page: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def numbers(page: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d|\d", page))


def test_both_languages_have_the_same_commands_and_numbers() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert numbers(ENGLISH) == numbers(CHINESE)


def test_the_table_is_what_the_script_prints() -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "corpus_cost.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout in ENGLISH


def test_two_cores_take_the_hours_that_the_measured_rate_gives() -> None:
    clips = 1000 * 3600 / 7
    (row,) = [line for line in ENGLISH.splitlines() if line.startswith("| 2 cores")]
    assert f"| {clips / 1.62 / 3600:.0f} h |" in row
