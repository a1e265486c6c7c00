"""All-in: single-minded owners sell their whole privacy budget or nothing (FL-Market, 2106.04384, Algorithm 4)."""

from __future__ import annotations

import numpy as np

from market.privacy_auction.bids import Bids, Sale, nothing


def all_in(bids: Bids, budget: float) -> Sale:
    """Owners by ascending unit valuation v enter while v <= B / (sum of d eps with them); p_i = d_i eps_i unit price.

    The total valuation of an owner is v eps d, so its unit valuation is v. A refusal does not end the walk: a smaller
    owner may still fit, which is why nearly but not exactly truthful.
    """
    owners = len(bids)
    order = np.argsort(bids.valuation, kind="stable")
    unit = bids.valuation[order]
    volume = (bids.data_size * bids.privacy_budget)[order]
    bought = np.cumsum(volume)
    refused = np.flatnonzero(unit > budget / bought)
    first = int(refused[0]) if len(refused) else owners
    entered = np.zeros(owners, dtype=np.bool_)
    entered[:first] = True
    total = float(bought[first - 1]) if first else 0.0
    # The total only grows: who would not fit now never will.
    for place in (first + np.flatnonzero(unit[first:] <= budget / (total + volume[first:]))).tolist():
        with_it = total + float(volume[place])
        if unit[place] <= budget / with_it:
            entered[place] = True
            total = with_it
    sale = nothing(owners)
    winners = order[entered]
    if len(winners):
        sale.epsilon[winners] = bids.privacy_budget[winners]
        sale.payment[winners] = bids.data_size[winners] * bids.privacy_budget[winners] * (budget / total)
    return sale
