"""Money is counted in integer micro-units: exact sums, and books that close to the last unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import FloatColumn, IntColumn

MICRO = 1_000_000
"""Micro-units per unit of money."""

_LARGEST = 2.0**53  # above this a float no longer tells neighbouring micro-units apart
LARGEST_AMOUNT = _LARGEST / MICRO
"""The largest amount of money that a posting may have."""
_RELATIVE_FUZZ = 1e-9
_ABSOLUTE_FUZZ = 1e-6


def floor_micro(micro: ArrayLike) -> IntColumn:
    """Round non-negative floats, in micro-units, down to whole ones, forgiving the fuzz of float arithmetic.

    A value that misses the next whole number by 1e-9 of itself, and by no more than a millionth of a micro-unit
    (or four units in the last place, where that is more), is that number: 1.001 of money is 1,001,000 micro-units,
    although the product comes out as 1,000,999.9999999999. Everything else is cut off, so that shares of a budget stay
    within it.

    Raises ``ValueError`` on NaN, infinite or negative values and above 2**53.
    """
    amount = np.asarray(micro, dtype=np.float64)
    if not np.all(amount >= 0.0):
        raise ValueError("an amount of money must be a number of at least 0")
    if not np.all(amount <= _LARGEST):
        raise ValueError(f"an amount of money must be at most {_LARGEST / MICRO:.0f}")
    nearest = np.rint(amount)
    fuzz = np.maximum(np.minimum(_RELATIVE_FUZZ * amount, _ABSOLUTE_FUZZ), 4.0 * np.spacing(amount))
    whole = np.where(np.abs(nearest - amount) <= fuzz, nearest, np.floor(amount))
    return np.asarray(whole, dtype=np.int64)


def to_micro(amount: ArrayLike) -> IntColumn:
    """Money to micro-units, any shape, rounded towards zero (see ``floor_micro`` for the fuzz and the errors)."""
    return floor_micro(np.asarray(amount, dtype=np.float64) * MICRO)


def from_micro(micro: ArrayLike) -> FloatColumn:
    """Micro-units to money, any shape."""
    return np.asarray(np.asarray(micro, dtype=np.int64) / MICRO)


def split(total_micro: int, shares: FloatColumn) -> IntColumn:
    """Divide ``total_micro`` in proportion to ``shares``: whole micro-units that sum to the total exactly.

    The method of the largest remainder (Hamilton): everybody gets its quota rounded down, and what is left goes, one
    micro-unit each, to the largest remainders; equal remainders (to nine digits) favour the lower index. A share of
    zero gets nothing. ``shares`` need not sum to 1.

    Raises ``ValueError`` on a negative total, on negative or non-finite shares, and when a positive total meets no
    positive share.
    """
    weight = np.asarray(shares, dtype=np.float64)
    if not 0 <= total_micro <= _LARGEST:
        raise ValueError(f"total_micro: expected 0 to 2**53, got {total_micro}")
    if not (np.all(weight >= 0.0) and np.all(np.isfinite(weight))):
        raise ValueError("shares: expected finite numbers of at least 0")
    parts = np.zeros(weight.shape, dtype=np.int64)
    if total_micro == 0:
        return parts
    sharing = np.flatnonzero(weight > 0.0)
    if sharing.size == 0:
        raise ValueError(f"shares: nobody has a positive share of the {total_micro} micro-units")
    relative = weight[sharing] / weight[sharing].max()  # keeps the sum of huge shares finite
    quota = total_micro * relative / relative.sum()
    parts[sharing] = np.floor(quota)
    order = sharing[np.argsort(-np.round(quota - np.floor(quota), 9), kind="stable")]
    left = int(total_micro - parts.sum())
    # In exact arithmetic 0 <= left < len(order) and one pass is enough; floats can miss by a unit for huge totals.
    while left > 0:
        parts[order[:left]] += 1
        left -= min(left, len(order))
    while left < 0:
        takers = order[::-1][parts[order[::-1]] > 0][:-left]
        parts[takers] -= 1
        left += len(takers)
    return parts
