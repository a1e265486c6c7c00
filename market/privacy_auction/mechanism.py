"""The privacy auction as a mechanism: owners sell epsilon of a round, the rules of ``market.privacy_auction`` clear it.

Each round the model owner announces its budget and the mean field of the bids; owners report a valuation and the most
epsilon that they sell now; a rule turns this into epsilon and payments, and who sends what it sold is paid. Nobody
ever sells more than it reports: where a rule allocates beyond a privacy budget (PAC, VCG and CSRA never read it) the
epsilon is cut and the payment stays.

The mean field is the exponential moving average of the mean valuation bid, over rounds, so that it follows a drifting
population and not its noise. It is a published statistic: no rule reads it, for the networks go by the means of the
bids that they clear. The mechanism has no memory: the average is put on record with the owners that sell, and hangs on
them. With the last sellers gone it goes on from older ones, and without any of these begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import (
    AMPLE_PRIVACY,
    DATA_SIZE,
    MECHANISMS,
    PRIVACY_BUDGET,
    TRAINS_ANYWAY,
    VALUATION,
    Advice,
    Allocation,
    Board,
    Guarantee,
    Members,
    Outcome,
    PaperUtility,
    Reports,
    Settlement,
    Terms,
    Types,
)
from market.model_sharing import HOPE
from market.privacy_auction.bids import Bids
from market.privacy_auction.rules import RULES, RuleName
from market.settling import arrivals, pay_arrivals

MEAN_VALUATION = "mean valuation"
"""Figure of the terms, and record: the mean field, in money per epsilon; NaN before any bid."""
UNIT_PRICE, SHARE = "price of epsilon", "share sold"
"""Figures of the terms: money paid per epsilon in the last round, and the part of what sellers offered that was bought;
NaN before the first sale."""
_SOLD, _PAID, _OFFERED, _ROUND = "epsilon sold", "epsilon paid", "epsilon offered", "sold in round"

LEAST_EPSILON = 1e-9
"""Owners with less to sell than this are not asked: the rules are for budgets above 0."""

_LOSSLESS = frozenset(
    {"pac", "pac_capped", "vcg", "csra", "all_in", "first_best", "mfg_regretnet", "mfg_regretnet_free_markup"}
)
"""Rules that pay each seller at least its reported v epsilon, for data of one size and after the cut to its budget."""


@MECHANISMS.register("privacy_auction")
@dataclass(frozen=True)
class PrivacyAuction:
    """Owners sell privacy loss epsilon; a rule of the privacy auction decides how much, and for what.

    ``rule``: one of ``datagora solve privacy-auction``; ``sizes``: whether the rules that read data sizes (``csra``,
    ``all_in``) see the ``reported`` ones, or ``equal`` ones, under which u = p - v epsilon holds without a factor of
    size; ``memory``: weight in (0, 1] of the newest mean bid in the published mean field, which changes no decision;
    ``epsilon_value`` c: what the buyer's utility counts the epsilon for that it bought, c ln(1 + sum of epsilon) money
    (the source leaves it out).
    """

    rule: RuleName = "mfg_regretnet"
    sizes: Literal["equal", "reported"] = "equal"
    memory: float = 0.3
    epsilon_value: float = 1.0

    name: ClassVar[str] = "privacy_auction"
    needs: ClassVar[tuple[str, ...]] = (VALUATION, PRIVACY_BUDGET, DATA_SIZE)
    measures: ClassVar[tuple[str, ...]] = ()
    watches_members: ClassVar[bool] = True
    guarantees: ClassVar[tuple[Guarantee, ...]] = (
        Guarantee("budget_feasibility"),
        Guarantee("individual_rationality", when=TRAINS_ANYWAY),
    )
    recorded: ClassVar[Mapping[str, str]] = {"mean_field_valuation": MEAN_VALUATION}
    reference: ClassVar[str] = "Privacy Auction Game and MFG-RegretNet (2026), arXiv 2603.28329"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule: unknown rule '{self.rule}', known: {', '.join(RULES)}")
        if self.sizes not in ("equal", "reported"):
            raise ValueError(f"sizes: expected equal or reported, got {self.sizes}")
        if not 0.0 < self.memory <= 1.0:
            raise ValueError(f"memory: expected a number above 0 and at most 1, got {self.memory}")
        if not (self.epsilon_value >= 0.0 and math.isfinite(self.epsilon_value)):
            raise ValueError(f"epsilon_value: expected a number of at least 0, got {self.epsilon_value}")
        # The class tells for its default parameters, an instance for its own.
        object.__setattr__(self, "guarantees", _guarantees(self.rule, self.sizes))

    def announce(self, board: Board) -> Terms:
        """Publish the mean field, and what epsilon went for in the last round that sold any."""
        members = board.members or Members(np.zeros(0, dtype=np.int64), {}, {}, np.zeros(0, dtype=np.int64))
        figures = {MEAN_VALUATION: self._mean_field(members)}
        last = _last_sellers(members)
        sold, paid, offered = (float(_known(members, name)[last].sum()) for name in (_SOLD, _PAID, _OFFERED))
        figures[UNIT_PRICE] = paid / sold if sold > 0.0 else math.nan
        figures[SHARE] = sold / offered if offered > 0.0 else math.nan
        return Terms(board.round, board.budget, figures)

    def _mean_field(self, members: Members) -> float:
        """The moving average, one round on; the average alone or the mean alone where only one is known."""
        before = _known(members, MEAN_VALUATION)[_last_sellers(members)]
        claims, offered = (members.claims.get(name, np.zeros(0)) for name in (VALUATION, PRIVACY_BUDGET))
        claims = claims[np.isfinite(claims) & (offered >= LEAST_EPSILON)]  # who has sold out does not bid
        now = float(claims.mean()) if len(claims) else math.nan
        if not len(before):
            return now
        return float(before[0]) if math.isnan(now) else float((1.0 - self.memory) * before[0] + self.memory * now)

    def recommend(self, terms: Terms, types: Types) -> Advice:
        """Bid whatever there is to sell; expect to sell as much, and at the price, of the sellers of the last round.

        Honest owners leave it to the rule whether they sell: who would lose by a rule finds out by experience.
        """
        valuation, offered = types.column(VALUATION), types.column(PRIVACY_BUDGET)
        something = offered >= LEAST_EPSILON
        price, share = terms.figures[UNIT_PRICE], terms.figures[SHARE]
        if math.isnan(price):
            return Advice(
                something, np.ones(len(types)), np.where(something, HOPE, 0.0), expected_epsilon=np.zeros(len(types))
            )
        epsilon = np.where(something & (valuation <= price), share * offered, 0.0)
        return Advice(something, np.ones(len(types)), price * epsilon, expected_epsilon=epsilon)

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        """Clear the auction; ties are broken by owner number."""
        valuation, offered = reports.claims[VALUATION], reports.claims[PRIVACY_BUDGET]
        epsilon, payment = np.zeros(len(reports)), np.zeros(len(reports))
        bidding = np.argsort(reports.owner, kind="stable")
        bidding = bidding[self._bids_of(reports)[bidding]]
        if len(bidding) and terms.budget > 0.0:
            size = reports.claims[DATA_SIZE][bidding] if self.sizes == "reported" else np.ones(len(bidding))
            sale = RULES[self.rule](Bids(valuation[bidding], offered[bidding], size), terms.budget)
            epsilon[bidding] = np.minimum(sale.epsilon, offered[bidding])
            payment[bidding] = np.where(sale.epsilon > 0.0, sale.payment, 0.0)
        excess = float(payment.sum()) / terms.budget if terms.budget > 0.0 else 0.0
        if excess > 1.0:  # by rounding at most
            payment /= excess
        return Allocation(reports.owner, epsilon > 0.0, reports.data_share, payment, reports.claims, epsilon=epsilon)

    def _bids_of(self, reports: Reports) -> BoolColumn:
        """Whose reports are bids: something to sell, at a number."""
        claims = reports.claims
        fit = np.isfinite(claims[VALUATION]) & (claims[VALUATION] >= 0.0) & (claims[PRIVACY_BUDGET] >= LEAST_EPSILON)
        return fit & (claims[DATA_SIZE] > 0.0) if self.sizes == "reported" else fit

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        """Pay who has sent what it sold; put sale and mean field on record for the next announcement."""
        came = arrivals(allocation, outcome)
        sold = _sold(allocation)
        settlement = pay_arrivals(allocation, outcome, allocation.promised, claimed=float(sold[came].sum()))
        records = {
            _SOLD: sold,
            _PAID: allocation.promised,
            _OFFERED: allocation.claims[PRIVACY_BUDGET],
            _ROUND: np.full(len(sold), float(terms.round)),
            MEAN_VALUATION: np.full(len(sold), terms.figures[MEAN_VALUATION]),
        }
        kept = {name: np.where(came, column, np.nan) for name, column in records.items()}
        return Settlement(
            settlement.transfers, settlement.edges, settlement.delivered, settlement.claimed, records=kept
        )

    def paper_utility(
        self,
        terms: Terms,
        allocation: Allocation,
        outcome: Outcome,
        settlement: Settlement,
        types: Types,
        trained: BoolColumn,
    ) -> PaperUtility:
        """u = p - v epsilon (equation 6) at true valuations and at the epsilon really lost.

        That is none where nothing was trained, and never more than an owner has; a poisoned upload costs it like an
        honest one. The model owner's is the worth of the epsilon lost less what it pays, so that both together are the
        total surplus.
        """
        paid = np.where(arrivals(allocation, outcome), allocation.promised, 0.0)
        lost = _sold(allocation)
        worth = self.epsilon_value * math.log1p(float(lost.sum()))
        return PaperUtility(worth - float(paid.sum()), paid - types.column(VALUATION) * lost)


def _guarantees(rule: RuleName, sizes: str) -> tuple[Guarantee, ...]:
    """What holds of a rule after the cut to privacy budgets, by proof or by construction."""
    held = [Guarantee("budget_feasibility")]
    if rule in _LOSSLESS and not (rule == "all_in" and sizes == "reported"):
        held.append(Guarantee("individual_rationality", when=TRAINS_ANYWAY))
    if rule == "pac":
        held.append(Guarantee("incentive_compatibility", lie=VALUATION, when=AMPLE_PRIVACY))
    if rule == "mfg_pricing":
        held.append(Guarantee("incentive_compatibility", lie=VALUATION))
    return tuple(held)


def _sold(allocation: Allocation) -> FloatColumn:
    assert allocation.epsilon is not None
    return allocation.epsilon


def _known(members: Members, name: str) -> FloatColumn:
    return members.records.get(name, np.full(len(members), np.nan))


def _last_sellers(members: Members) -> IntColumn:
    """Rows of the members that sold in the last round in which any of them did."""
    rounds = _known(members, _ROUND)
    known = np.flatnonzero(np.isfinite(rounds))
    return known[rounds[known] == rounds[known].max()] if len(known) else known
