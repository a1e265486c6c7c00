"""Courses over rounds: axes, lines with their names at the right end, marks where a lever was turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenarios.app.drawing import HEIGHT, WIDTH, Picture, Theme, shortened, tick_text, ticks
from scenarios.number_text import number
from scenarios.plots.canvas import spread

LEFT, RIGHT, TOP, BOTTOM = 50.0, 140.0, 36.0, 34.0
"""Margins of the axes, in units of a picture."""

BROAD = 1.8
"""Lines from this width on keep their colour; thinner ones are drawn as dark or light as text."""


@dataclass(frozen=True)
class Course:
    """One line: its name, one value per round (NaN where unknown), its colour.

    ``digits`` of the value beside it; None: as many as its size needs.
    """

    name: str
    values: NDArray[np.float64]
    colour: str
    width: float = 2.0
    dash: str = ""
    digits: int | None = 2


@dataclass
class Axes:
    """Where numbers lie in a picture: rounds from left to right, values upwards."""

    picture: Picture
    rounds: tuple[float, float]
    values: tuple[float, float]
    right: float = RIGHT
    marks: Sequence[int] = field(default_factory=tuple)

    def x(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Horizontal places of rounds."""
        first, last = self.rounds
        inner = self.picture.width - LEFT - self.right
        return np.asarray(LEFT + (at - first) / max(last - first, 1e-12) * inner)

    def y(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vertical places of values."""
        low, high = self.values
        inner = self.picture.height - TOP - BOTTOM
        return np.asarray(self.picture.height - BOTTOM - (value - low) / max(high - low, 1e-12) * inner)

    def draw(self, unit: str) -> None:
        """Grid, numbers, the unit of the values, and a dashed line where a lever was turned."""
        picture, theme = self.picture, self.picture.theme
        edge = picture.width - self.right
        for value, y in _placed(ticks(*self.values), self.y):
            picture.line(LEFT, y, edge, y, theme.faint, 0.8)
            picture.text(LEFT - 6, y + 4, tick_text(value), size=10.5, anchor="end", colour=theme.muted)
        for value, x in _placed([t for t in ticks(*self.rounds, most=7) if t == int(t)], self.x):
            picture.text(
                x, picture.height - BOTTOM + 14, tick_text(value), size=10.5, anchor="middle", colour=theme.muted
            )
        picture.text((LEFT + edge) / 2, picture.height - 6, "round", size=10.5, anchor="middle", colour=theme.muted)
        picture.text(picture.width - 12, 20, unit, size=10.5, anchor="end", colour=theme.muted)
        for mark in (mark for mark in self.marks if self.rounds[0] < mark <= self.rounds[1]):
            at = float(self.x(np.array(mark - 0.5)))
            picture.line(at, TOP, at, picture.height - BOTTOM, theme.ink, 1, "2 3")


def _placed(values: list[float], place: object) -> list[tuple[float, float]]:
    assert callable(place)
    return list(zip(values, place(np.array(values, dtype=float)).tolist(), strict=True)) if values else []


def courses(
    title: str,
    theme: Theme,
    rounds: NDArray[np.float64],
    lines: Sequence[Course],
    *,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    band: tuple[NDArray[np.float64], NDArray[np.float64], str] | None = None,
    marks: Sequence[int] = (),
    empty: str = "",
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> Picture:
    """A picture of lines over rounds; ``bounds`` of the values (default: as the values say), ``band`` between two."""
    picture = Picture(title, theme, *size)
    known = [line for line in lines if np.isfinite(line.values).any()]
    if not known:
        picture.note(empty)
        return picture
    right = min(210.0, max(RIGHT, 48 + 6.4 * max(len(line.name) for line in known)))
    bounds = bounds or _bounds([line.values for line in known])
    axes = Axes(picture, span_of(rounds), bounds, right=right, marks=marks)
    axes.draw(unit)
    x = axes.x(rounds)
    if band is not None:
        low, high, colour = band
        there = np.isfinite(low) & np.isfinite(high)
        edge = [*zip(x[there], axes.y(low[there]), strict=True)]
        picture.area([*edge, *list(zip(x[there], axes.y(high[there]), strict=True))[::-1]], colour, 0.22)
    for line in known:
        colour = theme.fill(line.colour) if line.width >= BROAD else theme.text(line.colour)
        picture.curve(x, axes.y(line.values), colour, line.width, line.dash)
    _name_ends(axes, rounds, known)
    return picture


def span_of(rounds: NDArray[np.float64]) -> tuple[float, float]:
    """First and last round on the axis: at least ten wide, so that a young run does not jump about."""
    first = float(rounds[0]) if len(rounds) else 0.0
    return first, max(float(rounds[-1]) if len(rounds) else 0.0, first + 10)


def _bounds(columns: list[NDArray[np.float64]]) -> tuple[float, float]:
    """From the least to the greatest value, with zero and a little room."""
    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    room = 0.06 * (high - low) or 1.0
    return low - room * (low < 0), high + room * (high > 0 or low == 0)


def _name_ends(axes: Axes, rounds: NDArray[np.float64], lines: Sequence[Course]) -> None:
    """Each line's name and last value beside the end of the lines, moved apart where they would overlap."""
    picture = axes.picture
    edge = float(axes.x(rounds[-1:])[0])
    ends = []
    for line in lines:
        last = int(np.flatnonzero(np.isfinite(line.values))[-1])
        x, y = float(axes.x(rounds[last])), float(axes.y(line.values[last]))
        ends.append((y, x, line, float(line.values[last])))
    ends.sort(key=lambda end: end[0])
    heights = spread([end[0] for end in ends], 15, picture.height - BOTTOM - 4)
    for (y, x, line, value), height in zip(ends, heights, strict=True):
        colour = picture.theme.text(line.colour)
        picture.dot(x, y, 2.6, picture.theme.fill(line.colour))
        picture.lines([(x + 3, y, edge + 6, height)], colour, 0.6, 0.7)
        digits = line.digits if line.digits is not None else digits_for(axes.values)
        label = f"{shortened(line.name, 24)} {number(value, digits)}"
        picture.text(edge + 8, height + 3.5, label, size=10.5, colour=colour)


def digits_for(values: Sequence[float] | NDArray[np.float64]) -> int:
    """Digits after the point that show three figures of the largest of some values, 0 to 4."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 2 if largest == 0 else min(4, max(0, 2 - math.floor(math.log10(largest))))
