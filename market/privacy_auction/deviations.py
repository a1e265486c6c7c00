"""What the owners of one static market would gain by lying about valuation and privacy budget, and what a sale breaks.

One owner lies at a time, all others tell the truth, and the reported privacy budget is never above the true one. A lie
is worth what it brings at the liar's true valuation. The grid costs one clearing per owner and report; where there are
many owners, evenly spaced ones stand for all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.privacy_auction.bids import Bids, Rule, Sale, SaleOutcome

CAP_SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)
"""Reported privacy budgets, in units of the true one."""
VALUATIONS = 31
REACH = 1.5
"""Valuations are reported on this many even points from 0 to ``REACH`` times the highest true one,"""
NEARBY = (0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0)
"""and at these multiples of the own one."""

MOST_PAIRS = 1_000_000
"""Owners times deviators, at most; at least one owner is looked at. Up to 1,000 owners that is all of them."""
NEGLIGIBLE = 1e-9
"""Losses and excesses up to this, relative to the budget, are put down to float arithmetic."""


class Rationality(NamedTuple):
    """How many owners end below zero, and the lowest utility (money)."""

    violations: int
    worst: float


class Regret(NamedTuple):
    """The best lie found per owner looked at: ``owner`` [A], ``gain`` [A] (money, at least 0), ``mean_cost`` (money).

    ``mean_cost`` is the mean of v eps sold over all owners; where that is 0, of v eps offered; where that is 0 too,
    the budget per owner.
    """

    owner: IntColumn
    gain: FloatColumn
    mean_cost: float

    @property
    def mean(self) -> float:
        """Mean gain relative to the mean cost."""
        return float(self.gain.mean()) / self.mean_cost

    @property
    def largest(self) -> float:
        """Largest gain relative to the mean cost."""
        return float(self.gain.max()) / self.mean_cost


def individual_rationality(outcome: SaleOutcome, budget: float) -> Rationality:
    """Who loses by being in the market; the outside option is worth 0."""
    return Rationality(int((outcome.utility < -NEGLIGIBLE * budget).sum()), float(outcome.utility.min()))


def is_budget_feasible(sale: Sale | SaleOutcome, budget: float) -> bool:
    """Whether payments keep within the budget."""
    return float(sale.payment.sum()) <= budget * (1.0 + NEGLIGIBLE)


def cap_violations(bids: Bids, sale: Sale | SaleOutcome) -> BoolColumn:
    """[N], true where more epsilon is bought than the owner has."""
    violated: BoolColumn = sale.epsilon > bids.privacy_budget * (1.0 + NEGLIGIBLE)
    return violated


def mean_cost(bids: Bids, epsilon: FloatColumn, budget: float) -> float:
    """What regret is relative to; see ``Regret``."""
    realised = float((bids.valuation * epsilon).mean())
    offered = float((bids.valuation * bids.privacy_budget).mean())
    return realised or offered or budget / len(bids)


def attacked_owners(bids: Bids, most: int) -> IntColumn:
    """All owners, or ``most`` of them evenly spaced by valuation."""
    owners = len(bids)
    if owners <= most:
        return np.arange(owners)
    by_valuation = np.argsort(bids.valuation, kind="stable")
    return np.sort(by_valuation[np.linspace(0, owners - 1, most).round().astype(np.int64)])


def reports_of(bids: Bids, owner: int) -> tuple[FloatColumn, FloatColumn]:
    """The grid of reports that one owner tries: valuations and privacy budgets, all combinations in two columns."""
    own = float(bids.valuation[owner])
    even = np.linspace(0.0, REACH * float(bids.valuation.max()), VALUATIONS)
    valuations = np.concatenate([[own], even, own * np.array(NEARBY)])
    caps = float(bids.privacy_budget[owner]) * np.array(CAP_SHARES)
    grid = np.meshgrid(valuations, caps, indexing="ij")
    return grid[0].ravel(), grid[1].ravel()


def grid_regret(rule: Rule, bids: Bids, budget: float, most_pairs: int = MOST_PAIRS) -> Regret:
    """The best report on the grid, for as many owners as ``most_pairs`` allow."""
    honest = rule(bids, budget)
    owners = attacked_owners(bids, max(1, most_pairs // len(bids)))
    gain = np.zeros(len(owners))
    said = Bids(bids.valuation.copy(), bids.privacy_budget.copy(), bids.data_size)
    for row, owner in enumerate(owners.tolist()):
        true_value = float(bids.valuation[owner])
        truth = float(honest.payment[owner]) - true_value * float(honest.epsilon[owner])
        for valuation, cap in zip(*reports_of(bids, owner), strict=True):
            said.valuation[owner], said.privacy_budget[owner] = valuation, cap
            sale = rule(said, budget)
            lie = float(sale.payment[owner]) - true_value * float(sale.epsilon[owner])
            gain[row] = max(gain[row], lie - truth)
        said.valuation[owner] = bids.valuation[owner]
        said.privacy_budget[owner] = bids.privacy_budget[owner]
    return Regret(owners, gain, mean_cost(bids, honest.epsilon, budget))
