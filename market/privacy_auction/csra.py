"""CSRA: owners ranked by quality for money, paid by the first one that is left out.

Yang et al., IEEE TIFS 19, 2024, in the one-shot form of the MFG-RegretNet repository. There the payment is for the
whole privacy budget and the allocation is that of PAC (``as_coded``); ``declared`` buys what is paid for.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from learning.columns import FloatColumn
from market.privacy_auction.bids import Bids, Sale, nothing

Allocation = Literal["as_coded", "declared"]


def csra(bids: Bids, budget: float, allocation: Allocation = "as_coded", honesty: FloatColumn | None = None) -> Sale:
    """Quality q_i = H_i (eps_i / sum eps) (d_i / sum d), bid b_i = v_i eps_i; winners are the k best by q / b.

    k is the largest k < N for which (b_k+1 / q_k+1) sum of the winners' q is within the budget; p_i = (b_k+1 / q_k+1)
    q_i. ``honesty`` [N] above 0 is the past share of honest rounds, 1 for all without it. Winners sell 1 / (N - k)
    (``as_coded``, privacy budgets not heeded) or their privacy budget (``declared``).
    """
    owners = len(bids)
    worth = bids.data_size if honesty is None else honesty * bids.data_size
    whole = bids.privacy_budget.sum() * bids.data_size.sum()
    quality = bids.privacy_budget / bids.privacy_budget.sum() * (worth / bids.data_size.sum())
    rank = bids.valuation / worth  # b / q without its common factor, so that equals stay equal
    unit_cost = rank * whole
    order = np.argsort(rank, kind="stable")
    ranked = quality[order]
    needed = unit_cost[order][1:] * np.cumsum(ranked)[:-1]
    affordable = np.flatnonzero(needed <= budget)
    if not len(affordable):
        return nothing(owners)
    count = int(affordable[-1]) + 1
    winners = order[:count]
    sale = nothing(owners)
    sale.epsilon[winners] = bids.privacy_budget[winners] if allocation == "declared" else 1.0 / (owners - count)
    sale.payment[winners] = unit_cost[order[count]] * ranked[:count]
    return sale
