"""Computing centers: how much data each of them wants to train on, for the fees that the data owners pay together.

Columns have one entry per center; a unit cost is money per unit of data (unit compute cost * cost factor).
"""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn
from market.qd_rdfl.contest import equilibrium_effort


def equilibrium_loads(fees: float, data: float, cost: FloatColumn) -> FloatColumn:
    """Loads in the Nash equilibrium of ``U_m = fees * d_m / sum d - cost_m d_m``, [M], in units of data.

    The centers' contest is that of the owners, with the ``fees`` (money) as its reward. Loads need not sum to the
    contributed ``data``. A single center has nobody to contest the fees with: it takes the data as they are.

    Where the costs of two or more centers fall to 0, their loads grow without bound, they share the fees and all others
    stay out. At 0 each of them aims at all the data: like any greater load, that prefers the largest contribution.
    """
    if len(cost) == 1:
        return np.array([max(data, 0.0)])
    free = cost == 0.0
    if np.count_nonzero(free) > 1 and fees > 0.0:
        return np.where(free, max(data, 0.0), 0.0)
    return equilibrium_effort(fees, cost)


def target_loads(contribution: FloatColumn, cost: FloatColumn) -> FloatColumn:
    """The authors' heuristic, [M], in units of data: a preference, no equilibrium.

    Their code climbs a gradient that all steps of a sweep share, ``fees / sum d - cost_m``, from equal loads, and then
    stretches the loads onto the range of the owners' contributions. Whatever the number of steps, the loads before the
    stretch are one and the same number minus a multiple of the cost, so the stretch decides alone: the cheapest center
    aims at the largest contribution, the dearest at the smallest. Where all costs are equal that is 0 / 0; all aim
    at the middle then.
    """
    smallest, largest = float(contribution.min()), float(contribution.max())
    spread = float(cost.max() - cost.min())
    cheapness = (cost.max() - cost) / spread if spread > 0.0 else np.full(len(cost), 0.5)
    return smallest + (largest - smallest) * cheapness
