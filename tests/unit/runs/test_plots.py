"""Axes that can be read."""

from trisent.runs.plots import plot


def test_epochs_are_whole_numbers_on_their_axis() -> None:
    drawn = plot("loss", {"loss": [(1.0, 0.5), (2.0, 0.4)]}, x_name="epoch")
    assert drawn is not None
    assert [text for _, text in drawn.x_ticks] == ["1", "2"]
    shares = plot("MAE", {"MAE": [(0.0, 0.5), (0.9, 0.7)]}, x_name="share hidden")
    assert shares is not None
    assert [text for _, text in shares.x_ticks] == ["0", "0.25", "0.5", "0.75"]


def test_the_longest_tick_has_room_beside_the_axis() -> None:
    drawn = plot("MAE", {"MAE": [(0.0, -0.9675), (1.0, -0.97)]}, x_name="x")
    assert drawn is not None
    digit = 6.5  # pixels of a digit at 11 px
    assert max(len(text) for _, text in drawn.y_ticks) * digit < drawn.left
