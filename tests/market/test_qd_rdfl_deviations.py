"""Measured deviations: nothing to gain in the equilibrium, and the true gain where an outcome is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.qd_rdfl.deviations import (
    balance,
    individual_rationality,
    leader_gain,
    owner_best_response_gain,
    quality_report_gain,
    unstable_pairs,
)
from market.qd_rdfl.equilibrium import Centers, Market, solve
from market.qd_rdfl.search import largest_value

MISREPORT = np.array([0.92, 0.95, 0.97, 0.99, 1.0, 0.93, 0.96, 0.98, 0.94, 0.91])
SPREAD = 0.9 + 0.1 * np.linspace(0.0, 1.0, 40)


def random_market(seed, with_caps=False):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(2, 40))
    cap = draw.uniform(0.0, 0.3, count) if with_caps else None
    return Market(draw.uniform(0.5, 1.0, count), cap=cap, reward=float(draw.uniform(0.2, 3.0)))


@pytest.mark.parametrize("with_caps", [False, True])
def test_in_equilibrium_no_owner_gains_by_another_contribution(with_caps):
    for seed in range(150):
        market = random_market(seed, with_caps)
        assert owner_best_response_gain(market, solve(market)) <= 1e-9


def test_the_reference_grid_of_contributions_finds_no_gain_either():
    for seed in range(300):
        market = random_market(seed)
        found = solve(market)
        total, tried = found.effective_contribution.sum(), np.linspace(0.0, 3.0, 3001)[:, None]
        others = total - found.effective_contribution
        effort = tried * market.quality
        utility = market.reward * effort / (effort + others) - tried
        assert (utility.max(axis=0) - found.utility_owner).max() <= 1e-9


@pytest.mark.parametrize("with_caps", [False, True])
def test_the_best_reward_leaves_the_model_owner_nothing_to_gain(with_caps):
    for seed in range(10 if with_caps else 60):
        market = replace(random_market(seed, with_caps), reward=None)
        assert leader_gain(market, solve(market)) <= 1e-9


def test_a_given_reward_leaves_what_the_best_one_would_bring_more():
    market = Market(MISREPORT, reward=1.0)
    missed = solve(replace(market, reward=None)).utility_model_owner - solve(market).utility_model_owner
    assert missed > 0.01
    assert leader_gain(market, solve(market)) == pytest.approx(missed, abs=1e-9)


def test_a_negative_contribution_earns_more_than_any_that_is_possible():
    market = Market(SPREAD, owner_solver="foc")
    found = solve(market)
    assert found.contribution.min() < 0.0
    assert found.utility_owner[found.contribution < 0.0].min() > 0.0
    assert owner_best_response_gain(market, found) <= 1e-9, "so the check finds no better reply"


def test_a_tampered_outcome_shows_what_its_victims_would_gain():
    market = Market(np.ones(3), reward=1.0)
    found = solve(market)
    effort = np.array([0.0, 2 / 9, 2 / 9])
    tampered = replace(
        found,
        contribution=effort,
        effective_contribution=effort,
        utility_owner=np.array([0.0, 0.5, 0.5]) - effort,
    )
    reply = np.sqrt(4 / 9) - 4 / 9
    assert owner_best_response_gain(market, tampered) == pytest.approx(reply / (reply + 4 / 9) - reply, abs=1e-9)


def test_the_gain_of_a_misreport_is_the_largest_that_brute_force_finds():
    for market in (Market(MISREPORT), Market(MISREPORT, cap=np.full(10, 0.12)), Market(MISREPORT, reward=1.0)):
        honest, gains = solve(market), []
        for owner in range(10):
            for report in np.linspace(0.0, 1.0, 41):
                quality = MISREPORT.copy()
                quality[owner] = report
                gains.append(solve(replace(market, quality=quality)).utility_owner[owner] - honest.utility_owner[owner])
        assert quality_report_gain(market, honest) == pytest.approx(max(gains), abs=1e-6)
        assert quality_report_gain(market, honest) > 0.01


def test_owners_of_the_best_quality_have_nothing_better_to_report():
    market = Market(np.ones(5))
    assert quality_report_gain(market, solve(market)) <= 1e-12


def test_a_lie_may_open_a_closed_market():
    market = Market(np.array([0.75, 0.75]))
    closed = solve(market)
    assert not closed.trade
    assert quality_report_gain(market, closed) > 0.0


def test_losses_are_counted_for_all_parties():
    assert individual_rationality(Market(MISREPORT), solve(Market(MISREPORT))).losers == 0
    too_much = Market(np.array([0.9, 1.0]), reward=1.0)
    assert individual_rationality(too_much, solve(too_much)) == (1, pytest.approx(-0.0305862, abs=1e-7))
    dear = Market(MISREPORT, centers=Centers(np.full(10, 1.2), solver="authors"))
    assert individual_rationality(dear, solve(dear)).losers == 10


@pytest.mark.parametrize("solver", ["equilibrium", "authors", None])
def test_money_balances_whatever_the_number_of_centers(solver):
    for seed in range(50):
        draw = np.random.default_rng(seed)
        centers = solver and Centers(draw.uniform(0.1, 1.0, int(draw.integers(1, 50))), solver=solver)
        market = replace(random_market(seed), centers=centers)
        assert abs(balance(market, solve(market))) <= 1e-12


def test_money_from_nowhere_shows():
    market = Market(MISREPORT, centers=Centers(np.full(10, 0.5)))
    found = solve(market)
    forged = replace(found, utility_owner=found.utility_owner + 0.01)
    assert balance(market, forged) == pytest.approx(0.1, abs=1e-12)


def test_exchanged_matches_are_unstable():
    market = Market(MISREPORT, centers=Centers(np.arange(1, 11) / 10, solver="authors"))
    found = solve(market)
    assert unstable_pairs(market, found) == 0
    exchanged = found.match.copy()
    exchanged[[0, 1]] = exchanged[[1, 0]]
    assert unstable_pairs(market, replace(found, match=exchanged)) > 0
    assert unstable_pairs(Market(MISREPORT), solve(Market(MISREPORT))) is None
    closed = replace(market, reward=0.0)
    assert unstable_pairs(closed, solve(closed)) == 0


def test_the_search_ends_at_a_maximum_between_its_grid_points():
    peaks = np.array([0.1234567, 0.9, 0.0])
    grid = np.linspace(0.0, 1.0, 11)[:, None] * np.ones(3)
    found = largest_value(lambda points: -((points - peaks) ** 2), grid)
    assert found == pytest.approx(np.zeros(3), abs=1e-15)
