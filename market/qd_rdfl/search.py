"""A maximum found without knowing the function: the best of a grid, then golden sections around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learning.columns import FloatColumn

_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def largest_value(value: Callable[[FloatColumn], FloatColumn], grid: FloatColumn, sections: int = 60) -> FloatColumn:
    """The largest value of each of N functions, [N], over a grid of points [G, N], ascending, and around its best.

    ``value`` maps points [..., N] to values of the same shape, column n by function n; each of the ``sections``
    narrows the search to 0.62 of its width.
    """
    found = value(grid)
    best = found.argmax(axis=0)
    column = np.arange(grid.shape[1])
    low, high = grid[np.maximum(best - 1, 0), column], grid[np.minimum(best + 1, len(grid) - 1), column]
    largest: FloatColumn = found[best, column]
    for _ in range(sections):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        at_left, at_right = value(left), value(right)
        np.maximum(largest, np.maximum(at_left, at_right), out=largest)
        go_left = at_left > at_right
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    return largest
