"""What every mechanism keeps under which owners use each other's personal models, on random markets.

A new one joins by one line in CASES. The other mechanisms stand in ``test_mechanism_contract``.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from math import fsum, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.ipfl.mechanism import BILL, IPFL, LATE_FEE
from market.mechanism import (
    CLAIMS,
    COLLABORATION,
    GAIN_SCALE,
    MECHANISMS,
    MODEL_DISTANCE,
    OVERSTATED,
    PAIRWISE,
    SHARING_COST,
    TRAINS_ANYWAY,
    Allocation,
    Board,
    Mechanism,
    Members,
    ModelMarket,
    Outcome,
    Reports,
    Scored,
    Settlement,
    Terms,
    Types,
)
from market.model_sharing import ModelSharing, net_payments
from market.properties import Conditions, budget_gap, individual_rationality, misreport_gain, truthful_claims
from market.settling import without

CASES: dict[str, list[Mechanism]] = {
    "ipfl": [
        IPFL(),
        IPFL(payment_rule="critical"),
        IPFL(payment_rule="vcg"),
        IPFL(graph_stop_rule="skip"),
        IPFL(admission_fee_share=0.5, probation_rounds=2, probation_distance=0.5),
    ],
    "model_sharing": [ModelSharing()],
}
ALL = [mechanism for mechanisms in CASES.values() for mechanism in mechanisms]


def label(mechanism: Mechanism) -> str:
    """Its name and the parameters that are not the usual ones."""
    usual = type(mechanism)()
    values = {field.name: getattr(mechanism, field.name) for field in fields(mechanism)}
    return "-".join([mechanism.name, *(str(value) for name, value in values.items() if value != getattr(usual, name))])


every_market = pytest.mark.parametrize("mechanism", ALL, ids=label)
every_ipfl = pytest.mark.parametrize("mechanism", CASES["ipfl"], ids=label)
GUARANTEES = [(mechanism, guarantee) for mechanism in ALL for guarantee in mechanism.guarantees]
RULES = ("ipfl", "critical", "vcg")


@dataclass(frozen=True)
class StaticMarket:
    """A random market: true types, what is measured of the models, whose upload came, and who joined when."""

    types: Types
    measured: dict[str, FloatColumn]
    arrived: BoolColumn
    joined: IntColumn

    def __len__(self) -> int:
        return len(self.types)

    def take(self, order: IntColumn) -> StaticMarket:
        pairs = np.ix_(order, order)
        measured = {name: matrix[pairs] for name, matrix in self.measured.items()}
        return StaticMarket(self.types.take(order), measured, self.arrived[order], self.joined[order])


def random_market(seed: int, owners: int) -> StaticMarket:
    """Traders, pure buyers and pure sellers in two clusters of alike models; sizes are all equal or all different."""
    chance = np.random.default_rng(seed)
    size = np.floor(chance.uniform(500, 12000, owners)) if chance.random() < 0.7 else np.full(owners, 5000.0)
    scale = np.where(chance.random(owners) < 0.2, 0.0, chance.uniform(2.5e5, 5e5, owners))
    cost = np.where(chance.random(owners) < 0.2, 1000.0, chance.uniform(0.0, 1.5, owners))
    cluster = np.arange(owners) % 2
    near, far = (chance.uniform(*bounds, (owners, owners)) for bounds in ((0.05, 0.4), (0.8, 1.1)))
    distance = np.triu(np.where(cluster[:, None] == cluster, near, far), 1)
    taken = np.where(chance.random((owners, owners)) < 0.5, chance.random((owners, owners)), 0.0)
    return StaticMarket(
        Types(size, np.ones(owners), np.zeros(owners), further={GAIN_SCALE: scale, SHARING_COST: cost}),
        {MODEL_DISTANCE: distance + distance.T, COLLABORATION: taken},
        chance.random(owners) < 0.8,
        chance.integers(0, 4, owners),
    )


@st.composite
def markets(draw: st.DrawFn, min_owners: int = 0, max_owners: int = 7) -> StaticMarket:
    return random_market(draw(st.integers(0, 2**32)), draw(st.integers(min_owners, max_owners)))


def freeze(*columns: NDArray) -> None:
    for column in columns:
        column.flags.writeable = False


@dataclass
class Played:
    """One round under a mechanism in which everybody answers truthfully."""

    market: StaticMarket
    ids: IntColumn
    terms: Terms
    allocation: Allocation
    outcome: Outcome
    settlement: Settlement

    @property
    def edges(self) -> dict[tuple[int, int], float]:
        """What was paid along each edge, by user and source."""
        edges = self.settlement.edges
        return dict(zip(zip(edges.user.tolist(), edges.source.tolist(), strict=True), edges.payment, strict=True))

    def paid(self, kind: str) -> dict[tuple[int, int], float]:
        """What moved, by payer and payee."""
        moved = self.settlement.further[kind]
        return dict(zip(zip(moved.payer.tolist(), moved.payee.tolist(), strict=True), moved.amount, strict=True))


def play(
    mechanism: Mechanism,
    market: StaticMarket,
    *,
    ids: IntColumn | None = None,
    records: dict[str, FloatColumn] | None = None,
) -> Played:
    """A round; every column that is handed over is frozen, so that writing to one raises."""
    types, count = market.types, len(market)
    ids = np.arange(10, 10 + count) if ids is None else ids
    truth = {name: column.copy() for name, column in truthful_claims(types).items()}
    claims = {name: truth[name] for name in mechanism.needs}
    freeze(ids, market.joined, *truth.values())
    members = Members(ids, truth, {}, np.full(count, -1), market.joined, market.joined, records or {})
    board = Board(round=4, budget=0.0, members=members if mechanism.watches_members else None)
    terms = mechanism.announce(board)
    advice = mechanism.recommend(terms, replace(types, owner=ids))
    freeze(advice.data_share)
    assert len(advice.participate) == len(advice.data_share) == len(advice.expected_payment) == count
    assert np.isfinite(advice.expected_payment).all()
    allocation = mechanism.plan(terms, Reports(ids, claims, advice.data_share, np.ones(count)))
    arrived = allocation.selected & market.arrived
    measured = {name: np.where(arrived[:, None] & arrived, market.measured[name], 0.0) for name in mechanism.measures}
    weight = arrived / max(1, arrived.sum())
    freeze(arrived, weight, allocation.selected, allocation.promised, *measured.values())
    outcome = Outcome(arrived, weight, float("nan"), float("nan"), measured)
    return Played(market, ids, terms, allocation, outcome, mechanism.settle(terms, allocation, outcome))


def everybody_came(market: StaticMarket) -> StaticMarket:
    return replace(market, arrived=np.ones(len(market), dtype=np.bool_))


# ---- what it says of itself -----------------------------------------------------------------------------------------


def test_every_registered_market_for_models_has_a_case() -> None:
    assert set(CASES) == {name for name in MECHANISMS if issubclass(MECHANISMS[name], ModelMarket)}
    assert {mechanism.payment_rule for mechanism in CASES["ipfl"]} == set(RULES)


@every_market
def test_metadata_is_complete(mechanism: Mechanism) -> None:
    assert isinstance(mechanism, Mechanism)
    assert isinstance(mechanism, ModelMarket)
    assert isinstance(mechanism, Scored)
    assert MECHANISMS[mechanism.name] is type(mechanism)
    assert MECHANISMS.description(mechanism.name).endswith(".")
    assert mechanism.reference
    assert set(mechanism.needs) <= set(CLAIMS)
    assert set(mechanism.measures) <= PAIRWISE
    for guarantee in mechanism.guarantees:
        assert guarantee.property in {"individual_rationality", "incentive_compatibility", "budget_feasibility"}
        assert guarantee.when in {None, TRAINS_ANYWAY, OVERSTATED}
        assert (guarantee.lie in mechanism.needs) == (guarantee.property == "incentive_compatibility")


@every_market
def test_a_market_is_a_value(mechanism: Mechanism) -> None:
    assert pickle.loads(pickle.dumps(mechanism)) == mechanism
    assert replace(mechanism) == mechanism
    assert type(mechanism)() == type(mechanism)()
    for parameter in fields(mechanism):
        with pytest.raises(FrozenInstanceError):
            setattr(mechanism, parameter.name, 1)


@pytest.mark.parametrize("name", ["dissimilarity_penalty", "admission_fee_share", "probation_distance"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_parameter_that_is_no_amount_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        IPFL(**{name: value})
    with pytest.raises(ValueError, match="probation_rounds"):
        IPFL(probation_rounds=-1)


# ---- columns --------------------------------------------------------------------------------------------------------


@every_market
@given(data=st.data())
def test_columns_are_aligned_and_only_arrivals_deal_with_each_other(mechanism: Mechanism, data: st.DataObject) -> None:
    market = data.draw(markets())
    ids = np.array(data.draw(st.permutations(range(3, 3 + 2 * len(market), 2))), dtype=np.int64)
    played = play(mechanism, market, ids=ids)
    allocation, outcome, settlement = played.allocation, played.outcome, played.settlement
    count = len(market)
    assert allocation.owner.tolist() == ids.tolist()
    assert allocation.selected.dtype == settlement.delivered.dtype == np.bool_
    columns = (allocation.selected, allocation.data_share, allocation.promised, settlement.delivered)
    assert all(column.shape == (count,) for column in (*columns, *settlement.records.values()))
    assert not (settlement.delivered & ~outcome.arrived).any()
    there = set(ids[outcome.arrived].tolist())
    edges, apart = settlement.edges, settlement.edges.dissimilarity
    assert len(edges.user) == len(edges.source) == len(edges.weight) == len(edges.payment)
    assert set(edges.user.tolist()) | set(edges.source.tolist()) <= there
    assert (edges.user != edges.source).all()
    assert len(played.edges) == len(edges.user), "each pair once"
    assert (edges.weight > 0).all()
    assert len(settlement.transfers.payer) == 0, "the model owner, if any, pays nothing"
    for transfers in settlement.further.values():
        assert len(transfers.payer) == len(transfers.payee) == len(transfers.amount)
        assert set(transfers.payer.tolist()) | set(transfers.payee.tolist()) <= there
        assert (np.isfinite(transfers.amount) & (transfers.amount > 0)).all()
    if apart is not None:
        row = {owner: place for place, owner in enumerate(ids.tolist())}
        expected = [market.measured[MODEL_DISTANCE][row[user], row[source]] for user, source in played.edges]
        assert apart.tolist() == expected


@every_market
@given(market=markets())
def test_the_same_columns_give_the_same_outcome(mechanism: Mechanism, market: StaticMarket) -> None:
    assert play(mechanism, market).edges == play(mechanism, market).edges


@every_market
@given(data=st.data())
def test_who_deals_with_whom_does_not_depend_on_who_is_listed_first(mechanism: Mechanism, data: st.DataObject) -> None:
    market = data.draw(markets(min_owners=2))
    ids = np.arange(10, 10 + len(market))
    order = np.array(data.draw(st.permutations(range(len(market)))))
    straight, mixed = play(mechanism, market, ids=ids), play(mechanism, market.take(order), ids=ids[order])
    assert mixed.edges.keys() == straight.edges.keys()
    assert mixed.edges == pytest.approx(straight.edges, rel=1e-9, abs=1e-9)
    for name, column in straight.settlement.records.items():
        np.testing.assert_allclose(mixed.settlement.records[name], column[order], rtol=1e-9, atol=1e-9)


@every_market
@pytest.mark.parametrize("count", [0, 1])
def test_nobody_and_one_owner_alone_have_nothing_to_deal_in(mechanism: Mechanism, count: int) -> None:
    settlement = play(mechanism, everybody_came(random_market(1, count))).settlement
    assert settlement.delivered.tolist() == [True] * count
    assert len(settlement.edges.user) == 0
    assert sum(len(transfers.payer) for transfers in settlement.further.values()) == 0


@every_market
@given(market=markets(min_owners=1))
def test_nothing_happens_when_nobody_arrives(mechanism: Mechanism, market: StaticMarket) -> None:
    settlement = play(mechanism, replace(market, arrived=np.zeros(len(market), dtype=np.bool_))).settlement
    assert len(settlement.edges.user) == 0
    assert sum(len(transfers.payer) for transfers in settlement.further.values()) == 0
    assert not settlement.delivered.any()
    assert all(np.isnan(column).all() for column in settlement.records.values())


# ---- money and worth ------------------------------------------------------------------------------------------------


@every_ipfl
@given(market=markets())
def test_the_bill_is_what_the_edges_say_and_adds_up_to_nothing(mechanism: Mechanism, market: StaticMarket) -> None:
    played = play(mechanism, market)
    assert played.paid(BILL) == played.edges
    bills = replace(played.settlement, further={BILL: played.settlement.further[BILL]})
    assert net_payments(played.allocation, bills).sum() == 0.0, "to the last bit"
    everything = net_payments(played.allocation, played.settlement)
    assert abs(everything.sum()) <= 1e-12 * max(1.0, np.abs(everything).sum())


@given(market=markets())
def test_nobody_pays_where_models_are_shared_for_nothing(market: StaticMarket) -> None:
    played = play(ModelSharing(), market)
    assert set(played.edges.values()) <= {0.0}
    assert not played.settlement.further
    row = {owner: place for place, owner in enumerate(played.ids.tolist())}
    came = np.flatnonzero(market.arrived)
    used = {(i, j) for i in came for j in came if i != j and market.measured[COLLABORATION][i, j] > 0}
    assert {(row[user], row[source]) for user, source in played.edges} == used


@every_market
@given(market=markets())
def test_the_published_utility_is_equation_3(mechanism: Mechanism, market: StaticMarket) -> None:
    """U_i = sqrt(K_i / N_i) - sqrt(K_i / (N_i + data bought)) - c_i * sales - paid + received, edge by edge."""
    played = play(mechanism, market)
    types, trained = replace(market.types, owner=played.ids), market.arrived
    scored = mechanism.paper_utility(played.terms, played.allocation, played.outcome, played.settlement, types, trained)
    size, scale, cost = types.data_size, types.column(GAIN_SCALE), types.column(SHARING_COST)
    for row, owner in enumerate(played.ids.tolist()):
        bought = sum(size[source - 10] for user, source in played.edges if user == owner)
        sales = sum(source == owner for _, source in played.edges)
        moved = [
            amount * ((payee == owner) - (payer == owner))
            for kind in played.settlement.further
            for (payer, payee), amount in played.paid(kind).items()
        ]
        gain = sqrt(scale[row] / size[row]) - sqrt(scale[row] / (size[row] + bought))
        assert scored.owners[row] == pytest.approx(gain - cost[row] * sales + fsum(moved), abs=1e-9)
    assert scored.model_owner == scored.centers == 0.0


@every_market
@given(market=markets(min_owners=2))
def test_a_model_is_worth_the_data_that_stands_behind_it(mechanism: Mechanism, market: StaticMarket) -> None:
    played, types = play(mechanism, market), replace(market.types, owner=np.arange(10, 10 + len(market)))
    edges, allocation = played.settlement.edges, played.allocation
    honest = mechanism.sharing(allocation, edges, types, types.data_size)
    forged = mechanism.sharing(allocation, edges, types, np.zeros(len(market)))
    buying = np.isin(played.ids, edges.user) & (types.column(GAIN_SCALE) > 0)
    assert (honest.gain[buying] > 0).all()
    assert (honest.gain[~buying] == 0).all()
    assert (forged.gain == 0).all()
    assert forged.cost.tolist() == honest.cost.tolist()


@pytest.mark.parametrize(
    ("mechanism", "guarantee"),
    GUARANTEES,
    ids=[f"{label(mechanism)}-{guarantee.property}" for mechanism, guarantee in GUARANTEES],
)
@given(data=st.data())
def test_every_declared_guarantee_holds(mechanism: Mechanism, guarantee, data: st.DataObject) -> None:
    market = everybody_came(data.draw(markets(max_owners=6)))
    conditions = Conditions(measured={name: market.measured[name] for name in mechanism.measures})
    match guarantee.property:
        case "individual_rationality":
            # Nothing is counted for training: the types have no cost, which is what TRAINS_ANYWAY asks for.
            violations, worst = individual_rationality(mechanism, market.types, 0.0, conditions=conditions)
            assert violations == 0
            assert worst >= -1e-9
        case "incentive_compatibility":
            assert guarantee.when == OVERSTATED
            factors = data.draw(st.lists(st.floats(1.0, 20.0), min_size=1, max_size=3))
            lying = misreport_gain(mechanism, market.types, 0.0, guarantee.lie, factors, conditions=conditions)
            assert lying.share_gaining == 0.0
        case "budget_feasibility":
            assert budget_gap(mechanism, market.types, 0.0, conditions=conditions) == 0.0


def test_saying_less_than_sharing_costs_does_pay() -> None:
    """The guarantee has its condition for a reason: the published payments reward sellers that undercut."""
    gains = []
    for seed in range(20):
        market = everybody_came(random_market(seed, 6))
        conditions = Conditions(measured={MODEL_DISTANCE: market.measured[MODEL_DISTANCE]})
        gains.append(misreport_gain(IPFL(), market.types, 0.0, SHARING_COST, [0.1, 0.5], conditions=conditions))
    assert max(gain.largest_gain for gain in gains) > 0.01


# ---- who joins late -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payment_rule", RULES)
@given(market=markets(min_owners=2), share=st.floats(0.1, 2.0))
def test_the_admission_fee_is_the_bill_again_for_the_rounds_missed_paid_to_who_was_there(
    payment_rule, market: StaticMarket, share: float
) -> None:
    played = play(IPFL(payment_rule=payment_rule, admission_fee_share=share), market)
    joined = dict(zip(played.ids.tolist(), market.joined.tolist(), strict=True))
    expected = {
        (buyer, seller): share * joined[buyer] * bill
        for (buyer, seller), bill in played.edges.items()
        if joined[seller] < joined[buyer]
    }
    fees = played.paid(LATE_FEE)
    assert fees.keys() == expected.keys()
    assert fees == pytest.approx(expected, rel=1e-15, abs=1e-12)
    received: dict[int, list[float]] = defaultdict(list)
    charged: dict[int, list[float]] = defaultdict(list)
    for (buyer, seller), fee in fees.items():
        charged[buyer].append(fee)
        received[seller].append(fee)
    total = fsum(map(fsum, charged.values()))
    assert total == pytest.approx(fsum(map(fsum, received.values())), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("payment_rule", RULES)
@given(market=markets(min_owners=2))
def test_on_probation_an_owner_buys_but_cannot_sell(payment_rule, market: StaticMarket) -> None:
    mechanism = IPFL(payment_rule=payment_rule, probation_rounds=2)
    new = set(np.arange(10, 10 + len(market))[market.joined > 0].tolist())
    open_market = play(IPFL(payment_rule=payment_rule), market)
    played = play(mechanism, market)
    assert not {source for _, source in played.edges} & new
    alone = {source for _, source in open_market.edges} <= new
    assert bool(played.edges) or alone, "the others go on to deal"


def test_probation_ends_after_its_rounds_near_the_others_and_the_fee_is_paid_once() -> None:
    """What a settlement puts on record is what the next announcement goes by."""
    size, scale, cost = np.full(3, 5000.0), np.full(3, 5e5), np.full(3, 1.0)
    market = StaticMarket(
        Types(size, np.ones(3), np.zeros(3), further={GAIN_SCALE: scale, SHARING_COST: cost}),
        {MODEL_DISTANCE: np.where(np.eye(3) > 0, 0.0, 0.1)},
        np.ones(3, dtype=np.bool_),
        np.array([0, 0, 3]),
    )
    mechanism = IPFL(probation_rounds=2, probation_distance=0.2, admission_fee_share=1.0)
    records: dict[str, FloatColumn] = {}
    sellers, fees = [], []
    for _ in range(4):
        played = play(mechanism, market, records=records)
        sellers.append({source for _, source in played.edges})
        fees.append(sum(played.paid(LATE_FEE).values()))
        records = dict(played.settlement.records)
    assert sellers == [{10, 11}, {10, 11}, {10, 11, 12}, {10, 11, 12}]
    assert fees[0] == pytest.approx(3 * 2 * played.edges[12, 10])
    assert fees[1:] == [0.0, 0.0, 0.0]


def test_who_stays_far_from_the_others_stays_on_probation() -> None:
    market = everybody_came(random_market(3, 4))
    apart = replace(market, measured={MODEL_DISTANCE: np.full((4, 4), 0.9)}, joined=np.array([0, 0, 0, 2]))
    mechanism = IPFL(dissimilarity_penalty=0.0, probation_rounds=1, probation_distance=0.8)
    records: dict[str, FloatColumn] = {}
    for _ in range(3):
        played = play(mechanism, apart, records=records)
        records = dict(played.settlement.records)
        assert 13 not in {source for _, source in played.edges}


@every_ipfl
@given(market=markets())
def test_records_tell_only_of_who_came(mechanism: Mechanism, market: StaticMarket) -> None:
    for column in play(mechanism, market).settlement.records.values():
        assert (np.isnan(column) == ~market.arrived).all()


def test_newcomers_expect_what_owners_of_their_kind_had() -> None:
    market = everybody_came(random_market(5, 6))
    before = play(IPFL(), market)
    after = play(IPFL(), market, records=dict(before.settlement.records))
    surplus = before.settlement.records["surplus"]
    buying = market.types.column(GAIN_SCALE) > 0
    advice = IPFL().recommend(after.terms, market.types)
    assert buying.any()
    np.testing.assert_allclose(advice.expected_payment[buying], surplus[buying].mean())


# ---- refusal --------------------------------------------------------------------------------------------------------


@every_market
@given(data=st.data())
def test_nothing_is_left_of_what_owners_refuse_and_the_rest_stays_as_it_was(
    mechanism: Mechanism, data: st.DataObject
) -> None:
    played = play(mechanism, data.draw(markets(min_owners=1)))
    refusing = np.array(sorted(data.draw(st.sets(st.sampled_from(played.ids.tolist())))), dtype=np.int64)
    left = replace(played, settlement=without(played.settlement, played.allocation, refusing))
    gone = set(refusing.tolist())
    assert left.edges == {ends: paid for ends, paid in played.edges.items() if not gone & set(ends)}
    for kind in played.settlement.further:
        assert left.paid(kind) == {ends: paid for ends, paid in played.paid(kind).items() if not gone & set(ends)}
    delivered = played.settlement.delivered & ~np.isin(played.ids, refusing)
    assert left.settlement.delivered.tolist() == delivered.tolist()


@given(data=st.data())
def test_a_purchase_that_fell_through_is_not_put_on_record(data: st.DataObject) -> None:
    """Or else a late joiner whose only seller quits would have its admission fee behind it without paying any."""
    played = play(IPFL(admission_fee_share=1.0), data.draw(markets(min_owners=2)))
    refusing = np.array(sorted(data.draw(st.sets(st.sampled_from(played.ids.tolist())))), dtype=np.int64)
    left = without(played.settlement, played.allocation, refusing)
    stranded = np.setdiff1d(played.settlement.edges.user, left.edges.user)
    for name, column in left.records.items():
        silent = np.isin(played.ids, [*refusing, *stranded]) | np.isnan(played.settlement.records[name])
        assert (np.isnan(column) == silent).all()
        assert column[~silent].tolist() == played.settlement.records[name][~silent].tolist()
