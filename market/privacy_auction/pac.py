"""PAC, the FairQuery auction: the cheapest owners sell the same epsilon at the same price.

Ghosh and Roth, "Selling privacy at auction", Algorithm 1 as printed for federated learning in arXiv 2603.28329. It
never reads privacy budgets, so it may buy more epsilon than an owner has; ``pac_capped`` buys from those alone that
have as much. Both are O(N log N).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.privacy_auction.bids import Bids, Sale, nothing


def pac(bids: Bids, budget: float) -> Sale:
    """The k cheapest sell 1 / (N - k) each, at min(B / k, v_k+1 / (N - k)).

    k is the largest k < N with v_k / (N - k) <= B / k; without any nothing is bought.
    """
    owners = len(bids)
    order = np.argsort(bids.valuation, kind="stable")
    valuation = bids.valuation[order]
    sellers = np.arange(1, owners)
    affordable = np.flatnonzero(valuation[:-1] / (owners - sellers) <= budget / sellers)
    if not len(affordable):
        return nothing(owners)
    count = int(sellers[affordable[-1]])
    level = 1.0 / (owners - count)
    return uniform_price(owners, order[:count], level, min(budget / count, float(valuation[count]) * level))


def pac_capped(bids: Bids, budget: float) -> Sale:
    """The same among owners whose privacy budget reaches the level 1 / (N - k), of whom there must be k + 1 at least.

    The largest k is taken for which the k-th cheapest of those can be paid. Whether it is truthful is not proven.
    """
    owners = len(bids)
    # Owner i counts for every k up to some k_i only: both the level and the payable valuation tighten with k.
    eligible = _last_true(owners - 1.0 / bids.privacy_budget, owners, lambda k: bids.privacy_budget >= 1 / (owners - k))
    payable = _last_true(
        budget * owners / (budget + bids.valuation),
        owners,
        lambda k: bids.valuation * (1 / (owners - k)) <= budget / np.maximum(k, 1),
    )
    many = _at_least(eligible, owners)
    cheap = _at_least(np.minimum(eligible, payable), owners)
    sellers = np.arange(owners)
    found = np.flatnonzero((sellers >= 1) & (many >= sellers + 1) & (cheap >= sellers))
    if not len(found):
        return nothing(owners)
    count = int(found[-1])
    level = 1.0 / (owners - count)
    rows = np.flatnonzero(eligible >= count)
    order = rows[np.argsort(bids.valuation[rows], kind="stable")]
    runner_up = float(bids.valuation[order[count]])
    return uniform_price(owners, order[:count], level, min(budget / count, runner_up * level))


def uniform_price(owners: int, winners: IntColumn, level: float, price: float) -> Sale:
    """Each winner sells ``level`` of epsilon for ``price``."""
    sale = nothing(owners)
    sale.epsilon[winners] = level
    sale.payment[winners] = price
    return sale


def _last_true(near: FloatColumn, owners: int, holds: Callable[[IntColumn], BoolColumn]) -> IntColumn:
    """Per owner the largest k in 0 .. N - 1 for which a condition holds that once false stays so; ``near`` it."""
    guess = np.clip(np.floor(near), 0, owners - 1).astype(np.int64)
    # Rounding puts the guess off by one at most; the condition as it is printed decides.
    above = np.minimum(guess + 1, owners - 1)
    return np.where(holds(above), above, np.where(holds(guess), guess, np.maximum(guess - 1, 0)))


def _at_least(last: IntColumn, owners: int) -> IntColumn:
    """For each k in 0 .. N - 1 how many owners have ``last`` of at least k."""
    counts: IntColumn = np.cumsum(np.bincount(last, minlength=owners)[::-1])[::-1]
    return counts
