"""What the person sees of a command that is interrupted, or repeats itself."""

import errno
import logging
import os
import re

import pytest

from trisent.cli import main
from trisent.cli.guard import guarded
from trisent.i18n import chinese


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["score"], "Missing argument 'PREDICTIONS'"),
        (["score", "a.csv", "--seed", "x"], "'--seed': "),
        (["score", "a.csv", "--sed", "1"], "No such option: --sed (Possible options: --seed)"),
        (["score", "a.csv", "--seed"], "Option '--seed' requires an argument"),
        (["score", "a.csv", "b.csv"], "(b.csv)"),
        (["data", "convert", "a", "b"], "'--to'"),
        (["nothing"], "'nothing'"),
        (["--lang", "fr", "score"], "'--lang'"),
    ],
)
def test_wrong_use_names_the_option_and_in_chinese_has_no_english_words_of_the_parser(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trisent.i18n._language", "en")  # as it is to be afterwards, too
    monkeypatch.setenv("TRISENT_LANG", "en")
    assert main(words) == 2
    assert told in (english := capsys.readouterr().err)
    assert english.count("\n") == 1
    monkeypatch.setenv("TRISENT_LANG", "zh")
    assert main(words) == 2
    said = capsys.readouterr().err
    rest = re.sub(r"'[^']*'|--\w+|trisent( \w+)*|PREDICTIONS|\([\w.]+\)|\w+\.csv|en, zh", "", said)
    assert not re.findall(r"[A-Za-z]{2,}", rest), said


@pytest.mark.skipif(os.name == "nt", reason="Windows says it in its own words")
def test_what_the_system_says_most_often_has_chinese() -> None:
    codes = ("ENOENT", "EACCES", "EISDIR", "ENOTDIR", "EEXIST", "ENOSPC", "EROFS", "ENAMETOOLONG", "EPERM", "EIO")
    assert [
        os.strerror(getattr(errno, code)) for code in codes if os.strerror(getattr(errno, code)) not in chinese()
    ] == []
