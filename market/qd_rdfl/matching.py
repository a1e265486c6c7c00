"""Stable one-to-one matching of data owners and computing centers.

Every owner wants the center with the highest cost factor (the authors read it as power); a center wants the owner
whose contribution is closest to its target. Ties go to the lower index on both sides. As all owners agree, deferred
acceptance with proposing owners ends where the centers choose in turn, from the most wanted one down. With unequal
numbers the least wanted centers, or the owners that nobody chose, stay alone.

Columns: contributions [N] and targets [M] in the same unit, cost factors [M], match [N] with the owner's center or
``ALONE``.
"""

from __future__ import annotations

import bisect

import numpy as np

from learning.columns import FloatColumn, IntColumn

ALONE = -1

_CHUNK = 2**22  # pairs that are compared at once


def stable_match(contribution: FloatColumn, target: FloatColumn, cost_factor: FloatColumn) -> IntColumn:
    """Each owner's center. O((N + M) log N)."""
    match = np.full(len(contribution), ALONE, dtype=np.int64)
    remaining = _Remaining(contribution)
    for center in np.argsort(-cost_factor, kind="stable")[: len(contribution)].tolist():
        match[remaining.take_closest(float(target[center]))] = center
    return match


def blocking_pairs(match: IntColumn, contribution: FloatColumn, target: FloatColumn, cost_factor: FloatColumn) -> int:
    """How many owners and centers would both rather have each other than what they have; 0 if the match is stable."""
    matched = np.flatnonzero(match != ALONE)
    owner_has = np.full(len(match), -np.inf)
    owner_has[matched] = cost_factor[match[matched]]
    center_has = np.full(len(target), np.inf)
    center_has[match[matched]] = np.abs(contribution[matched] - target[match[matched]])
    found, rows = 0, max(1, _CHUNK // max(1, len(target)))
    for start in range(0, len(match), rows):
        some = slice(start, start + rows)
        wanted = cost_factor > owner_has[some, None]
        found += int((wanted & (np.abs(contribution[some, None] - target) < center_has)).sum())
    return found


class _Remaining:
    """Owners nobody has chosen yet, by contribution; equal ones wait in a queue, the lowest index first."""

    def __init__(self, contribution: FloatColumn) -> None:
        order = np.argsort(contribution, kind="stable")
        values, starts = np.unique(contribution[order], return_index=True)
        self._values: list[float] = values.tolist()
        self._owners: list[int] = order.tolist()
        self._next: list[int] = starts.tolist()
        self._end: list[int] = [*self._next[1:], len(order)]
        # The nearest place with somebody left, at or beyond each place; shortened whenever it is walked.
        self._left = list(range(len(values)))
        self._right = list(range(len(values) + 1))

    def take_closest(self, target: float) -> int:
        """Choose and remove the owner whose contribution is closest to ``target``; somebody must remain."""
        place = bisect.bisect_left(self._values, target)
        candidates = [
            found
            for found in (_walk(self._left, place - 1), _walk(self._right, place))
            if 0 <= found < len(self._values)
        ]
        chosen = min(candidates, key=lambda at: (abs(self._values[at] - target), self._owners[self._next[at]]))
        owner = self._owners[self._next[chosen]]
        self._next[chosen] += 1
        if self._next[chosen] == self._end[chosen]:
            self._left[chosen], self._right[chosen] = chosen - 1, chosen + 1
        return owner


def _walk(link: list[int], place: int) -> int:
    """Follow the links from ``place`` to one that stays where it is (or beyond the ends), and shorten the way."""
    end = place
    while 0 <= end < len(link) and link[end] != end:
        end = link[end]
    while place != end:
        link[place], place = end, link[place]
    return end
