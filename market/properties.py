"""Measured properties of a mechanism on one static market: types, a budget, one round, no simulation.

What a mechanism declares in ``guarantees`` is checked with these; they measure just as well where it declares
nothing. Utilities are always computed from true types. Deviations are tried one owner at a time, so the cost is
owners * factors plays: meant for markets of up to a few hundred owners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import (
    CLAIMS,
    PAIRWISE,
    QUALITY,
    VALUATION,
    Advice,
    Allocation,
    Board,
    Mechanism,
    Members,
    ModelMarket,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Types,
)

NEGLIGIBLE = 1e-9
"""Relative size below which a loss, a gain or a gap is put down to float arithmetic."""


@dataclass(frozen=True)
class Conditions:
    """What a static market leaves to chance or to the past; the defaults are an untroubled first round.

    ``arrived``: whose upload comes in time (default: all that were selected); ``measured``: the columns or matrices
    that the mechanism has measured (default: zeros); ``reputation``: standings (default: 1); ``claimed``: claim units
    of the round before. Columns have one entry per owner of the market.
    """

    arrived: BoolColumn | None = None
    measured: Mapping[str, FloatColumn] | None = None
    reputation: FloatColumn | None = None
    claimed: float = 0.0


UNTROUBLED = Conditions()


@dataclass(frozen=True)
class Play:
    """One round played. Columns have one entry per owner of the market, whether or not it took part.

    ``utilities`` is payment - true cost per sample * samples trained, in money, less true valuation * epsilon where
    privacy is sold, and in a market for models gain less cost of sharing: 0 for an owner that took no part, negative
    for one that trained and whose upload did not arrive.
    """

    terms: Terms
    advice: Advice
    allocation: Allocation
    settlement: Settlement
    payments: FloatColumn
    utilities: FloatColumn


class Rationality(NamedTuple):
    """How many owners lose by taking part, and the lowest utility (money; 0 when the market is empty)."""

    violations: int
    worst: float


class Misreport(NamedTuple):
    """The largest gain in utility from a unilateral lie (money, at least 0), and the share of owners who gain."""

    largest_gain: float
    share_gaining: float


def truthful_claims(types: Types) -> dict[str, FloatColumn]:
    """Claims that equal the truth."""
    return {claim: types.column(claim) for claim in CLAIMS}


def with_members(board: Board, mechanism: Mechanism, owner: IntColumn, claims: Mapping[str, FloatColumn]) -> Board:
    """The board with newcomers that made these claims as the members, if the mechanism watches them."""
    if not mechanism.watches_members:
        return board
    unknown = {QUALITY: np.full(len(owner), np.nan)}
    nobody, first = np.full(len(owner), -1, dtype=np.int64), np.zeros(len(owner), dtype=np.int64)
    return replace(board, members=Members(owner, claims, unknown, nobody, first, first))


def play(
    mechanism: Mechanism,
    types: Types,
    claims: Mapping[str, FloatColumn],
    budget: float,
    *,
    participate: BoolColumn | None = None,
    conditions: Conditions = UNTROUBLED,
) -> Play:
    """Play one round: owners take part as advised for their true types, or as ``participate`` says."""
    count = len(types)
    types = replace(types, owner=np.arange(count))
    board = Board(round=0, budget=budget, claimed=conditions.claimed)
    terms = mechanism.announce(with_members(board, mechanism, types.owner, claims))
    advice = mechanism.recommend(terms, types)
    answering = np.flatnonzero(advice.participate if participate is None else participate)
    reputation = np.ones(count) if conditions.reputation is None else conditions.reputation
    reports = Reports(
        owner=answering,
        claims={name: column[answering] for name, column in claims.items()},
        data_share=advice.data_share[answering],
        reputation=reputation[answering],
    )
    allocation = mechanism.plan(terms, reports)
    arrived = allocation.selected.copy()
    if conditions.arrived is not None:
        arrived &= conditions.arrived[allocation.owner]
    measured = conditions.measured or {
        name: np.zeros((count, count) if name in PAIRWISE else count) for name in mechanism.measures
    }
    outcome = Outcome(
        arrived=arrived,
        weight=arrived / max(1, int(arrived.sum())),
        accuracy=float("nan"),
        previous_accuracy=float("nan"),
        measured={name: _of_arrivals(name, column, allocation.owner, arrived) for name, column in measured.items()},
    )
    settlement = mechanism.settle(terms, allocation, outcome)
    payments = np.zeros(count)
    for transfers in (settlement.transfers, *settlement.further.values()):
        earned, spent = transfers.payee, transfers.payer
        np.add.at(payments, earned[earned >= 0], transfers.amount[earned >= 0])
        np.subtract.at(payments, spent[spent >= 0], transfers.amount[spent >= 0])
    samples = np.zeros(count)
    samples[allocation.owner] = allocation.selected * allocation.data_share * types.data_size[allocation.owner]
    utilities = payments - types.cost * samples
    if allocation.epsilon is not None:
        utilities[allocation.owner] -= types.column(VALUATION)[allocation.owner] * allocation.epsilon
    if isinstance(mechanism, ModelMarket):
        there = allocation.owner
        sharing = mechanism.sharing(allocation, settlement.edges, types.take(there), samples[there])
        utilities[allocation.owner] += sharing.gain - sharing.cost
    return Play(terms, advice, allocation, settlement, payments, utilities)


def _of_arrivals(name: str, measured: FloatColumn, owner: IntColumn, arrived: BoolColumn) -> FloatColumn:
    if name in PAIRWISE:
        return np.where(arrived[:, None] & arrived, measured[np.ix_(owner, owner)], 0.0)
    return np.where(arrived, measured[owner], 0.0)


def individual_rationality(
    mechanism: Mechanism, types: Types, budget: float, *, conditions: Conditions = UNTROUBLED
) -> Rationality:
    """Whether honest owners who follow the advice lose: taking part must be worth at least 0."""
    played = play(mechanism, types, truthful_claims(types), budget, conditions=conditions)
    slack = NEGLIGIBLE * (1.0 + np.abs(played.payments))
    worst = float(played.utilities.min()) if len(types) else 0.0
    return Rationality(int((played.utilities < -slack).sum()), worst)


def misreport_gain(
    mechanism: Mechanism,
    types: Types,
    budget: float,
    claim: str,
    factors: Sequence[float],
    *,
    conditions: Conditions = UNTROUBLED,
) -> Misreport:
    """Search for owners who gain by claiming ``factor`` times the truth while all others follow the advice.

    A liar takes part whatever the advice says; quality claims stay within [0, 1]. The gain is against following the
    advice truthfully, both with true costs.
    """
    truth = truthful_claims(types)
    honest = play(mechanism, types, truth, budget, conditions=conditions)
    gains = np.zeros(len(types))
    for owner in range(len(types)):
        participate = honest.advice.participate.copy()
        participate[owner] = True
        for factor in factors:
            lie = truth[claim].copy()
            lie[owner] *= factor
            if claim == QUALITY:
                lie = np.clip(lie, 0.0, 1.0)
            lying = play(
                mechanism, types, {**truth, claim: lie}, budget, participate=participate, conditions=conditions
            )
            gains[owner] = max(gains[owner], lying.utilities[owner] - honest.utilities[owner])
    worthwhile = gains > NEGLIGIBLE * (1.0 + np.abs(honest.payments))
    return Misreport(float(gains.max(initial=0.0)), float(worthwhile.mean()) if len(gains) else 0.0)


def budget_gap(mechanism: Mechanism, types: Types, budget: float, *, conditions: Conditions = UNTROUBLED) -> float:
    """Budget left unspent (money) when all report truthfully: 0 if exhausted, negative if overspent."""
    played = play(mechanism, types, truthful_claims(types), budget, conditions=conditions)
    return budget - float(played.settlement.transfers.amount.sum())
