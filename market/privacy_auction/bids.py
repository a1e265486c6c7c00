"""The privacy auction as a game: what owners bid, what a rule sells, and what that is worth to owners as they are.

Owners sell privacy loss epsilon; u_i = p_i - v_i epsilon_i and the clients' welfare is the sum of u_i (equations 6 and
7 of MFG-RegretNet, arXiv 2603.28329). What owners say decides; valuations as they are price what was sold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn


@dataclass(frozen=True)
class Bids:
    """Columns [N] of a procurement auction for privacy.

    ``valuation``: money per unit of epsilon, at least 0; ``privacy_budget``: the most epsilon that an owner sells,
    above 0; ``data_size``: samples or any measure of them, above 0, ones where sizes play no part.
    """

    valuation: FloatColumn
    privacy_budget: FloatColumn
    data_size: FloatColumn

    @staticmethod
    def of_equals(valuation: FloatColumn, privacy_budget: FloatColumn) -> Bids:
        """Bids of owners with data of one size."""
        return Bids(valuation, privacy_budget, np.ones(len(valuation)))

    def __len__(self) -> int:
        return len(self.valuation)

    def take(self, rows: IntColumn | BoolColumn) -> Bids:
        """Some of the bids."""
        return Bids(self.valuation[rows], self.privacy_budget[rows], self.data_size[rows])


class Sale(NamedTuple):
    """What a rule buys: ``epsilon`` [N] and ``payment`` [N] in money."""

    epsilon: FloatColumn
    payment: FloatColumn


Rule = Callable[[Bids, float], Sale]
"""A mechanism: bids and the buyer's budget (money, above 0) in, what is sold out."""


@dataclass(frozen=True)
class SaleOutcome:
    """A sale and its worth: ``utility`` [N] and ``social_welfare`` (sum of utilities) in money at true valuations.

    ``epsilon_share`` is epsilon bought over all epsilon there is; ``winners`` are the owners that sell something.
    """

    epsilon: FloatColumn
    payment: FloatColumn
    utility: FloatColumn
    total_payment: float
    social_welfare: float
    epsilon_share: float
    winners: IntColumn


def settle(truth: Bids, sale: Sale) -> SaleOutcome:
    """What a sale is worth to owners of these true types."""
    utility = sale.payment - truth.valuation * sale.epsilon
    return SaleOutcome(
        epsilon=sale.epsilon,
        payment=sale.payment,
        utility=utility,
        total_payment=float(sale.payment.sum()),
        social_welfare=float(utility.sum()),
        epsilon_share=float(sale.epsilon.sum() / truth.privacy_budget.sum()),
        winners=np.flatnonzero(sale.epsilon > 0.0),
    )


def play_round(rule: Rule, truth: Bids, reports: Bids, budget: float) -> SaleOutcome:
    """Clear on ``reports`` and settle on ``truth``."""
    return settle(truth, rule(reports, budget))


def nothing(owners: int) -> Sale:
    """No sale at all."""
    return Sale(np.zeros(owners), np.zeros(owners))
