"""QD-RDFL played round after round: beliefs, the announced reward, offers, matches, and who pays whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.mechanism import QUALITY, Board, Members, Outcome, Reports, Types
from market.parties import MODEL_OWNER, WORLD, center_party
from market.qd_rdfl.equilibrium import Market, solve
from market.qd_rdfl.matching import ALONE, stable_match
from market.qd_rdfl.mechanism import COMPUTE, EFFORT, FEE, QDRDFL
from market.qd_rdfl.rematching import rematch

UNFLOORED = QDRDFL(quality_floor=-1.0)
UNKNOWN = np.nan
TRAINED = np.ones(3, dtype=bool)


def members(claimed, measured=None, center=None) -> Members:
    count = len(claimed)
    return Members(
        np.arange(count),
        {QUALITY: np.array(claimed, dtype=float)},
        {QUALITY: np.full(count, UNKNOWN) if measured is None else np.array(measured, dtype=float)},
        np.full(count, ALONE) if center is None else np.array(center),
    )


def board(present: Members, **figures) -> Board:
    return Board(round=figures.pop("round", 0), budget=figures.pop("budget", 50.0), members=present, **figures)


def types(quality, owner=None) -> Types:
    count = len(quality)
    ids = np.arange(count) if owner is None else np.array(owner)
    return Types(np.full(count, 100.0), np.array(quality, dtype=float), np.zeros(count), ids)


def play(mechanism, present, quality, arrived=None, **figures):
    """One round of honest members."""
    terms = mechanism.announce(board(present, **figures))
    advice = mechanism.recommend(terms, types(quality))
    count = len(quality)
    reports = Reports(np.arange(count), {QUALITY: np.array(quality)}, advice.data_share, np.ones(count))
    allocation = mechanism.plan(terms, reports)
    came = allocation.selected if arrived is None else allocation.selected & np.array(arrived)
    outcome = Outcome(came, came / max(1, came.sum()), 0.5, 0.4)
    return terms, allocation, outcome, mechanism.settle(terms, allocation, outcome)


# ---- the game, round after round ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 10, 40])
def test_honest_members_play_the_static_equilibrium(count):
    quality = np.random.default_rng(count).uniform(0.5, 1.0, count)
    static = solve(Market(quality, cap=np.ones(count)))
    terms, allocation, _, settlement = play(UNFLOORED, members(quality), quality)
    assert terms.budget == static.reward
    np.testing.assert_allclose(allocation.data_share, static.contribution, atol=1e-15)
    paid = np.zeros(count)
    paid[settlement.transfers.payee] = settlement.transfers.amount
    np.testing.assert_allclose(paid, static.payment, rtol=1e-12, atol=1e-15)


def test_first_order_conditions_never_ask_an_owner_for_more_than_its_data():
    quality = [1.0, 0.95, 0.9]
    first_order = QDRDFL(owner_solver="foc", reward="fixed", fixed_reward=50.0, market_factor=0.1)
    terms, allocation, _, _ = play(first_order, members(quality), quality, budget=50.0)
    asked = first_order.recommend(terms, types(quality)).data_share
    assert asked.tolist() == allocation.data_share.tolist() == [1.0, 1.0, 1.0]
    assert terms.figures[EFFORT] == pytest.approx(sum(quality))


def test_the_authors_floor_lifts_the_worst_to_nine_tenths():
    believed = QDRDFL().believed(members([0.2, 0.6, 0.4]))
    assert believed == pytest.approx([0.9, 1.0, 0.95])


def test_what_was_measured_replaces_what_is_claimed():
    believed = UNFLOORED.believed(members([1.0, 1.0, 0.7], measured=[0.1, 0.4, UNKNOWN]))
    assert believed.tolist() == [0.25, 1.0, 0.7]


@given(report=st.floats(0.0, 1.0), seed=st.integers(0, 50))
def test_after_the_measurement_a_report_changes_nothing(report, seed):
    """Check 18 of the method: payments do not depend on the claim once quality is measured."""
    chance = np.random.default_rng(seed)
    measured, quality = chance.uniform(0.1, 1.0, 5), chance.uniform(0.5, 1.0, 5)
    claimed = quality.copy()
    claimed[0] = report
    for mechanism in (UNFLOORED, QDRDFL()):
        _, _, _, honest = play(mechanism, members(quality, measured), quality)
        _, _, _, lying = play(mechanism, members(claimed, measured), quality)
        assert lying.transfers.amount.tolist() == honest.transfers.amount.tolist()


def test_before_it_a_higher_report_earns_more():
    quality = np.array([0.92, 0.95, 0.97, 0.99, 1.0, 0.93, 0.96, 0.98, 0.94, 0.91])
    nets = []
    for report in (0.90, 0.92, 0.94, 0.96, 0.98, 1.0):
        claimed = quality.copy()
        claimed[0] = report
        _, allocation, _, settlement = play(UNFLOORED, members(claimed), quality)
        nets.append(settlement.transfers.amount[0] - allocation.data_share[0])
    # The worked example of section 4.
    np.testing.assert_allclose(nets, [0.00308, 0.00592, 0.00954, 0.01384, 0.01875, 0.02419], atol=1e-5)


def test_the_reward_never_exceeds_the_budget():
    terms, _, _, settlement = play(QDRDFL(), members([1.0, 1.0]), [1.0, 1.0], budget=0.2)
    assert terms.budget == 0.2
    assert settlement.transfers.amount.sum() == pytest.approx(0.2)


def test_the_random_reward_follows_the_lot_and_the_fixed_one_nothing():
    present = members([1.0] * 5)
    best = QDRDFL().announce(board(present)).budget
    assert QDRDFL(reward="random").announce(board(present, lot=0.0)).budget == best / 2
    assert QDRDFL(reward="random").announce(board(present, lot=0.5)).budget == 0.75 * best
    assert QDRDFL(reward="fixed").announce(board(present, lot=0.5)).budget == 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_owners_close_the_market(count):
    terms, allocation, _, settlement = play(QDRDFL(), members([1.0] * count), [1.0] * count)
    assert terms.budget == 0.0
    assert not allocation.selected.any()
    assert len(settlement.transfers.amount) == 0


def test_quality_is_measured_in_the_adjustment_round_and_then_every_k_rounds():
    def measured_in(mechanism):
        return [n for n in range(12) if mechanism.announce(board(members([1.0]), round=n)).measure]

    assert measured_in(QDRDFL()) == [2]
    assert measured_in(QDRDFL(adjustment_round=1, adjustment_every=4)) == [1, 5, 9]
    assert measured_in(QDRDFL(adjustment_round=-1, adjustment_every=4)) == []


# ---- entry ----------------------------------------------------------------------------------------------------------


def test_somebody_outside_expects_what_one_owner_more_would_get():
    quality = np.random.default_rng(1).uniform(0.5, 1.0, 8)
    terms = UNFLOORED.announce(board(members(quality)))
    advice = UNFLOORED.recommend(terms, types([0.8, 0.6], owner=[8, 30]))
    for place, own in enumerate([0.8, 0.6]):
        static = solve(Market(np.append(quality, own), cap=np.ones(9)))
        assert advice.expected_payment[place] == pytest.approx(static.utility_owner[-1], abs=1e-15)


def test_free_entry_stops_at_eleven_equal_owners_with_an_outside_option_of_a_hundredth():
    """Check 20 of the method, one entrant at a time: U(N) = (2.5 - N / (N - 1)) / N^2."""
    count = 0
    while QDRDFL().recommend(
        QDRDFL().announce(board(members([1.0] * count))), types([1.0], owner=[count])
    ).expected_payment[0] > 0.01:  # fmt: skip
        count += 1
    assert count == 11


def test_an_entrants_claim_is_put_on_the_members_scale():
    present = members([0.5, 0.7, 0.9])
    terms = QDRDFL().announce(board(present))
    better, best = QDRDFL().recommend(terms, types([0.9, 0.99], owner=[7, 8])).expected_payment
    assert better == best  # both stand at the top of the scale


# ---- money ----------------------------------------------------------------------------------------------------------


def test_money_flows_from_the_model_owner_to_owners_to_centers_to_the_world():
    costs = np.array([0.2, 0.5, 1.0])
    _, allocation, _, settlement = play(UNFLOORED, members([1.0] * 3), [1.0] * 3, center_cost=costs)
    share = allocation.data_share
    fees, work = settlement.further[FEE], settlement.further[COMPUTE]
    assert set(settlement.transfers.payer.tolist()) == {MODEL_OWNER}
    assert fees.payer.tolist() == [0, 1, 2]
    assert fees.payee.tolist() == [center_party(int(center)) for center in allocation.center]
    np.testing.assert_allclose(fees.amount, share)
    assert set(work.payee.tolist()) == {WORLD}
    np.testing.assert_allclose(work.amount, share * costs[allocation.center])


def test_without_centers_the_fee_goes_to_the_world():
    _, allocation, _, settlement = play(UNFLOORED, members([1.0] * 3), [1.0] * 3)
    assert allocation.center is None
    assert set(settlement.further[FEE].payee.tolist()) == {WORLD}
    assert len(settlement.further[COMPUTE].amount) == 0


def test_whose_training_did_not_come_gets_nothing_and_pays_nothing():
    _, _, _, settlement = play(UNFLOORED, members([1.0] * 3), [1.0] * 3, arrived=[True, False, True])
    assert settlement.transfers.payee.tolist() == [0, 2]
    assert settlement.further[FEE].payer.tolist() == [0, 2]


def test_the_papers_utilities_add_up_to_revenue_less_the_cost_of_compute():
    costs, quality = np.array([0.2, 0.5, 0.9]), np.array([0.7, 0.9, 1.0])
    terms, allocation, outcome, settlement = play(UNFLOORED, members(quality), quality, center_cost=costs)
    scored = UNFLOORED.paper_utility(terms, allocation, outcome, settlement, types(quality), TRAINED)
    revenue = 2.5 * np.log1p((quality * allocation.data_share).sum())
    work = (costs[allocation.center] * allocation.data_share).sum()
    total = scored.model_owner + scored.owners.sum() + scored.centers
    assert total == pytest.approx(revenue - work, abs=1e-12)


def test_the_model_owner_is_scored_on_true_quality():
    claimed, truth = np.array([1.0, 0.9, 0.9]), np.array([0.5, 0.9, 0.9])
    terms, allocation, outcome, settlement = play(UNFLOORED, members(claimed), claimed)
    scored = UNFLOORED.paper_utility(terms, allocation, outcome, settlement, types(truth), TRAINED)
    expected = 2.5 * np.log1p((truth * allocation.data_share).sum()) - terms.budget
    assert scored.model_owner == pytest.approx(expected, abs=1e-12)
    assert terms.figures[EFFORT] > (truth * allocation.data_share).sum()


def test_an_upload_that_nobody_trained_adds_no_revenue():
    quality = np.ones(3)
    terms, allocation, outcome, settlement = play(UNFLOORED, members(quality), quality)
    forged = np.array([True, False, True])
    scored = UNFLOORED.paper_utility(terms, allocation, outcome, settlement, types(quality), forged)
    expected = 2.5 * np.log1p(allocation.data_share[[0, 2]].sum()) - terms.budget
    assert scored.model_owner == pytest.approx(expected, abs=1e-12)


def test_a_closed_market_takes_nobody_whatever_is_offered():
    poor = QDRDFL(revenue_sensitivity=0.5, quality_floor=-1.0)
    terms = poor.announce(board(members([1.0] * 3)))
    allocation = poor.plan(terms, Reports(np.arange(3), {QUALITY: np.ones(3)}, np.ones(3), np.ones(3)))
    assert terms.budget == 0.0
    assert not allocation.selected.any()


def test_where_no_center_is_willing_nobody_trains():
    _, allocation, _, settlement = play(UNFLOORED, members([1.0] * 3), [1.0] * 3, center_cost=np.array([2.0, 3.0]))
    assert not allocation.selected.any()
    assert len(settlement.further[FEE].amount) == 0


# ---- matching -------------------------------------------------------------------------------------------------------


def test_a_center_that_costs_more_than_the_fee_takes_nobody():
    _, allocation, _, _ = play(UNFLOORED, members([1.0] * 3), [1.0] * 3, center_cost=np.array([1.5, 0.5, 2.0]))
    assert allocation.center.tolist() == [1, 1, 1]


def test_who_has_a_center_keeps_it_and_newcomers_get_the_free_ones():
    costs = np.array([0.2, 0.5, 0.8, 1.0])
    _, allocation, _, _ = play(UNFLOORED, members([1.0] * 3, center=[0, ALONE, 2]), [1.0] * 3, center_cost=costs)
    assert allocation.center[[0, 2]].tolist() == [0, 2]
    assert allocation.center[1] == 3  # the most wanted one that is free


@given(seed=st.integers(0, 200), owners=st.integers(1, 12), centers=st.integers(1, 6))
def test_everybody_finds_a_center_and_their_numbers_differ_by_one_at_most(seed, owners, centers):
    chance = np.random.default_rng(seed)
    contribution, target, factor = chance.random(owners), chance.random(centers), chance.random(centers)
    match = rematch(np.full(owners, ALONE), contribution, target, factor)
    taken = np.bincount(match, minlength=centers)
    assert match.min() >= 0
    assert taken.max() - taken.min() <= 1


@given(seed=st.integers(0, 100), count=st.integers(1, 10))
def test_with_as_many_centers_as_owners_it_is_the_stable_matching(seed, count):
    chance = np.random.default_rng(seed)
    contribution, target, factor = chance.random(count), chance.random(count), chance.random(count)
    match = rematch(np.full(count, ALONE), contribution, target, factor)
    assert match.tolist() == stable_match(contribution, target, factor).tolist()


# ---- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("revenue_sensitivity", 0.0),
        ("unit_price", float("inf")),
        ("unit_compute_cost", -1.0),
        ("adjustment_round", -2),
        ("adjustment_every", -1),
        ("quality_floor", 1.1),
    ],
)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        replace(QDRDFL(), **{name: value})


def test_a_fee_that_rounds_to_nothing_is_refused():
    """Whoever pays nothing for training would contribute without bound."""
    with pytest.raises(ValueError, match=r"^market_factor \* unit_price: expected a number from 1e-100 on, got 0$"):
        QDRDFL(market_factor=1e-200, unit_price=1e-200)
    assert QDRDFL(market_factor=1e-50, unit_price=1e-50).fee > 0.0
