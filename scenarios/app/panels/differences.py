"""Two worlds in step: what the second has more than the first, round by round and person by person."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scenarios.app.charts import Course, courses, digits_for
from scenarios.app.drawing import Picture
from scenarios.app.view import NOT_YET, View
from scenarios.number_text import number
from scenarios.palette import BLUE, GREEN, ORANGE, PURPLE

Values = NDArray[np.float64]


def _forged(view: View) -> Values:
    total = view.series("trained") + view.series("free_riding")
    return np.asarray(view.series("free_riding") / np.where(total > 0, total, np.nan))


def _summed(name: str) -> Callable[[View], Values]:
    return lambda view: np.cumsum(np.nan_to_num(view.series(name)))


MEASURES: dict[str, tuple[Callable[[View], Values], str, int | None]] = {
    "accuracy": (lambda view: view.series("accuracy"), BLUE, 3),
    "owners in the market": (lambda view: view.series("active"), GREEN, 0),
    "share of forged uploads": (_forged, PURPLE, 2),
    "welfare since the start": (_summed("welfare"), ORANGE, None),
    "paid to owners since the start": (_summed("paid"), GREEN, None),
}
"""What is compared: how it is read off a world, its colour, digits."""


def _difference(name: str) -> Callable[[View, View], Picture]:
    measure, colour, digits = MEASURES[name]

    def draw(first: View, second: View) -> Picture:
        lines = []
        if first.frames and second.frames:
            lines = [
                Course("B − A", measure(second) - measure(first), colour, 2.4, digits=digits),
                Course("zero", np.zeros(len(first.frames)), first.theme.muted, 0.8, digits=0),
            ]
        known = bool(lines) and bool(np.isfinite(lines[0].values).any())
        empty = "Neither world has a value to compare." if first.frames else NOT_YET
        marks = sorted({*first.marks, *second.marks})
        return courses(f"B − A: {name}", first.theme, first.rounds, lines if known else [], marks=marks, empty=empty)

    return draw


def table(first: View, second: View) -> Picture:
    """The measures of both worlds now, and the utility of the persons that are in both."""
    picture = Picture("Both worlds now", first.theme)
    if not first.frames or not second.frames:
        picture.note(NOT_YET)
        return picture
    columns = (("A", 292.0), ("B", 376.0), ("B − A", picture.width - 16))
    for words, x in columns:
        picture.text(x, 46, words, size=10.5, anchor="end", colour=first.theme.muted)
    rows = [(name, float(read(first)[-1]), float(read(second)[-1]), digits)
            for name, (read, _, digits) in MEASURES.items()]  # fmt: skip
    mean_a, mean_b, persons = _per_person(first, second)
    rows.append(("gain per person in both worlds", mean_a, mean_b, None))
    for k, (name, a, b, digits) in enumerate(rows):
        y = 72.0 + 26 * k
        picture.text(16, y, name, size=11)
        digits = digits_for((a, b)) if digits is None else digits
        for value, (_, x) in zip((a, b, b - a), columns, strict=True):
            picture.text(x, y, number(value, digits), size=11, anchor="end", bold=x == columns[2][1])
    words = f"Same seed: the same people with the same luck; {persons:,} persons are in both."
    picture.text(16, picture.height - 26, words, size=10, colour=first.theme.muted)
    return picture


def _per_person(first: View, second: View) -> tuple[float, float, int]:
    """Mean gain since the start in each world of the persons that are in the market in both, and their number."""
    gains = []
    for view in (first, second):
        owners = view.last.owners
        there = np.flatnonzero(owners["status"] == "active")
        persons, place = np.unique(owners["person"][there], return_inverse=True)
        gained = view.last.gains[owners["owner"][there].astype(np.int64)]
        sums = np.bincount(place, weights=gained, minlength=len(persons))
        gains.append(dict(zip(persons.tolist(), sums.tolist(), strict=True)))
    both = sorted(gains[0].keys() & gains[1].keys())
    if not both:
        return float("nan"), float("nan"), 0
    return (*(float(np.mean([world[person] for person in both])) for world in gains), len(both))  # type: ignore[return-value]


DIFFERENCES = (table, *(_difference(name) for name in MEASURES))
"""The panels of the comparison."""
