"""The closed-form rules beside their sources: worked example, plain versions, the properties they have and lack."""

from __future__ import annotations

from functools import partial

import auction_oracles as plain
import numpy as np
import pytest
from auction_oracles import FACTORS, tied_bids, total_cost, uniform_bids

from market.privacy_auction import RULES, Bids, settle
from market.privacy_auction.csra import csra
from market.privacy_auction.deviations import cap_violations, individual_rationality, is_budget_feasible

EXAMPLE = Bids.of_equals(np.array([0.1, 0.2, 0.3, 0.4]), np.array([2.0, 0.4, 1.5, 3.0]))
CLOSED = ["pac", "pac_capped", "vcg", "csra", "all_in", "mfg_pricing", "first_best"]
ORACLES = {
    "pac": (RULES["pac"], plain.plain_pac),
    "pac_capped": (RULES["pac_capped"], plain.plain_pac_capped),
    "vcg": (RULES["vcg"], plain.plain_vcg),
    "csra": (RULES["csra"], plain.plain_csra),
    "csra declared": (partial(csra, allocation="declared"), partial(plain.plain_csra, allocation="declared")),
    "all_in": (RULES["all_in"], plain.plain_all_in),
    "mfg_pricing": (RULES["mfg_pricing"], plain.plain_mfg_pricing),
}


def markets():
    """Markets of all sizes, with and without sizes and ties, from scarce budgets to ample ones."""
    for owners in (1, 2, 3, 5, 12, 40):
        for seed in range(6):
            for bids in (uniform_bids(owners, seed), uniform_bids(owners, seed, sizes=True), tied_bids(owners, seed)):
                for factor in FACTORS:
                    yield bids, max(1e-3, factor * total_cost(bids))


# ---- against the sources ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "epsilon", "payment"),
    [
        ("pac", (1, 1, 1, 0), (1 / 3, 1 / 3, 1 / 3, 0)),
        ("pac_capped", (0.5, 0, 0.5, 0), (0.2, 0, 0.2, 0)),
        ("vcg", (0.5, 0.5, 0, 0), (0.15, 0.15, 0, 0)),
        ("csra", (0.5, 0.5, 0, 0), (0.6, 0.12, 0, 0)),
        ("all_in", (2, 0.4, 0, 0), (0.8333, 0.1667, 0, 0)),
        ("mfg_pricing", (2, 0.4, 1.5, 3), (0.2899, 0.0580, 0.2174, 0.4348)),
        ("first_best", (2, 0.4, 1.5, 0.675), (0.2, 0.08, 0.45, 0.27)),
    ],
)
def test_the_example_that_can_be_checked_by_hand(rule, epsilon, payment):
    sale = RULES[rule](EXAMPLE, 1.0)
    np.testing.assert_allclose(sale.epsilon, epsilon, atol=1e-4)
    np.testing.assert_allclose(sale.payment, payment, atol=1e-4)


@pytest.mark.parametrize("name", ORACLES)
def test_each_rule_is_the_printed_one_owner_by_owner(name):
    rule, oracle = ORACLES[name]
    for bids, budget in markets():
        sale = rule(bids, budget)
        epsilon, payment = oracle(bids, budget)
        np.testing.assert_allclose(sale.epsilon, epsilon, rtol=1e-12, err_msg=str((bids, budget)))
        np.testing.assert_allclose(sale.payment, payment, rtol=1e-9, atol=1e-15)


def test_the_first_best_is_the_optimum_of_the_linear_programme():
    for bids, budget in markets():
        sale = RULES["first_best"](bids, budget)
        assert sale.epsilon.sum() == pytest.approx(plain.most_epsilon(bids, budget), rel=1e-7)
        assert sale.payment == pytest.approx(bids.valuation * sale.epsilon)


def test_the_default_instance_costs_twelve_and_three_quarters_and_never_more_than_fifty():
    chance = np.random.default_rng(0)
    valuation, cap = chance.uniform(0, 1, (100_000, 10)), chance.uniform(0.1, 5, (100_000, 10))
    cost = (valuation * cap).sum(axis=1)
    assert cost.mean() == pytest.approx(12.75, abs=0.05)
    assert cost.max() <= 50


# ---- what holds ---------------------------------------------------------------------------------------------------


def lies(bids, owner):
    """A grid of valuations and places just beside those of the others, where a threshold rule changes."""
    beside = np.concatenate([bids.valuation - 1e-7, bids.valuation + 1e-7])
    return np.clip(np.concatenate([np.linspace(0, 1.5, 61), beside]), 0, None)


def best_lie(rule, bids, budget):
    """The most that one owner gains by another valuation."""
    most = 0.0
    honest = settle(bids, rule(bids, budget)).utility
    for owner in range(len(bids)):
        for value in lies(bids, owner):
            said = bids.valuation.copy()
            said[owner] = value
            utility = settle(bids, rule(Bids(said, bids.privacy_budget, bids.data_size), budget)).utility
            most = max(most, utility[owner] - honest[owner])
    return most


