"""What one round came to, as columns: filled phase by phase, then written to the tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement import Evidence


@dataclass
class Settled:
    """What one round came to; columns are aligned with ``owner`` (its flights that are settled now)."""

    owner: IntColumn
    arrived: BoolColumn
    upload: IntColumn
    violation: BoolColumn
    lie: BoolColumn
    weight: FloatColumn
    contribution: FloatColumn
    contribution_error: FloatColumn
    evidence: Evidence  # what the regulator has of it before anybody is audited
    spent: FloatColumn
    samples: IntColumn  # really trained on
    synthetic: IntColumn  # synthetic samples really made
    told_volume: FloatColumn  # synthetic samples that the mechanism asked for
    generation_spent: FloatColumn
    previous_accuracy: float
    payment: FloatColumn
    audited: BoolColumn
    flagged: BoolColumn
    penalty: FloatColumn  # slashed, and fees of appeals that were turned down
    strategy: IntColumn  # of everybody (one entry per identity), as played in this round
    revenue: float = 0.0
    paid: float = 0.0
    paid_by_world: float = 0.0  # to owners by the mechanism, at nobody's expense in the market
    slashed: float = 0.0
    audit_cost: float = 0.0  # appeals included
    server_fees: float = 0.0
    appeal_fees: float = 0.0  # of appeals that were turned down
    claimed: float = 0.0
    expelled: int = 0
    center_income: float = 0.0
    sharing_gain: FloatColumn = field(init=False)  # worth of the models of others used
    sharing_loss: FloatColumn = field(init=False)  # lost as others used the own model
    own_performance: FloatColumn = field(init=False)  # of the model on own labels, where the mechanism asks for it
    competition_loss: FloatColumn = field(init=False)  # lost to rivals
    net_payment: FloatColumn = field(init=False)  # paid to other owners less got from them
    purchases: IntColumn = field(init=False)
    sales: IntColumn = field(init=False)
    quitting: BoolColumn = field(init=False)  # refused the bill
    bankrupt: BoolColumn = field(init=False)  # could not pay it
    epsilon: FloatColumn = field(init=False)  # privacy loss sold
    epsilon_lost: FloatColumn = field(init=False)  # privacy loss of what was sent
    privacy_cost: FloatColumn = field(init=False)  # that at the true valuation, money
    paper_utility: FloatColumn = field(default_factory=lambda: np.zeros(0))  # of each owner, as the source defines it
    paper_model_owner: float = np.nan
    paper_centers: float = np.nan

    def __post_init__(self) -> None:
        count = len(self.owner)
        self.sharing_gain, self.sharing_loss, self.net_payment = np.zeros(count), np.zeros(count), np.zeros(count)
        self.own_performance, self.competition_loss = np.full(count, np.nan), np.zeros(count)
        self.purchases, self.sales = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self.epsilon, self.epsilon_lost, self.privacy_cost = np.zeros(count), np.zeros(count), np.zeros(count)
        self.quitting, self.bankrupt = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
