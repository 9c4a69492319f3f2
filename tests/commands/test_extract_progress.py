"""How far an extraction is, as lines of a log."""

import pytest

from trisent.cli.extract_progress import length, progress, said
from trisent.features.extract import Progress


def report(done: int, elapsed_s: float, *, failed: int = 0) -> Progress:
    """Report clips of 36 s, of which there are 100."""
    return Progress(done, 100, failed, done / 100, elapsed_s)


def test_speed_and_time_left_are_counted_from_the_first_report_on() -> None:
    first = report(10, 1000.0)  # it took long to load
    assert said(first, first) == "10/100 clips, 0.10 h of video"
    # 20 clips of 36 s in 60 s: 12 x real time; the other 70 take 210 s
    assert said(report(30, 1060.0), first) == "30/100 clips, 0.30 h of video, 12.0 x real time, 3:30 left"
    assert said(report(100, 1270.0, failed=2), first) == "100/100 clips, 1.00 h of video, 2 failed, 12.0 x real time"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0:00"), (59.6, "1:00"), (3599.7, "1:00:00"), (90061, "25:01:01")]
)
def test_lengths_of_time_are_rounded_before_they_are_divided(seconds: float, words: str) -> None:
    assert length(seconds) == words


def test_a_log_gets_a_line_at_first_and_at_the_end_and_few_between(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as (on_extract, on_progress):
        for done in range(101):
            on_progress("minilm-l6", done * 10**6, 100 * 10**6)
        for done in range(1, 101):
            on_extract(report(done, float(done)))
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert lines[0] == "minilm-l6  0.0/100.0 MB"
    assert lines[1] == "minilm-l6  100.0/100.0 MB"
    assert lines[2] == "extracting  1/100 clips, 0.01 h of video"
    assert lines[3] == "extracting  100/100 clips, 1.00 h of video, 36.0 x real time"
    assert len(lines) == 4