@pytest.mark.parametrize("name", ["pac", "vcg"])
@pytest.mark.parametrize("owners", [5, 10])
def test_lies_about_the_valuation_do_not_pay_under_pac_and_the_coded_vcg(name, owners):
    for seed in range(4):
        bids = uniform_bids(owners, seed)
        for budget in (0.1, 1.0, 0.5 * total_cost(bids), 50.0):
            assert best_lie(RULES[name], bids, budget) <= 1e-9


def test_pac_and_the_coded_vcg_are_one_rule_where_the_budget_is_slack():
    for seed in range(20):
        bids = uniform_bids(10, seed)
        for one, other in zip(RULES["pac"](bids, 50.0), RULES["vcg"](bids, 50.0), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["pac", "pac_capped", "vcg", "all_in", "first_best", "csra declared"])
def test_nobody_loses_and_the_budget_is_kept(name):
    rule = RULES[name] if name in RULES else ORACLES[name][0]
    for bids, budget in markets():
        outcome = settle(bids, rule(bids, budget))
        assert individual_rationality(outcome, budget).violations == 0
        assert is_budget_feasible(outcome, budget)


@pytest.mark.parametrize("name", ["pac_capped", "all_in", "mfg_pricing", "first_best", "csra declared"])
def test_rules_that_heed_privacy_budgets_never_exceed_one(name):
    rule = RULES[name] if name in RULES else ORACLES[name][0]
    assert not any(cap_violations(bids, rule(bids, budget)).any() for bids, budget in markets())


@pytest.mark.parametrize("name", ["pac", "vcg", "csra"])
def test_rules_as_coded_buy_more_than_owners_have(name):
    broken = [
        cap_violations(bids, RULES[name](bids, 50.0)).mean() for bids in map(partial(uniform_bids, 10), range(50))
    ]
    assert np.mean(broken) > 0.01


def test_mfg_pricing_hands_out_the_budget_and_lets_the_dear_owners_lose():
    for seed in range(10):
        bids = uniform_bids(10, seed)
        budget = 0.6 * total_cost(bids)
        outcome = settle(bids, RULES["mfg_pricing"](bids, budget))
        assert outcome.total_payment == pytest.approx(budget, rel=1e-9)
        assert outcome.social_welfare + total_cost(bids) == pytest.approx(budget, rel=1e-9)
        loses = bids.valuation > budget / bids.privacy_budget.sum()
        np.testing.assert_array_equal(outcome.utility < 0, loses)
        assert best_lie(RULES["mfg_pricing"], bids, budget) == 0.0


def test_all_in_pays_no_winner_less_than_its_unit_valuation_and_takes_all_it_has():
    for seed in range(10):
        bids = uniform_bids(10, seed, sizes=True)
        budget = 0.5 * float(bids.valuation @ (bids.privacy_budget * bids.data_size))
        sale = RULES["all_in"](bids, budget)
        won = sale.epsilon > 0
        unit_price = sale.payment[won] / (bids.data_size * bids.privacy_budget)[won]
        assert 0 < won.sum() < 10
        assert (bids.valuation[won] <= unit_price * (1 + 1e-12)).all()
        np.testing.assert_array_equal(sale.epsilon[won], bids.privacy_budget[won])


def test_a_small_owner_enters_all_in_after_a_large_one_was_refused():
    bids = Bids.of_equals(np.array([0.1, 0.4, 0.5]), np.array([1.0, 10.0, 0.5]))
    assert RULES["all_in"](bids, 1.0).epsilon.tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("name", CLOSED)
def test_the_order_of_owners_plays_no_part(name):
    bids = uniform_bids(30, 1, sizes=True)
    order = np.random.default_rng(0).permutation(30)
    budget = 0.4 * total_cost(bids)
    for one, other in zip(RULES[name](bids, budget), RULES[name](bids.take(order), budget), strict=True):
        np.testing.assert_allclose(one[order], other, rtol=1e-12)


@pytest.mark.parametrize("name", ["pac_capped", "all_in", "first_best"])
def test_no_rule_that_keeps_caps_budget_and_rationality_buys_more_than_the_first_best(name):
    for bids, budget in markets():
        if name == "all_in" and bids.data_size.min() < 1:
            continue
        ceiling = settle(bids, RULES["first_best"](bids, budget)).epsilon_share
        assert settle(bids, RULES[name](bids, budget)).epsilon_share <= ceiling + 1e-9
        assert budget < total_cost(bids) or ceiling == pytest.approx(1.0)


def test_welfare_as_published_is_highest_where_nothing_is_bought():
    bids = uniform_bids(10)
    gift = settle(bids, plain_gift(bids, 20.0))
    assert gift.social_welfare == pytest.approx(20.0)
    assert (gift.epsilon_share, len(gift.winners)) == (0.0, 0)
    for name in CLOSED:
        assert settle(bids, RULES[name](bids, 20.0)).social_welfare < gift.social_welfare


def plain_gift(bids, budget):
    """Buys nothing and hands out the budget."""
    return type(RULES["pac"](bids, budget))(np.zeros(len(bids)), np.full(len(bids), budget / len(bids)))
