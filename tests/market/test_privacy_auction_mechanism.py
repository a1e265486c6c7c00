"""The privacy auction as a mechanism: what it declares holds, its mean field follows, nobody sells more than it has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.mechanism import (
    AMPLE_PRIVACY,
    DATA_SIZE,
    MECHANISMS,
    PRIVACY_BUDGET,
    VALUATION,
    Allocation,
    Board,
    Members,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Types,
)
from market.privacy_auction import RULES, Bids
from market.privacy_auction.mechanism import MEAN_VALUATION, SHARE, UNIT_PRICE, PrivacyAuction
from market.privacy_auction.rules import RuleName
from market.properties import budget_gap, individual_rationality, misreport_gain, play, truthful_claims

CASES = {"privacy_auction": [PrivacyAuction(rule=rule) for rule in RULES]}
CLOSED_FORMS = [PrivacyAuction(rule=rule) for rule in ("pac", "pac_capped", "vcg", "csra", "all_in", "mfg_pricing")]
every_rule = pytest.mark.parametrize("mechanism", CASES["privacy_auction"], ids=lambda case: case.rule)
GUARANTEES = [(mechanism, guarantee) for mechanism in CASES["privacy_auction"] for guarantee in mechanism.guarantees]


def owners(valuation: list[float], budget: list[float], size: float = 10.0) -> Types:
    count = len(valuation)
    further = {VALUATION: np.array(valuation), PRIVACY_BUDGET: np.array(budget)}
    return Types(np.full(count, size), np.ones(count), np.zeros(count), np.arange(count), further)


def random_owners(seed: int, count: int, ample: bool = False) -> Types:
    chance = np.random.default_rng(seed)
    valuation = np.round(chance.uniform(0, 1, count), 1 if chance.random() < 0.3 else 9)  # some with ties
    budget = np.full(count, 2.0) if ample else chance.uniform(0.1, 5, count) * (chance.random(count) < 0.9)
    return owners(valuation.tolist(), budget.tolist())


def reports(types: Types, ids: np.ndarray | None = None) -> Reports:
    count = len(types)
    return Reports(
        np.arange(count) if ids is None else ids, truthful_claims(types), np.ones(count), reputation=np.ones(count)
    )


def everything_comes(allocation: Allocation) -> Outcome:
    came = allocation.selected
    return Outcome(came, came / max(1, came.sum()), np.nan, np.nan)


WORKED = owners([0.1, 0.2, 0.3, 0.4], [2.0, 0.4, 1.5, 3.0])


@every_rule
def test_a_registered_mechanism_that_asks_for_what_is_sold(mechanism: PrivacyAuction) -> None:
    assert MECHANISMS["privacy_auction"] is PrivacyAuction
    assert {VALUATION, PRIVACY_BUDGET} <= set(mechanism.needs)
    assert mechanism == PrivacyAuction(rule=mechanism.rule)


@every_rule
def test_sells_what_the_rule_sells_cut_to_what_each_owner_offers(mechanism: PrivacyAuction) -> None:
    allocation = mechanism.plan(mechanism.announce(Board(0, 1.0)), reports(WORKED))
    bids = Bids.of_equals(WORKED.column(VALUATION), WORKED.column(PRIVACY_BUDGET))
    sale = RULES[mechanism.rule](bids, 1.0)
    assert allocation.epsilon == pytest.approx(np.minimum(sale.epsilon, bids.privacy_budget))
    assert allocation.promised == pytest.approx(np.where(sale.epsilon > 0, sale.payment, 0.0))


def test_the_worked_example_under_pac_cuts_the_second_owner() -> None:
    allocation = PrivacyAuction(rule="pac").plan(Terms(0, 1.0), reports(WORKED))
    assert allocation.epsilon.tolist() == [1.0, 0.4, 1.0, 0.0]
    assert allocation.promised.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])
    assert allocation.selected.tolist() == [True, True, True, False]


@pytest.mark.parametrize(("mechanism", "guarantee"), GUARANTEES, ids=lambda case: getattr(case, "rule", None))
@given(seed=st.integers(0, 2**32), count=st.integers(0, 7), budget=st.floats(0.0, 10.0))
@settings(max_examples=15)
def test_every_declared_guarantee_holds(mechanism, guarantee, seed: int, count: int, budget: float) -> None:
    ample = guarantee.when == AMPLE_PRIVACY
    types = random_owners(seed, count, ample)
    if guarantee.property == "budget_feasibility":
        assert budget_gap(mechanism, types, budget) >= -1e-9 * (1 + budget)
    elif guarantee.property == "individual_rationality":
        assert individual_rationality(mechanism, types, budget).worst >= -1e-9
    else:
        assert guarantee.lie == VALUATION
        lying = misreport_gain(mechanism, types, budget, VALUATION, [0.0, 0.4, 0.9, 1.1, 3.0])
        assert lying.largest_gain <= 1e-9 * (1 + budget)


def test_rules_that_can_ruin_their_sellers_promise_no_rationality() -> None:
    ruinous = {"mfg_pricing", "regretnet", "dm_regretnet", "mfg_regretnet_paper"}
    declared = {case.rule: {g.property for g in case.guarantees} for case in CASES["privacy_auction"]}
    assert {rule for rule, held in declared.items() if "individual_rationality" not in held} == ruinous
    types = owners([5.0, 0.1], [2.0, 2.0])
    assert individual_rationality(PrivacyAuction(rule="mfg_pricing"), types, 1.0).violations == 1


def test_pac_is_not_truthful_where_its_sale_is_cut_to_a_budget() -> None:
    """Why its truthfulness is declared for ample privacy budgets only: a dear owner with little to sell gains."""
    types = owners([0.1, 0.2, 0.9, 0.95], [2.0, 2.0, 0.05, 2.0])
    gain = misreport_gain(PrivacyAuction(rule="pac"), types, 0.4, VALUATION, [0.01, 0.1, 0.3]).largest_gain
    assert gain > 0.01


@every_rule
@given(seed=st.integers(0, 2**32), count=st.integers(0, 6))
@settings(max_examples=8)
def test_the_order_of_the_reports_decides_nothing(mechanism: PrivacyAuction, seed: int, count: int) -> None:
    types = random_owners(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    straight = mechanism.plan(Terms(0, 2.0), reports(types))
    mixed = mechanism.plan(Terms(0, 2.0), reports(types.take(order), np.arange(count)[order]))
    assert mixed.epsilon == pytest.approx(straight.epsilon[order], abs=1e-12)
    assert mixed.promised == pytest.approx(straight.promised[order], abs=1e-12)


@pytest.mark.parametrize("mechanism", CLOSED_FORMS, ids=lambda case: case.rule)
def test_only_what_arrives_is_paid(mechanism: PrivacyAuction) -> None:
    terms = mechanism.announce(Board(0, 1.0))
    allocation = mechanism.plan(terms, reports(WORKED))
    outcome = everything_comes(allocation)
    late = replace(outcome, arrived=outcome.arrived & (np.arange(4) != 0))
    settlement = mechanism.settle(terms, allocation, late)
    assert set(settlement.transfers.payee.tolist()) == set(np.flatnonzero(late.arrived & (allocation.promised > 0)))
    assert settlement.transfers.amount.sum() == pytest.approx(allocation.promised[late.arrived].sum())


def test_utility_is_counted_at_the_true_valuation_and_the_epsilon_really_lost() -> None:
    mechanism = PrivacyAuction(rule="all_in", epsilon_value=2.0)
    terms = mechanism.announce(Board(0, 1.0))
    claims = truthful_claims(WORKED) | {PRIVACY_BUDGET: 2 * WORKED.column(PRIVACY_BUDGET)}
    allocation = mechanism.plan(terms, replace(reports(WORKED), claims=claims))
    outcome = everything_comes(allocation)
    settlement = mechanism.settle(terms, allocation, outcome)
    trained = np.array([True, False, True, True])
    lost = np.where(allocation.selected & trained, np.minimum(allocation.epsilon, WORKED.column(PRIVACY_BUDGET)), 0.0)
    really = replace(allocation, epsilon=lost)
    scored = mechanism.paper_utility(terms, really, outcome, settlement, WORKED, trained)
    assert lost.sum() > 0
    assert scored.owners == pytest.approx(allocation.promised - WORKED.column(VALUATION) * lost)
    surplus = scored.owners.sum() + scored.model_owner
    assert surplus == pytest.approx(2 * np.log1p(lost.sum()) - (WORKED.column(VALUATION) * lost).sum())


# ---- what is published --------------------------------------------------------------------------------------------


def members(types: Types, settlement: Settlement | None = None) -> Members:
    count = len(types)
    nobody, zeros = np.full(count, -1), np.zeros(count, dtype=np.int64)
    records = {} if settlement is None else settlement.records
    return Members(types.owner, truthful_claims(types), {}, nobody, zeros, zeros, records)


def round_of(
    mechanism: PrivacyAuction, types: Types, number: int, before: Settlement | None
) -> tuple[Terms, Settlement]:
    terms = mechanism.announce(Board(number, 3.0, members=members(types, before)))
    allocation = mechanism.plan(terms, reports(types))
    return terms, mechanism.settle(terms, allocation, everything_comes(allocation))


def test_the_mean_field_is_a_moving_average_that_follows_a_drifting_population() -> None:
    mechanism, settlement = PrivacyAuction(rule="mfg_pricing", memory=0.25), None
    expected, seen = np.nan, []
    for number in range(12):
        level = 0.2 if number < 4 else 0.8
        types = owners([level, level + 0.1, level + 0.2], [1.0, 2.0, 3.0])
        terms, settlement = round_of(mechanism, types, number, settlement)
        now = level + 0.1
        expected = now if np.isnan(expected) else 0.75 * expected + 0.25 * now
        assert terms.figures[MEAN_VALUATION] == pytest.approx(expected)
        seen.append(terms.figures[MEAN_VALUATION])
    assert seen[:4] == pytest.approx([0.3] * 4)
    assert 0.8 < seen[-1] < 0.9


@pytest.mark.parametrize("rule", ["mfg_regretnet", "all_in"])
def test_the_mean_field_is_a_statistic_and_decides_nothing(rule: RuleName) -> None:
    """The networks go by the means of the bids that they clear, whatever was announced."""
    mechanism = PrivacyAuction(rule=rule)
    terms = mechanism.announce(Board(0, 1.0))
    moved = replace(terms, figures={**terms.figures, MEAN_VALUATION: 1e6})
    told, untold = mechanism.plan(moved, reports(WORKED)), mechanism.plan(terms, reports(WORKED))
    assert told.epsilon.tolist() == untold.epsilon.tolist()
    assert told.promised.tolist() == untold.promised.tolist()


def test_the_mean_field_hangs_on_the_sellers_and_begins_anew_without_them() -> None:
    mechanism = PrivacyAuction(rule="all_in", memory=0.25)
    _, settlement = round_of(mechanism, WORKED, 0, None)
    newcomers = owners([0.9, 0.7], [1.0, 1.0])
    terms = mechanism.announce(Board(1, 3.0, members=members(newcomers)))
    assert settlement.records[MEAN_VALUATION][0] == pytest.approx(WORKED.column(VALUATION).mean())
    assert terms.figures[MEAN_VALUATION] == pytest.approx(0.8)


def test_who_has_nothing_left_to_sell_is_no_part_of_the_mean_field() -> None:
    types = owners([0.1, 0.5, 0.9], [0.0, 1.0, 1.0])
    terms = PrivacyAuction(rule="all_in").announce(Board(0, 3.0, members=members(types)))
    assert terms.figures[MEAN_VALUATION] == pytest.approx(0.7)


def test_newcomers_expect_to_sell_as_the_last_sellers_did() -> None:
    mechanism = PrivacyAuction(rule="all_in")
    _, settlement = round_of(mechanism, WORKED, 0, None)
    terms = mechanism.announce(Board(1, 3.0, members=members(WORKED, settlement)))
    price = terms.figures[UNIT_PRICE]
    assert price == pytest.approx(settlement.transfers.amount.sum() / settlement.claimed)
    assert terms.figures[SHARE] == 1.0
    cheap_dear_empty = owners([price / 2, price * 2, 0.0], [4.0, 4.0, 0.0])
    advice = mechanism.recommend(terms, cheap_dear_empty)
    assert advice.participate.tolist() == [True, True, False]
    assert advice.expected_epsilon.tolist() == [4.0, 0.0, 0.0]
    assert advice.expected_payment == pytest.approx([4.0 * price, 0.0, 0.0])


def test_before_the_first_sale_whoever_has_something_to_sell_hopes() -> None:
    mechanism = PrivacyAuction()
    advice = mechanism.recommend(mechanism.announce(Board(0, 1.0)), owners([0.5, 0.5], [1.0, 0.0]))
    assert (advice.expected_payment > 0).tolist() == [True, False]


def test_sizes_count_only_where_they_are_asked_for() -> None:
    types = replace(WORKED, data_size=np.array([10.0, 500.0, 20.0, 40.0]))
    bids = Bids(types.column(VALUATION), types.column(PRIVACY_BUDGET), types.data_size)
    for sizes, seen in (("equal", np.ones(4)), ("reported", types.data_size)):
        allocation = PrivacyAuction(rule="csra", sizes=sizes).plan(Terms(0, 1.0), reports(types))
        sale = RULES["csra"](replace(bids, data_size=seen), 1.0)
        assert allocation.promised == pytest.approx(sale.payment)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"rule": "dutch"}, "unknown rule 'dutch'"),
        ({"memory": 0.0}, "memory"),
        ({"epsilon_value": -1.0}, "epsilon_value"),
        ({"sizes": "some"}, "sizes"),
    ],
)
def test_a_wrong_parameter_is_named(wrong: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PrivacyAuction(**wrong)


def test_owners_without_data_or_budget_are_no_bidders() -> None:
    types = owners([0.1, 0.2, 0.3], [0.0, 1.0, 1.0])
    claims = truthful_claims(types) | {VALUATION: np.array([0.1, np.nan, 0.3]), DATA_SIZE: np.array([1.0, 1.0, 0.0])}
    everybody = replace(reports(types), claims=claims)
    assert PrivacyAuction(rule="mfg_pricing").plan(Terms(0, 1.0), everybody).selected.tolist() == [False, False, True]
    by_size = PrivacyAuction(rule="all_in", sizes="reported").plan(Terms(0, 1.0), everybody)
    assert not by_size.selected.any()


def test_a_played_market_counts_privacy_in_utility() -> None:
    played = play(PrivacyAuction(rule="mfg_pricing"), WORKED, truthful_claims(WORKED), 1.0)
    assert played.utilities == pytest.approx(played.payments - WORKED.column(VALUATION) * WORKED.column(PRIVACY_BUDGET))
