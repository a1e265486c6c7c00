"""The plain mechanisms that others are measured against: free, fixed_price, proportional, shapley.

All pay out of the model owner's budget for uploads that arrived in time, and deliver the new global model to whoever
sent one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import FloatColumn
from market.mechanism import (
    AMPLE_BUDGET,
    CONTRIBUTION,
    COST,
    DATA_SIZE,
    MECHANISMS,
    QUALITY,
    SOMEBODY_EARNS,
    Advice,
    Allocation,
    Board,
    Guarantee,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Types,
)
from market.quoting import Offers, Quote
from market.settling import (
    CLAIMED,
    arrivals,
    budget_share,
    budget_share_advice,
    everybody_is_taken,
    pay_arrivals,
    share_out,
)

FEASIBLE = Guarantee("budget_feasibility")
EXHAUSTED = Guarantee("budget_exhaustion", when=SOMEBODY_EARNS)

RATIONED = "rationed"
"""Figure of fixed_price: the fraction of the posted price that the budget would pay for the last round's claims."""
PRICE = "price"
"""Figure of fixed_price: money per claimed sample."""


@MECHANISMS.register("free")
@dataclass(frozen=True)
class Free:
    """Nobody is paid; everybody who answers takes part and gets the model."""

    name: ClassVar[str] = "free"
    needs: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[tuple[str, ...]] = ()
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = (FEASIBLE,)
    reference: ClassVar[str] = (
        "McMahan et al. (2017), Communication-efficient learning of deep networks from decentralized data"
    )

    def announce(self, board: Board) -> Terms:
        return Terms(board.round, board.budget)

    def recommend(self, terms: Terms, types: Types) -> Advice:
        count = len(types)
        return Advice(np.ones(count, dtype=np.bool_), np.ones(count), np.zeros(count))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        return _everybody(reports, np.zeros(len(reports)))

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        return pay_arrivals(allocation, outcome, np.zeros(len(allocation)), claimed=0.0)


@MECHANISMS.register("fixed_price")
@dataclass(frozen=True)
class FixedPrice:
    """A posted price per claimed sample, for everybody whose claimed cost is not above it.

    Take-it-or-leave-it: the claimed cost decides about taking part and never about the price, so lying about it
    does not pay, and who accepts does not lose. Both hold while the budget covers all payments. When it does not,
    all payments are scaled down by one factor; the terms publish as ``rationed`` the factor that the last round's
    claims would meet, and an honest owner compares its cost with the price times that.

    ``price``: money per claimed sample, above 0.
    """

    price: float = 0.02

    name: ClassVar[str] = "fixed_price"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, COST)
    measures: ClassVar[tuple[str, ...]] = ()
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = (
        FEASIBLE,
        Guarantee("individual_rationality", when=AMPLE_BUDGET),
        Guarantee("incentive_compatibility", lie=COST, when=AMPLE_BUDGET),
    )
    reference: ClassVar[str] = "Goldberg et al. (2006), Competitive auctions (prices independent of the bid)"

    def __post_init__(self) -> None:
        if not (self.price > 0.0 and math.isfinite(self.price)):
            raise ValueError(f"price: expected a positive number, got {self.price}")

    def announce(self, board: Board) -> Terms:
        due = self.price * board.claimed
        covered = min(1.0, board.budget / due) if due > 0.0 else float(board.budget > 0.0)
        return Terms(board.round, board.budget, {PRICE: self.price, RATIONED: covered})

    def recommend(self, terms: Terms, types: Types) -> Advice:
        price = terms.figures[PRICE] * terms.figures[RATIONED]
        return Advice(price >= types.cost, np.ones(len(types)), price * types.data_size)

    def quote(self, terms: Terms, offers: Offers) -> Quote:
        """The rationed price for the claimed samples that are offered, if the claimed cost is not above the price."""
        taken = offers.said.cost <= terms.figures[PRICE]
        price = terms.figures[PRICE] * terms.figures[RATIONED]
        return Quote(taken, np.where(taken, price * offers.said.data_size * offers.data_share, 0.0))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        selected = reports.claims[COST] <= self.price
        due = np.where(selected, self.price * reports.claims[DATA_SIZE] * reports.data_share, 0.0)
        return Allocation(reports.owner, selected, reports.data_share, _rationed(due, terms.budget), reports.claims)

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        samples = allocation.claims[DATA_SIZE] * allocation.data_share * arrivals(allocation, outcome)
        return pay_arrivals(
            allocation, outcome, _rationed(self.price * samples, terms.budget), claimed=float(samples.sum())
        )


