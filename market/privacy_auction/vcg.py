"""The rule called "VCG" in the code of MFG-RegretNet: a (k+1)-price threshold, not a Clarke payment."""

from __future__ import annotations

import numpy as np

from market.privacy_auction.bids import Bids, Sale, nothing
from market.privacy_auction.pac import uniform_price


def vcg(bids: Bids, budget: float) -> Sale:
    """k = the largest k < N with k v_k+1 / (N - k) <= B; the k cheapest sell 1 / (N - k) for v_k+1 / (N - k).

    Equal to ``pac`` where the budget is slack. Privacy budgets are not read.
    """
    owners = len(bids)
    order = np.argsort(bids.valuation, kind="stable")
    sellers = np.arange(1, owners)
    price = bids.valuation[order][1:] / (owners - sellers)
    affordable = np.flatnonzero(sellers * price <= budget)
    if not len(affordable):
        return nothing(owners)
    count = int(sellers[affordable[-1]])
    return uniform_price(owners, order[:count], 1.0 / (owners - count), float(price[count - 1]))
