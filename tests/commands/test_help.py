"""The help that typer makes: in Chinese, at the width of a narrow terminal, and where words are missing."""

import re

import pytest


@pytest.mark.parametrize("command", [(), ("extract",), ("predict",)])
def test_help_in_chinese_is_whole_and_has_no_english_words_of_typer(trisent, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    said = trisent("--lang", "zh", *command, "--help").stdout
    assert "选项" in said
    assert "…" not in said
    assert not re.findall(r"Arguments|Options|Commands|default:|required|Show this|Usage", said)


@pytest.mark.parametrize("command", [(), ("weights",), ("data",)])
def test_a_command_without_words_shows_its_help_and_is_wrong_use(trisent, command):
    done = trisent(*command)
    assert done.returncode == 2
    assert "Usage: trisent" in done.stdout
    assert done.stderr == ""
