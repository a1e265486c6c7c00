"""What one owner gains by bidding under several names: its data split into parts, each with a bid of its own.

Every record is in one part only, so the releases of the parts compose in parallel (McSherry 2009, "Privacy integrated
queries", theorem 4): the owner loses the largest epsilon that any of its names sells, and not their sum. It is paid for
each. That makes false names worth while under every rule that pays by the head; All-in pays by the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.privacy_auction.bids import Bids, Rule, Sale


class Split(NamedTuple):
    """What an owner has as it is, and under several names, at its true valuation: utilities in money."""

    honest: float
    split: float

    @property
    def gain(self) -> float:
        """What the names bring, money; below 0 where they cost."""
        return self.split - self.honest


def split_bids(bids: Bids, owner: int, names: int) -> Bids:
    """The bids with this one replaced by as many equal ones, each with an equal part of the data, at the end.

    Raises ``ValueError`` for fewer than one name.
    """
    if names < 1:
        raise ValueError(f"names must be at least 1, got {names}")
    others = bids.take(np.arange(len(bids)) != owner)

    def with_names(column: FloatColumn, own: float) -> FloatColumn:
        return np.concatenate([column, np.full(names, own)])

    return Bids(
        with_names(others.valuation, float(bids.valuation[owner])),
        with_names(others.privacy_budget, float(bids.privacy_budget[owner])),
        with_names(others.data_size, float(bids.data_size[owner]) / names),
    )


def sybil_gain(rule: Rule, bids: Bids, budget: float, owner: int, names: int) -> Split:
    """What this owner has with one name and with ``names`` of them, all others telling the truth.

    A name is never bought more of than its privacy budget: what a rule allocates beyond is cut, as in the market.
    """
    alone = _utility(rule(bids, budget), bids, np.array([owner]))
    several = split_bids(bids, owner, names)
    own = np.arange(len(several) - names, len(several))
    return Split(alone, _utility(rule(several, budget), several, own))


def _utility(sale: Sale, bids: Bids, own: IntColumn) -> float:
    lost = float(np.minimum(sale.epsilon[own], bids.privacy_budget[own]).max())
    return float(sale.payment[own].sum()) - float(bids.valuation[own[0]]) * lost
