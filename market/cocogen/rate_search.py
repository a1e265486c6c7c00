"""The redistribution rate that is best for welfare, found while the market runs: golden-section search under noise.

Welfare as a function of the rate was single-peaked or flat in all scans. So an interval that holds the peak can be
narrowed by comparing two rates inside it. One noisy look decides nothing, so both are looked at several times, in turns
(left, right, right, left, so that a steady trend cancels), and their means are compared: the interval loses the part
beyond the worse one (Kiefer 1953, "Sequential minimax search for a maximum"). A wrong comparison cannot be taken back,
so the looks per rate should grow with the noise. Their number is even: only then does a trend cancel.

All that is remembered is in ``Search``, plain numbers that a market can keep.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Search(NamedTuple):
    """Where a search stands: the interval, the sums of the values seen at its inner rates, and the looks so far."""

    low: float
    high: float
    sum_left: float = 0.0
    sum_right: float = 0.0
    looks: float = 0.0

    @property
    def left(self) -> float:
        """The lower inner rate."""
        return self.high - _GOLDEN * (self.high - self.low)

    @property
    def right(self) -> float:
        """The upper inner rate."""
        return self.low + _GOLDEN * (self.high - self.low)

    @property
    def at_left(self) -> bool:
        """Whether the next look is at the lower one."""
        return self.looks % 4 in (0, 3)


def proposed(search: Search, width: float) -> float:
    """The rate to try next; the middle, once the interval is at most ``width`` wide."""
    if search.high - search.low <= width:
        return 0.5 * (search.low + search.high)
    return search.left if search.at_left else search.right


def looked(search: Search, value: float, repeats: int, width: float) -> Search:
    """The search after the proposed rate brought ``value``; each inner rate is looked at ``repeats`` times."""
    if search.high - search.low <= width or not math.isfinite(value):
        return search
    seen = search._replace(
        sum_left=search.sum_left + value * search.at_left,
        sum_right=search.sum_right + value * (not search.at_left),
        looks=search.looks + 1,
    )
    if seen.looks < 2 * repeats:
        return seen
    if seen.sum_left >= seen.sum_right:  # where the rate makes no difference, less is moved
        return Search(search.low, search.right)
    return Search(search.left, search.high)
