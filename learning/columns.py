"""Short names for the array types that cross the floors. A column has one entry per owner (or shard, or upload)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatColumn = NDArray[np.float64]
IntColumn = NDArray[np.int64]
BoolColumn = NDArray[np.bool_]

_BLOCK = 1024


def nth_true(mask: BoolColumn, places: IntColumn) -> IntColumn:
    """Where the entries of ``mask`` that hold have these places among themselves, both counted from 0.

    As ``np.flatnonzero(mask)[places]``, but what does not matter is only counted. Raises ``IndexError`` for a place
    that is too high.
    """
    whole = len(mask) - len(mask) % _BLOCK
    counts = np.count_nonzero(mask[:whole].reshape(-1, _BLOCK), axis=1)
    ends = np.cumsum(np.append(counts, np.count_nonzero(mask[whole:])))
    found = np.empty(len(places), dtype=np.int64)
    block = np.searchsorted(ends, places, side="right")
    for number in np.unique(block).tolist():
        here, start = block == number, number * _BLOCK
        before = 0 if number == 0 else ends[number - 1]
        found[here] = start + np.flatnonzero(mask[start : start + _BLOCK])[places[here] - before]
    return found
