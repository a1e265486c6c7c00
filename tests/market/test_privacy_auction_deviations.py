"""How lies are looked for, and what is found under rules that invite them."""

from __future__ import annotations

import numpy as np
import pytest
from auction_oracles import plain_mfg_pricing, total_cost, uniform_bids

from market.privacy_auction import RULES, Bids, Sale, settle
from market.privacy_auction.deviations import (
    CAP_SHARES,
    attacked_owners,
    cap_violations,
    grid_regret,
    individual_rationality,
    is_budget_feasible,
    mean_cost,
    reports_of,
)
from market.privacy_auction.networks.columns import regret as regret_by_gradient
from market.privacy_auction.networks.pricing import PricingNetwork
from market.privacy_auction.rules import regret


def pay_as_bid(bids, budget):
    """Everybody sells all and is paid what it says that it costs, if the budget allows."""
    cost = bids.valuation * bids.privacy_budget
    bought = cost.sum() <= budget
    return Sale(bought * bids.privacy_budget, bought * cost)


def test_the_grid_holds_the_truth_and_no_privacy_budget_above_it():
    bids = uniform_bids(7)
    for owner in range(7):
        valuation, cap = reports_of(bids, owner)
        assert len(valuation) == len(cap) == 40 * len(CAP_SHARES)
        assert (valuation[0], cap[0]) == (bids.valuation[owner], bids.privacy_budget[owner])
        assert cap.max() == bids.privacy_budget[owner]
        assert valuation.min() == 0.0
        assert valuation.max() >= 1.5 * bids.valuation.max()


def test_a_rule_that_pays_what_is_asked_is_asked_for_as_much_as_it_pays():
    bids = Bids.of_equals(np.array([0.5, 1.0]), np.array([2.0, 1.0]))
    found = grid_regret(pay_as_bid, bids, 1e6)
    # the dearest valuation on the grid is 1.5 for the second owner, and twice its own is 2
    assert found.gain == pytest.approx([2.0 * (1.5 - 0.5), 1.0 * (2.0 - 1.0)])
    assert found.mean_cost == pytest.approx(1.0)
    assert (found.mean, found.largest) == (pytest.approx(1.5), pytest.approx(2.0))


def test_what_a_lie_brings_is_valued_at_the_truth():
    bids = Bids.of_equals(np.array([0.5, 1.0]), np.array([2.0, 1.0]))
    # With just enough money for the truth, an owner can only sell less for the same money: half of it at twice the
    # price saves half of its cost. Selling more cheaply would gain at the valuation said, and not at the true one.
    assert grid_regret(pay_as_bid, bids, 2.0).gain.tolist() == [0.5, 0.5]


def test_mfg_pricing_is_attacked_through_the_privacy_budget_where_the_budget_binds():
    for seed in range(5):
        bids = uniform_bids(10, seed)
        assert regret("mfg_pricing", bids, 50.0).mean == pytest.approx(0.0, abs=1e-12)
        assert regret("mfg_pricing", bids, 0.5 * total_cost(bids)).mean > 0.01


def test_the_gradient_attack_finds_what_the_grid_finds_under_mfg_pricing():
    for seed in range(5):
        bids = uniform_bids(10, seed)
        budget = 0.5 * total_cost(bids)
        grid = grid_regret(RULES["mfg_pricing"], bids, budget)
        by_gradient = gradient_alone(bids, budget)
        assert grid.gain.sum() > 0
        assert by_gradient.sum() >= 0.95 * grid.gain.sum()
        both = regret_by_gradient(PricingNetwork(), bids, budget)
        assert (both.gain >= grid.gain - 1e-12).all()


def gradient_alone(bids, budget):
    """What the test attack finds without the grid, each lie valued by the rule written out."""
    import torch

    from market.privacy_auction.networks.attack import TEST_ATTACK, best_misreports
    from market.privacy_auction.networks.columns import report_of
    from market.privacy_auction.networks.game import Profile

    starts = torch.from_numpy(np.random.default_rng(0).uniform(size=(TEST_ATTACK.starts, 1, len(bids), 2)))
    profile = Profile(report_of(bids)[None], torch.tensor([budget], dtype=torch.float64))
    lies, _ = best_misreports(PricingNetwork(), profile, TEST_ATTACK, starts)
    honest = settle(bids, RULES["mfg_pricing"](bids, budget)).utility
    gains = []
    for owner, (_, cap) in enumerate(lies[0].tolist()):
        said = bids.privacy_budget.copy()
        said[owner] = cap
        epsilon, payment = plain_mfg_pricing(Bids.of_equals(bids.valuation, said), budget)
        gains.append(payment[owner] - bids.valuation[owner] * epsilon[owner] - honest[owner])
    return np.maximum(gains, 0.0)


def test_all_in_is_nearly_but_not_exactly_truthful_at_a_binding_budget():
    found = []
    for seed in range(20):
        bids = uniform_bids(10, seed)
        found.append(grid_regret(RULES["all_in"], bids, 0.5 * total_cost(bids)).mean)
    assert 0.0 < np.mean(found) < 0.3


def test_in_a_large_market_evenly_spaced_owners_stand_for_all():
    bids = uniform_bids(1000)
    rows = attacked_owners(bids, 5)
    ranks = np.argsort(np.argsort(bids.valuation))[rows]
    assert sorted(ranks.tolist()) == [0, 250, 500, 749, 999]
    assert attacked_owners(bids, 1000).tolist() == list(range(1000))
    assert grid_regret(RULES["pac"], bids, 10.0, most_pairs=3000).owner.tolist() == attacked_owners(bids, 3).tolist()


def test_where_nothing_is_sold_regret_is_relative_to_what_was_offered():
    bids = Bids.of_equals(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    assert mean_cost(bids, np.array([1.0, 0.0]), 7.0) == 0.5
    assert mean_cost(bids, np.zeros(2), 7.0) == 2.5
    assert mean_cost(Bids.of_equals(np.zeros(2), np.ones(2)), np.ones(2), 7.0) == 3.5


def test_losses_and_excesses_are_counted():
    bids = Bids.of_equals(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    outcome = settle(bids, Sale(np.array([1.5, 2.0, 0.0]), np.array([1.0, 2.5, 0.5])))
    assert individual_rationality(outcome, 4.0) == (1, -0.5)
    assert cap_violations(bids, outcome).tolist() == [True, False, False]
    assert is_budget_feasible(outcome, 4.0)
    assert not is_budget_feasible(outcome, 3.999)
    assert outcome.winners.tolist() == [0, 1]
    assert outcome.epsilon_share == pytest.approx(3.5 / 6.0)
