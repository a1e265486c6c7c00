"""The data owners' Tullock contest: shares of a reward in proportion to effort, each unit of effort at its own cost.

Effort is the effective contribution ``q = quality * contribution``. Owner n has the cost ``c = unit cost / quality``
per unit of effort and, where contributions are capped, a largest effort. For a reward R and total effort Q its payoff
``R q / Q - c q`` is concave in q, so its best response is

    q(Q) = clip(Q - c Q^2 / R, 0, largest effort)

and the Nash equilibrium is the one Q > 0 at which these sum to Q; ``q(Q) / Q`` falls in Q, so the root is unique.
There is none where fewer than two owners can contribute: all columns are zero then.

Effort that costs nothing is the limit of effort that costs ever less. One free owner alone gives ``Q = R / c`` with c
the lowest cost of the others, at which these stay out: an equilibrium, too. Of two or more free owners each gains by
more effort, whatever the other does, up to its cap; without one there is no equilibrium, and its effort is infinite.

Columns have one entry per owner: costs in money per unit of effort (at least 0; infinite: cannot contribute), largest
efforts in units of effort (at least 0; infinite: no cap).
"""

from __future__ import annotations

import math

import numpy as np

from learning.columns import FloatColumn


def contribution_rate(cost: FloatColumn) -> float:
    """Total effort per unit of reward when nobody is capped, kappa: 0 where fewer than two owners can contribute.

    With the m owners that are active in equilibrium, ``kappa = (m - 1) / sum of their costs``: the cheapest ones, up
    to the last whose cost is below ``1 / kappa``. Who is active does not depend on the reward. O(N log N). Infinite
    where two or more owners are free.
    """
    able = np.sort(cost[np.isfinite(cost)])
    if len(able) < 2:
        return 0.0
    if able[0] == 0.0:
        return 1.0 / float(able[1]) if able[1] > 0.0 else math.inf
    with np.errstate(over="ignore"):  # what leaves the doubles is out of reach: infinite is not below anything
        relative = able / able[0]
        active = int(np.count_nonzero(np.arange(len(able)) * relative < np.cumsum(relative)))
    # The condition holds for a first stretch only, so counting finds its end. Summed again: cumsum is less exact.
    return (active - 1) / float(relative[:active].sum()) / float(able[0])


def equilibrium_effort(reward: float, cost: FloatColumn, largest: FloatColumn | None = None) -> FloatColumn:
    """Everybody's effort in the Nash equilibrium for a ``reward`` (money, at least 0), [N]."""
    able = np.isfinite(cost) if largest is None else np.isfinite(cost) & (largest > 0.0)
    effort = np.zeros(len(cost))
    if reward > 0.0 and np.count_nonzero(able) >= 2:
        effort[able] = _effort_of_able(reward, cost[able], None if largest is None else largest[able])
    return effort


def first_order_rate(cost: FloatColumn) -> float:
    """Total effort per unit of reward at the root of all first-order conditions: ``(N - 1) / sum of costs``.

    0 where they have none: somebody's cost is infinite, or everybody is free.
    """
    total = float(cost.sum())
    return (len(cost) - 1) / total if 0.0 < total < math.inf else 0.0


def first_order_effort(reward: float, cost: FloatColumn) -> FloatColumn:
    """The root of the unconstrained first-order conditions, [N]: negative for owners who had better stay out.

    The authors' code solves these. Where no entry is negative it is the equilibrium. An owner of infinite cost has no
    first-order condition: all entries are zero then.
    """
    total = first_order_rate(cost) * reward
    return total * (1.0 - cost * total / reward) if total > 0.0 else np.zeros(len(cost))


def _effort_of_able(reward: float, cost: FloatColumn, largest: FloatColumn | None) -> FloatColumn:
    total = contribution_rate(cost) * reward
    if total == math.inf:
        caps = np.full(len(cost), math.inf) if largest is None else largest
        if bool(np.isinf(caps[cost == 0.0]).any()):
            return np.where(cost == 0.0, caps, 0.0)
        with np.errstate(divide="ignore"):  # a bound for the search only: a best response is at most R / 4c
            caps = np.minimum(caps, reward / cost)
        return _capped_effort(cost / reward, caps, total)
    effort = np.maximum(total * (1.0 - cost * (total / reward)), 0.0)
    if largest is None or bool((effort <= largest).all()):
        return effort
    return _capped_effort(cost / reward, largest, total)


def _capped_effort(slope: FloatColumn, largest: FloatColumn, uncapped: float) -> FloatColumn:
    total = _capped_total(slope, largest, uncapped)
    return np.clip(total * (1.0 - slope * total), 0.0, largest)


def _capped_total(slope: FloatColumn, largest: FloatColumn, uncapped: float) -> float:
    """The Q at which the capped best responses sum to Q; ``slope`` is cost / reward.

    Between two kinks, k owners respond freely and the capped ones give B together, so Q solves
    ``C Q^2 - (k - 1) Q - B = 0`` with C the sum of slopes of the k. Each step solves this for the sets at hand and
    keeps a bracket, halved where the solution leaves it; once the sets stay, the solution is exact.
    """
    low, high = 0.0, min(uncapped, float(largest.sum()))
    total = high
    while True:
        response = total * (1.0 - slope * total)
        capped = response >= largest
        free = (response > 0.0) & ~capped
        count = int(np.count_nonzero(free))
        steepness, fixed = float(slope[free].sum()), float(largest[capped].sum())
        excess = (count - 1) * total - steepness * total * total + fixed
        if excess >= 0.0:
            low = total
        if excess <= 0.0:
            high = total
        if count and steepness == 0.0:
            step = math.inf  # free and below their caps: there is more to come
        elif count:
            spare = (count - 1) / (2.0 * steepness)
            step = spare + math.sqrt(spare * spare + fixed / steepness)
        else:
            step = fixed
        if step == total or not low < high:
            return total
        if not low < step < high:
            step = 0.5 * (low + high)
            if not low < step < high:
                return total
        total = step
