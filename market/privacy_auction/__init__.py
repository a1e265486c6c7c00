"""The privacy auction game: owners sell differential-privacy budget to a buyer within the buyer's budget.

Rules are pure: ``RULES[name](bids, budget)`` tells what is sold, ``settle`` what that is worth to owners as they are.
MFG-RegretNet (arXiv 2603.28329) and its rivals stand side by side under one utility, u = p - v epsilon.
"""

from __future__ import annotations

from market.privacy_auction.bids import Bids, Rule, Sale, SaleOutcome, play_round, settle
from market.privacy_auction.rules import RULES, RuleName, clear

__all__ = ["RULES", "Bids", "Rule", "RuleName", "Sale", "SaleOutcome", "clear", "play_round", "settle"]
