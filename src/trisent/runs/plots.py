"""Line plots as numbers for an SVG: points already in its coordinates, ticks with their labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 330, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 30  # left: seven digits of a tick
COLOURS = ("#2f5fb3", "#c8553d", "#3c8f63", "#1d2430", "#8a5fb0", "#b5891b")


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name, colour, and its points as pixels and as text."""

    name: str
    colour: str
    points: tuple[tuple[float, float, str], ...]

    @property
    def path(self) -> str:
        """The points as SVG's `points`."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in self.points)


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves with axes; ticks are (pixel, text), `diagonal` the line y = x in pixels or None."""

    title: str
    x_name: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    diagonal: tuple[float, float, float, float] | None = None

    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def plot(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_name: str,
    unit: tuple[float, float] | None = None,
) -> Plot | None:
    """Lay out curves; points that are not finite are left out, and a plot without any is None.

    Args:
        title: of the plot.
        lines: name -> points (x, y).
        x_name: what x is.
        unit: both axes go from the first to the second number, with a diagonal; None: as the points need.
    """
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in lines.items()}
    every = [point for points in finite.values() for point in points]
    if not every:
        return None
    xs, ys = ticks([x for x, _ in every]), ticks([y for _, y in every])
    if all(x == round(x) for x, _ in every):  # there is no epoch 1.5
        xs = [x for x in xs if x == round(x)]
    if unit:
        xs = ys = ticks(list(unit))
    x_low, x_high = (unit or (min(x for x, _ in every), max(x for x, _ in every)))[:2]
    y_low, y_high = unit or (ys[0], ys[-1])

    def place_x(x: float) -> float:
        return _LEFT + (WIDTH - _RIGHT - _LEFT) * (x - x_low) / ((x_high - x_low) or 1.0)

    def place_y(y: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * (y - y_low) / ((y_high - y_low) or 1.0)

    drawn = tuple(
        Line(name, COLOURS[k % len(COLOURS)], tuple((place_x(x), place_y(y), f"{x:g}: {y:.4f}") for x, y in points))
        for k, (name, points) in enumerate(finite.items())
        if points
    )
    return Plot(
        title,
        x_name,
        drawn,
        tuple((place_x(x), f"{x:g}") for x in xs if x_low <= x <= x_high),
        tuple((place_y(y), f"{y:g}") for y in ys),
        (place_x(x_low), place_y(x_low), place_x(x_high), place_y(x_high)) if unit else None,
    )


def ticks(values: Sequence[float]) -> list[float]:
    """Choose three to six round numbers that enclose the values.

    >>> ticks([0.56, 0.83])
    [0.5, 0.6, 0.7, 0.8, 0.9]
    """
    low, high = min(values), max(values)
    if low == high:
        low, high = low - abs(low) / 10 - 0.01, high + abs(high) / 10 + 0.01
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]
