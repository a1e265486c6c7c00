"""Free entry: what a newcomer can expect, and how many equal owners a market feeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from market.qd_rdfl.equilibrium import Market, solve


def entry_utility(market: Market, quality: float, cap: float | None = None) -> float:
    """The utility (money) of one more owner of this quality, once the market with it has settled.

    A newcomer without a ``cap`` is uncapped, also where the others have caps.
    """
    qualities, caps = np.append(market.quality, quality), market.cap
    if caps is not None or cap is not None:
        present = np.full(len(market.quality), math.inf) if caps is None else caps
        caps = np.append(present, math.inf if cap is None else cap)
    return float(solve(replace(market, quality=qualities, cap=caps)).utility_owner[-1])


def equal_owner_utility(revenue_scale: float, effort_cost: float, owners: int) -> float:
    """The utility (money) of each of ``owners`` equal ones: ``(A - c N / (N - 1)) / N^2``, 0 where nobody trades.

    ``effort_cost``: money per unit of effective contribution, c; with quality 1 and prices 1 it is 1.
    """
    if owners < 2:
        return 0.0
    return max(0.0, revenue_scale - effort_cost * owners / (owners - 1)) / owners**2


def free_entry_size(revenue_scale: float, effort_cost: float, outside_option: float) -> int:
    """The largest number of equal owners that have at least their ``outside_option`` (money, above 0); 0 if none.

    ``A - c - c / (N - 1) - u0 N^2`` is concave in N, so the sizes that feed their owners form one stretch.
    """
    if not (outside_option > 0.0 and math.isfinite(outside_option)):
        raise ValueError(f"outside_option: expected a positive number, got {outside_option}")

    def feeds(owners: int) -> bool:
        return equal_owner_utility(revenue_scale, effort_cost, owners) >= outside_option

    top = math.cbrt(effort_cost / (2.0 * outside_option))  # where the concave expression peaks, N - 1 < top < N
    near = [owners for owners in range(max(2, int(top) - 1), int(top) + 4) if feeds(owners)]
    if not near:
        return 0
    low, high = max(near), math.isqrt(math.ceil(revenue_scale / outside_option)) + 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if feeds(middle) else (low, middle)
    return low
