"""Matching in a population that changes: who has a center keeps it, the others are matched with centers that are free.

With more owners than centers, a center takes a second owner once every center has one, and so on.
"""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.qd_rdfl.matching import ALONE, stable_match


def rematch(kept: IntColumn, contribution: FloatColumn, target: FloatColumn, cost_factor: FloatColumn) -> IntColumn:
    """Each owner's center [N]: ``kept`` where that is one, else matched.

    ``kept`` [N] holds centers or ``ALONE``; contributions [N] and targets [M] have one unit, cost factors are [M]. Each
    turn is a stable one-to-one matching of those without a center with the centers that have fewest owners. Nobody is
    left alone as long as there is a center.
    """
    match = kept.copy()
    if len(target) == 0:
        return match
    taken = np.bincount(match[match != ALONE], minlength=len(target))
    while len(waiting := np.flatnonzero(match == ALONE)):
        free = np.flatnonzero(taken == taken.min())
        found = stable_match(contribution[waiting], target[free], cost_factor[free])
        chosen = found != ALONE
        match[waiting[chosen]] = free[found[chosen]]
        taken += np.bincount(match[waiting[chosen]], minlength=len(target))
    return match
