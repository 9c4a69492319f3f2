"""What a person sees while weights come: file, source, speed, and all models together."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from trisent.cli import console
from trisent.cli.weights_plan import show_plan, with_total
from trisent.weights.planned import Plan, PlannedFile, PlannedModel

MB = 1_000_000


def planned(*sizes: int, bytes_per_s: float | None = None) -> Plan:
    return Plan(
        tuple(
            PlannedModel(f"m{i}", (PlannedFile("f", size, "to fetch", Path(), size),), "hub.example", bytes_per_s)
            for i, size in enumerate(sizes)
        ),
        (),
    )


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(console, "progress_console", lambda: terminal)
    return text


def drawn(screen: io.StringIO, name: str) -> list[str]:
    """Return the lines of the last frame that begin with `name`."""
    frame = screen.getvalue().rpartition("\x1b[2K")[2]  # what was drawn before is erased by this
    lines = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", frame).splitlines()
    return [line.strip() for line in lines if line.startswith(name)]


def test_one_bar_a_model_names_the_source_of_now(screen: io.StringIO) -> None:
    with console.progress(of_bytes=True) as on_progress:
        on_progress("bert: config.json from a.example", 1 * MB, 9 * MB)
        on_progress("bert: model.safetensors from b.example", 9 * MB, 9 * MB)
        on_progress("bert", 9 * MB, 9 * MB)
    [last] = drawn(screen, "bert")
    assert "9.0/9.0 MB" in last
    assert "model.safetensors from b.example" in last
    assert "a.example" not in last


def test_a_videos_name_with_a_colon_is_shown_whole(screen: io.StringIO) -> None:
    with console.progress(of_bytes=False) as on_progress:
        on_progress("Part: one.mp4", 1, 2)
        on_progress("Part: two.mp4", 1, 2)
    assert [line[:13] for line in drawn(screen, "Part")] == ["Part: one.mp4", "Part: two.mp4"]


def test_several_models_are_counted_together() -> None:
    events: list[tuple[str, int, int]] = []
    report = with_total(lambda *event: events.append(event), planned(100, 50))
    report("m0: f from a.example", 100, 100)
    report("m0", 100, 100)
    report("m1: f from b.example", 20, 50)
    assert [event for event in events if event[0] == "in all"] == [
        ("in all", 100, 150),
        ("in all", 100, 150),
        ("in all", 120, 150),
    ]


def test_one_model_needs_no_total() -> None:
    events: list[str] = []
    with_total(lambda what, *_: events.append(what), planned(100))("m0", 1, 100)
    assert events == ["m0"]


def test_a_time_that_was_not_measured_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(75 * MB, bytes_per_s=None), on_stderr=False)
    assert "speed not measured: about 1 min at 10 Mbps" in capsys.readouterr().out
    show_plan(planned(600 * MB, bytes_per_s=5 * MB), on_stderr=False)
    assert "from hub.example, about 2 minutes" in capsys.readouterr().out
