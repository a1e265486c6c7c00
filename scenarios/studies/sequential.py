"""How many replications it takes until the mean of a measure is known well enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from scenarios.studies.gathering import Listing, measured_in
from scenarios.studies.schema import Replications
from scenarios.studies.store import Store


def interval_width(values: ArrayLike, confidence: float = 0.95) -> float:
    """Width of Student's confidence interval of the mean; infinite for fewer than two values."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        return math.inf
    quantile = student.ppf((1 + confidence) / 2, len(numbers) - 1)
    return float(2 * quantile * numbers.std(ddof=1) / math.sqrt(len(numbers)))


def replications_needed(values: ArrayLike, width: float, confidence: float = 0.95) -> int:
    """The smallest n whose interval would be at most ``width`` wide if the standard deviation stays as in ``values``.

    ValueError for fewer than two values or a width that is not positive. (Law, "Simulation Modeling and Analysis",
    5th edition, section 9.4.1.)
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2 or width <= 0:
        raise ValueError("needs at least two values and a positive width")
    deviation = float(numbers.std(ddof=1))

    def wide(count: int) -> bool:
        return bool(2 * student.ppf((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count) > width)

    low, high = 1, 2
    while wide(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def more_replications(store: Store, listing: Listing, wanted: Replications) -> list[int]:
    """How often each cell is to be played next [cells]; as often as before where no more is needed or allowed.

    At most twice as many at a time, for the first ones tell little of the deviation. Failed runs count as played.
    """
    done = store.done()
    values: dict[tuple[str, int], list[float]] = {cell: [] for cell in listing.cells}
    for run, label, point, _, _ in listing.rows():
        if run in done:
            values[label, point].append(_number(measured_in(store, run)[wanted.measure]))
    return [
        _next_count(count, values[cell], wanted)
        for cell, count in zip(listing.cells, listing.replications, strict=True)
    ]


def _next_count(count: int, values: Sequence[float], wanted: Replications) -> int:
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2 or interval_width(known, wanted.confidence) <= wanted.width:
        return count
    needed = replications_needed(known, wanted.width, wanted.confidence)
    return min(max(needed, count + 1), 2 * count, wanted.most)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
