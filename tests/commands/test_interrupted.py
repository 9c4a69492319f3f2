"""Ctrl-C, as the person sees it."""

import pytest

from trisent.cli import main


def test_ctrl_c_is_told_in_one_line_whatever_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trisent.features.settings.parse_layers", interrupted)
    assert main(["--lang", "en", "extract", "a.mp4", "--out", "out", "--layers", "last"]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "stopped; the same command goes on after what is finished\n"
