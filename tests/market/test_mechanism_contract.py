"""What every registered mechanism keeps, and every guarantee that it declares, on random markets.

A new mechanism joins by one line in CASES; markets for personal models have a contract of their own.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_model_market_contract import CASES as MODEL_MARKETS
from test_privacy_auction_mechanism import CASES as PRIVACY_AUCTIONS

from learning.columns import BoolColumn, FloatColumn
from market.baselines import FixedPrice, Free, Proportional, Shapley
from market.cocogen.mechanism import CoCoGen
from market.mechanism import (
    AMPLE_BUDGET,
    CLAIMS,
    CONTRIBUTION,
    DATA_SIZE,
    EMD,
    GENERATION_COST,
    MEASURED_QUALITY,
    MECHANISMS,
    OWN_PERFORMANCE,
    PROFITABILITY,
    QUALITY,
    SOMEBODY_EARNS,
    Allocation,
    Board,
    Mechanism,
    Outcome,
    Reports,
    Settlement,
    Types,
)
from market.parties import MODEL_OWNER
from market.properties import (
    Conditions,
    budget_gap,
    individual_rationality,
    misreport_gain,
    play,
    truthful_claims,
    with_members,
)
from market.qd_rdfl.mechanism import QDRDFL


@dataclass(frozen=True)
class StaticMarket:
    """A random market: true types, a budget, and what chance brings."""

    types: Types
    budget: float
    conditions: Conditions

    def __len__(self) -> int:
        return len(self.types)


def units(market: StaticMarket) -> FloatColumn:
    return market.types.data_size * market.types.quality


def contribution(market: StaticMarket) -> FloatColumn:
    return market.conditions.measured[CONTRIBUTION]


@dataclass(frozen=True)
class Case:
    """A mechanism under contract; ``earning`` says who earns if it arrives (needed where that is a condition)."""

    mechanism: Mechanism
    earning: Callable[[StaticMarket], FloatColumn] | None = None
    delivers: bool = True
    """Whether owners get the new model."""
    least: int = 1
    """Owners without which there is no market."""


CASES: dict[str, list[Case]] = {
    "free": [Case(Free())],
    "fixed_price": [Case(FixedPrice(price)) for price in (0.02, 1.5)],
    "proportional": [
        Case(Proportional(), units),
        Case(Proportional(reputation_exponent=1.5), units),
    ],
    "shapley": [Case(Shapley(), contribution)],
    "qd_rdfl": [
        Case(mechanism, delivers=False, least=2)
        for mechanism in (
            QDRDFL(),
            QDRDFL(quality_floor=-1.0),
            QDRDFL(reward="random", owner_solver="foc", center_solver="authors"),
            QDRDFL(reward="fixed", adjustment_every=3),
        )
    ],
    "cocogen": [
        Case(mechanism)
        for mechanism in (
            CoCoGen(),
            CoCoGen(competition_model="damage", redistribution_rate=0.05, pays_for="curve"),
            CoCoGen(rule="best_reply", contribution="effective", quadratic_cost=1e-6),
            CoCoGen(rule="radg"),
        )
    ],
}
ALL = [case for cases in CASES.values() for case in cases]
every_case = pytest.mark.parametrize("case", ALL, ids=lambda case: repr(case.mechanism))

GUARANTEES = [(case, guarantee) for case in ALL for guarantee in case.mechanism.guarantees]
CHECKED = {"individual_rationality", "incentive_compatibility", "budget_feasibility", "budget_exhaustion"}


@st.composite
def markets(draw: st.DrawFn, min_owners: int = 0, max_owners: int = 7) -> StaticMarket:
    count = draw(st.integers(min_owners, max_owners))

    def column(low: float, high: float) -> FloatColumn:
        return np.array(
            draw(st.lists(st.floats(low, high, allow_subnormal=False), min_size=count, max_size=count)),
            dtype=np.float64,
        )

    further = {EMD: column(0.0, 2.0), GENERATION_COST: column(0.0, 0.1), PROFITABILITY: column(0.0, 50.0)}
    types = Types(np.floor(column(0.0, 500.0)), column(0.0, 1.0), column(0.0, 0.2), further=further)
    conditions = Conditions(
        arrived=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_),
        measured={CONTRIBUTION: column(-0.5, 0.5), OWN_PERFORMANCE: column(0.0, 1.0)},
        reputation=column(0.05, 1.0),
    )
    return StaticMarket(types, draw(st.floats(0.0, 100.0)), conditions)


def freeze(*columns: FloatColumn | BoolColumn) -> None:
    for column in columns:
        column.flags.writeable = False


@dataclass
class Moments:
    """The four moments of a round in which everybody answers truthfully, under the owner ids given."""

    mechanism: Mechanism
    market: StaticMarket
    ids: np.ndarray
    claims: dict[str, FloatColumn] = field(init=False)

    def run(self) -> tuple[Allocation, Outcome, Settlement]:
        types, conditions = self.market.types, self.market.conditions
        truth = truthful_claims(types)
        self.claims = {name: truth[name].copy() for name in self.mechanism.needs}
        freeze(*self.claims.values(), self.ids, types.data_size, types.quality, types.cost)
        types = replace(types, owner=self.ids)
        board = Board(round=4, budget=self.market.budget, claimed=17.0)
        terms = self.mechanism.announce(with_members(board, self.mechanism, self.ids, truth))
        advice = self.mechanism.recommend(terms, types)
        freeze(advice.data_share)
        assert len(advice.participate) == len(advice.data_share) == len(advice.expected_payment) == len(types)
        assert np.isfinite(advice.expected_payment).all()
        reports = Reports(self.ids, self.claims, advice.data_share, conditions.reputation)
        allocation = self.mechanism.plan(terms, reports)
        arrived = allocation.selected & conditions.arrived
        weight = arrived / max(1, arrived.sum())
        none = np.zeros(len(types))
        measured = {
            name: np.where(arrived, conditions.measured.get(name, none), 0.0) for name in self.mechanism.measures
        }
        freeze(arrived, weight, allocation.selected, allocation.promised, *measured.values())
        outcome = Outcome(arrived, weight, 0.5, 0.4, measured)
        return allocation, outcome, self.mechanism.settle(terms, allocation, outcome)


def received(settlement: Settlement, ids: np.ndarray) -> FloatColumn:
    return np.array([settlement.transfers.amount[settlement.transfers.payee == owner].sum() for owner in ids])


def test_every_registered_mechanism_has_a_case() -> None:
    assert set(CASES) | set(MODEL_MARKETS) | set(PRIVACY_AUCTIONS) == set(MECHANISMS)
    assert not set(CASES) & set(MODEL_MARKETS)


@every_case
def test_metadata_is_complete(case: Case) -> None:
    mechanism = case.mechanism
    assert isinstance(mechanism, Mechanism)
    assert MECHANISMS[mechanism.name] is type(mechanism)
    assert MECHANISMS.description(mechanism.name).endswith(".")
    assert mechanism.reference
    assert set(mechanism.needs) <= set(CLAIMS)
    assert set(mechanism.measures) <= {CONTRIBUTION, MEASURED_QUALITY, OWN_PERFORMANCE}
    for guarantee in mechanism.guarantees:
        assert guarantee.property in CHECKED
        assert guarantee.when in {None, AMPLE_BUDGET, SOMEBODY_EARNS}
        assert guarantee.when != SOMEBODY_EARNS or case.earning
        assert (guarantee.lie in mechanism.needs) == (guarantee.property == "incentive_compatibility")


@every_case
def test_a_mechanism_is_a_value(case: Case) -> None:
    mechanism = case.mechanism
    assert pickle.loads(pickle.dumps(mechanism)) == mechanism
    assert replace(mechanism) == mechanism
    assert type(mechanism)() == type(mechanism)()
    for parameter in fields(mechanism):
        with pytest.raises(FrozenInstanceError):
            setattr(mechanism, parameter.name, 1)


@every_case
@given(data=st.data())
def test_columns_are_aligned_and_money_flows_to_arrivals_only(case: Case, data: st.DataObject) -> None:
    static = data.draw(markets())
    ids = np.array(data.draw(st.permutations(range(3, 3 + 2 * len(static), 2))), dtype=np.int64)
    allocation, outcome, settlement = Moments(case.mechanism, static, ids).run()
    count = len(static)
    assert allocation.owner.tolist() == ids.tolist()
    assert allocation.selected.dtype == settlement.delivered.dtype == np.bool_
    for column in (allocation.selected, allocation.data_share, allocation.promised, settlement.delivered):
        assert column.shape == (count,)
    assert all(claim.shape == (count,) for claim in allocation.claims.values())
    assert not (settlement.delivered & ~outcome.arrived).any()
    assert np.isfinite(settlement.claimed)
    assert settlement.claimed >= 0.0
    transfers, edges = settlement.transfers, settlement.edges
    assert len(transfers.payer) == len(transfers.payee) == len(transfers.amount)
    assert (transfers.payer == MODEL_OWNER).all()
    assert set(transfers.payee.tolist()) <= set(ids[outcome.arrived].tolist())
    assert np.isfinite(transfers.amount).all()
    assert (transfers.amount > 0.0).all()
    assert len(edges.user) == len(edges.source) == len(edges.weight) == len(edges.payment)


@every_case
@given(data=st.data())
def test_edges_say_whose_model_was_used_and_what_was_paid_for_it(case: Case, data: st.DataObject) -> None:
    static = data.draw(markets())
    ids = np.arange(10, 10 + len(static))
    _, outcome, settlement = Moments(case.mechanism, static, ids).run()
    edges = settlement.edges
    bought = edges.user == MODEL_OWNER
    assert edges.source[bought].tolist() == ids[outcome.arrived].tolist()
    assert edges.weight[bought].tolist() == outcome.weight[outcome.arrived].tolist()
    assert edges.payment[bought].tolist() == received(settlement, ids)[outcome.arrived].tolist()
    assert edges.user[~bought].tolist() == ids[settlement.delivered].tolist()
    assert settlement.delivered.tolist() == (outcome.arrived & case.delivers).tolist()
    assert (edges.source[~bought] == MODEL_OWNER).all()
    assert (edges.payment[~bought] == 0.0).all()


@every_case
@given(static=markets())
def test_the_same_columns_give_the_same_outcome_and_are_not_modified(case: Case, static: StaticMarket) -> None:
    # Moments freezes every column that it hands over: writing to one raises.
    ids = np.arange(len(static))
    first, _, one = Moments(case.mechanism, static, ids).run()
    second, _, other = Moments(case.mechanism, static, ids).run()
    assert first.promised.tolist() == second.promised.tolist()
    assert one.transfers.amount.tolist() == other.transfers.amount.tolist()
    assert one.claimed == other.claimed


@every_case
@given(data=st.data())
def test_payments_do_not_depend_on_who_is_listed_first(case: Case, data: st.DataObject) -> None:
    static = data.draw(markets(min_owners=2))
    order = np.array(data.draw(st.permutations(range(len(static)))))
    types, conditions = static.types, static.conditions
    shuffled = StaticMarket(
        types.take(order),
        static.budget,
        Conditions(
            arrived=conditions.arrived[order],
            measured={name: column[order] for name, column in conditions.measured.items()},
            reputation=conditions.reputation[order],
        ),
    )
    ids = np.arange(len(static))
    _, _, straight = Moments(case.mechanism, static, ids).run()
    _, _, mixed = Moments(case.mechanism, shuffled, ids[order]).run()
    np.testing.assert_allclose(received(mixed, ids), received(straight, ids), rtol=1e-9, atol=1e-12)


@every_case
@pytest.mark.parametrize("count", [0, 1])
def test_a_market_of_nobody_and_of_one_owner(case: Case, count: int) -> None:
    ones = np.ones(count)
    conditions = Conditions(np.ones(count, dtype=np.bool_), {CONTRIBUTION: 0.3 * ones}, ones)
    static = StaticMarket(Types(100.0 * ones, 0.8 * ones, 0.001 * ones), 5.0, conditions)
    _, _, settlement = Moments(case.mechanism, static, np.arange(count)).run()
    there_is_a_market = count >= case.least
    assert settlement.delivered.tolist() == [there_is_a_market and case.delivers] * count
    assert settlement.transfers.amount.sum() <= 5.0 * (1 + 1e-9)
    assert len(settlement.edges.user) == there_is_a_market * (1 + case.delivers) * count


@every_case
@given(static=markets(min_owners=1))
def test_nobody_is_paid_and_nothing_delivered_when_nobody_arrives(case: Case, static: StaticMarket) -> None:
    late = replace(static.conditions, arrived=np.zeros(len(static), dtype=np.bool_))
    _, _, settlement = Moments(case.mechanism, replace(static, conditions=late), np.arange(len(static))).run()
    assert len(settlement.transfers.amount) == len(settlement.edges.user) == 0
    assert not settlement.delivered.any()
    assert settlement.claimed == 0.0


@pytest.mark.parametrize(
    ("case", "guarantee"),
    GUARANTEES,
    ids=[f"{case.mechanism!r}-{guarantee.property}" for case, guarantee in GUARANTEES],
)
@given(data=st.data())
def test_every_declared_guarantee_holds(case: Case, guarantee, data: st.DataObject) -> None:
    static = data.draw(markets(max_owners=5))
    mechanism, types, conditions = case.mechanism, static.types, static.conditions
    budget = 1e6 if guarantee.when == AMPLE_BUDGET else static.budget
    slack = 1e-9 * (1.0 + static.budget)
    match guarantee.property:
        case "individual_rationality":
            # An upload that does not come in time is the owner's own loss.
            in_time = replace(conditions, arrived=None)
            violations, worst = individual_rationality(mechanism, types, budget, conditions=in_time)
            assert violations == 0
            assert worst >= -slack
        case "incentive_compatibility":
            factors = data.draw(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=3))
            lying = misreport_gain(
                mechanism, types, budget, guarantee.lie, factors, conditions=replace(conditions, arrived=None)
            )
            assert lying.share_gaining == 0.0
            assert lying.largest_gain <= slack
        case "budget_feasibility":
            assert budget_gap(mechanism, types, budget, conditions=conditions) >= -slack
        case "budget_exhaustion":
            played = play(mechanism, types, truthful_claims(types), budget, conditions=conditions)
            earning = conditions.arrived & played.advice.participate
            if guarantee.when == SOMEBODY_EARNS:
                earning = earning & (case.earning(static) > 0.0)
            left = 0.0 if earning.any() else budget
            assert abs(budget_gap(mechanism, types, budget, conditions=conditions) - left) <= slack


@every_case
def test_a_share_of_the_data_earns_no_more_than_all_of_it(case: Case) -> None:
    mechanism = case.mechanism
    ids, ones = np.arange(2), np.ones(2)
    claims = {DATA_SIZE: 100.0 * ones, QUALITY: ones, "cost": 0.0 * ones}
    terms = mechanism.announce(with_members(Board(round=0, budget=10.0), mechanism, ids, claims))
    allocation = mechanism.plan(terms, Reports(ids, claims, np.array([0.5, 1.0]), ones))
    outcome = Outcome(ones > 0, ones / 2, 0.5, 0.4, {CONTRIBUTION: 0.1 * ones, OWN_PERFORMANCE: 0.5 * ones})
    half, whole = received(mechanism.settle(terms, allocation, outcome), ids)
    assert half <= whole
