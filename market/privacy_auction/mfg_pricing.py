"""MFG-Pricing: everybody sells everything and shares the budget, whatever it costs them; no auction.

Hu-Bolz et al., High-Confidence Computing 5(1), 2025, in the form of the MFG-RegretNet repository, without its clamp.
"""

from __future__ import annotations

from market.privacy_auction.bids import Bids, Sale


def mfg_pricing(bids: Bids, budget: float) -> Sale:
    """eps_out = eps and p_i = B eps_i / sum eps. Valuations play no part, so owners may lose."""
    return Sale(bids.privacy_budget.copy(), budget * (bids.privacy_budget / bids.privacy_budget.sum()))