@MECHANISMS.register("proportional")
@dataclass(frozen=True)
class Proportional:
    """The budget is shared by claimed data times claimed quality, and reputation if its exponent is above 0.

    Claim units: samples * quality * data share. Each arrival weighs units * reputation ** exponent (0 ** 0 = 1), and
    the whole budget is spent as soon as one arrival weighs anything. Nothing here keeps an owner from claiming more.
    The advice takes the owner's reputation for the average one.

    ``reputation_exponent``: at least 0.
    """

    reputation_exponent: float = 0.0

    name: ClassVar[str] = "proportional"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, QUALITY)
    measures: ClassVar[tuple[str, ...]] = ()
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = (FEASIBLE, EXHAUSTED)
    reference: ClassVar[str] = "Kelly (1997), Charging and rate control for elastic traffic (proportional shares)"

    def __post_init__(self) -> None:
        if not (self.reputation_exponent >= 0.0 and math.isfinite(self.reputation_exponent)):
            raise ValueError(f"reputation_exponent: expected a number of at least 0, got {self.reputation_exponent}")

    def announce(self, board: Board) -> Terms:
        return Terms(board.round, board.budget, {CLAIMED: board.claimed})

    def recommend(self, terms: Terms, types: Types) -> Advice:
        return budget_share_advice(terms, types.data_size * types.quality, types)

    def quote(self, terms: Terms, offers: Offers) -> Quote:
        """The share of the budget for the claims, with the data share that is offered."""
        said = offers.said
        return everybody_is_taken(budget_share(terms, said.data_size * said.quality * offers.data_share))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        weight = _quality_units(reports) * reports.reputation**self.reputation_exponent
        # The settlement needs the weights again, and reputation may have moved by then.
        return _everybody(reports, share_out(terms.budget, weight), {_WEIGHT: weight})

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        came = arrivals(allocation, outcome)
        payment = share_out(terms.budget, allocation.claims[_WEIGHT] * came)
        return pay_arrivals(allocation, outcome, payment, claimed=float((_quality_units(allocation) * came).sum()))


@MECHANISMS.register("shapley")
@dataclass(frozen=True)
class Shapley:
    """The budget is shared by measured contribution: the positive part of what each upload adds, by the Shapley value.

    How contributions are measured is not the mechanism's business: by default, and as in the literature, by Shapley
    values of the round. Nobody is paid when no value is positive. What an owner claims does not enter its payment, but
    claims may decide the weight of its upload in the aggregate, so no incentive compatibility is claimed. The advice
    takes claimed samples * quality for the prior of contributions.
    """

    name: ClassVar[str] = "shapley"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, QUALITY)
    measures: ClassVar[tuple[str, ...]] = (CONTRIBUTION,)
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = (FEASIBLE, EXHAUSTED)
    reference: ClassVar[str] = (
        "Ghorbani, Zou (2019), Data Shapley; Wang et al. (2020), A principled approach to data valuation for FL"
    )

    def announce(self, board: Board) -> Terms:
        return Terms(board.round, board.budget, {CLAIMED: board.claimed})

    def recommend(self, terms: Terms, types: Types) -> Advice:
        return budget_share_advice(terms, types.data_size * types.quality, types)

    def quote(self, terms: Terms, offers: Offers) -> Quote:
        """The share of the budget for what is really trained on: contributions are measured, whatever is claimed."""
        types = offers.types
        return everybody_is_taken(budget_share(terms, types.data_size * types.quality * offers.work_share))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        return _everybody(reports, share_out(terms.budget, _quality_units(reports)))

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        came = arrivals(allocation, outcome)
        payment = share_out(terms.budget, np.maximum(outcome.measured[CONTRIBUTION], 0.0) * came)
        return pay_arrivals(allocation, outcome, payment, claimed=float((_quality_units(allocation) * came).sum()))


_WEIGHT = "weight"


def _everybody(reports: Reports, promised: FloatColumn, derived: dict[str, FloatColumn] | None = None) -> Allocation:
    """Select all who answered, with the data share that they offered."""
    selected = np.ones(len(reports), dtype=np.bool_)
    return Allocation(reports.owner, selected, reports.data_share, promised, {**reports.claims, **(derived or {})})


def _quality_units(offered: Reports | Allocation) -> FloatColumn:
    """Claim units: claimed samples * claimed quality * data share."""
    return np.asarray(offered.claims[DATA_SIZE] * offered.claims[QUALITY] * offered.data_share)


def _rationed(due: FloatColumn, budget: float) -> FloatColumn:
    """Payments due (money), all scaled by one factor if the budget does not cover them."""
    total = float(due.sum())
    return due if total <= budget else due * (budget / total)
