"""What a buyer could get that knew all valuations: the ceiling of every rule that is rational and within the budget."""

from __future__ import annotations

import numpy as np

from market.privacy_auction.bids import Bids, Sale, nothing


def first_best(bids: Bids, budget: float) -> Sale:
    """The cheapest epsilon first at its true cost, the last of it in part, until the budget is spent.

    Not incentive compatible.
    """
    sale = nothing(len(bids))
    order = np.argsort(bids.valuation, kind="stable")
    valuation, cap = bids.valuation[order], bids.privacy_budget[order]
    cost = valuation * cap
    before = np.cumsum(cost) - cost
    left = np.clip(budget - before, 0.0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(cost <= left, cap, np.minimum(left / valuation, cap))
    sale.epsilon[order] = part
    sale.payment[order] = valuation * part
    return sale
