"""What the person sees of a command that is interrupted, or repeats itself."""

import logging

import pytest

from trisent.cli import main
from trisent.cli.guard import guarded


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


def test_a_warning_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        for text in ("odd weights in %s", "odd weights in %s", "no text in %s"):
            logging.getLogger("trisent.weights").warning(text, "models")
        return 1

    assert guarded(work) == 1
    assert capsys.readouterr().err == "odd weights in models\nno text in models\n"
