"""The model owner's best reward, also where capped owners make its payoff bend and peak more than once."""

from __future__ import annotations

import numpy as np
import pytest
from qd_rdfl_oracles import owners_numerically
from scipy.optimize import brentq, minimize_scalar

from market.qd_rdfl.contest import contribution_rate, equilibrium_effort
from market.qd_rdfl.leader import best_reward, capped_reward


def payoff(reward, scale, cost, largest):
    return scale * np.log1p(equilibrium_effort(reward, cost, largest).sum()) - reward


def capped_market(seed, most=12):
    draw = np.random.default_rng(seed)
    count = draw.integers(2, most)
    cost = 1.0 / draw.uniform(0.3 if seed % 2 else 0.9, 1.0, count)
    largest = draw.uniform(0.001, 0.3, count) * draw.choice([0.1, 1.0, 3.0])
    if seed % 3 == 0:
        largest = np.where(draw.random(count) < 0.5, largest, np.inf)
    return float(draw.uniform(1.0, 10.0)), cost, largest


def test_the_reward_is_that_of_an_independent_solver_on_300_populations():
    for seed in range(300):
        draw = np.random.default_rng(seed)
        cost, scale = 1.0 / draw.uniform(0.5, 1.0, draw.integers(2, 40)), float(draw.uniform(2.5, 10.0))
        rate = owners_numerically(1.0, cost).sum()
        found = best_reward(scale, contribution_rate(cost))
        if scale * rate <= 1.0:
            assert found == 0.0
            continue
        margin = brentq(lambda reward, s=scale, k=rate: s * k / (1.0 + k * reward) - 1.0, 0.0, 2 * scale, xtol=1e-14)
        assert found == pytest.approx(margin, abs=1e-8)
        value = minimize_scalar(
            lambda reward, s=scale, k=rate: reward - s * np.log1p(k * reward), bounds=(0.0, scale), method="bounded"
        )
        assert scale * np.log1p(rate * found) - found == pytest.approx(-value.fun, abs=1e-8)


def test_nothing_pays_when_the_first_unit_of_money_brings_less_than_it_costs():
    assert best_reward(2.0, 0.5) == 0.0
    assert best_reward(0.0, 1.0) == 0.0
    assert best_reward(1.0, 0.0) == 0.0
    assert capped_reward(1.0, np.ones(2), np.full(2, 0.1)) == 0.0
    assert capped_reward(9.0, np.ones(2), np.array([0.1, 0.0])) == 0.0


def test_no_reward_on_a_fine_grid_beats_the_one_found_with_caps():
    for seed in range(120):
        scale, cost, largest = capped_market(seed)
        found = payoff(capped_reward(scale, cost, largest), scale, cost, largest)
        grid = np.linspace(0.0, 2.0 * scale, 800)
        assert max(payoff(reward, scale, cost, largest) for reward in grid.tolist()) <= found + 1e-12


def test_with_caps_the_reward_is_where_an_independent_search_ends():
    for seed in range(60):
        scale, cost, largest = capped_market(seed, most=6)

        def loss(reward, scale=scale, cost=cost, largest=largest):
            return reward - scale * np.log1p(owners_numerically(reward, cost, largest).sum())

        grid = np.linspace(1e-3, 2.0 * scale, 400)
        start = int(np.argmin([loss(reward) for reward in grid]))
        around = grid[max(0, start - 1)], grid[min(399, start + 1)]
        best = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-11})
        found = capped_reward(scale, cost, largest)
        if best.fun < 0.0:
            assert loss(found) <= best.fun + 1e-8
            assert found == pytest.approx(best.x, abs=2e-5), "a search by values knows the place to their root only"


def test_caps_that_nobody_reaches_change_nothing():
    cost = 1.0 / np.linspace(0.9, 1.0, 10)
    assert capped_reward(2.5, cost, np.full(10, 5.0)) == best_reward(2.5, contribution_rate(cost))
    assert capped_reward(2.5, cost, np.full(10, np.inf)) == best_reward(2.5, contribution_rate(cost))


@pytest.mark.parametrize("largest", [[5e-324, 0.001, np.inf], [1e-300, 1e-300, 1.0], [1e-12, 1e9, 1e-9]], ids=str)
def test_caps_far_apart_leave_a_finite_reward_that_nothing_beats(largest):
    cost, largest = np.array([1.0, 3.0, 1e-3]), np.array(largest)
    found = capped_reward(2.5, cost, largest)
    assert 0.0 <= found < 2.5
    rewards = np.concatenate([np.geomspace(1e-12, 5.0, 300), np.linspace(0.0, 5.0, 300)])
    best = max(payoff(reward, 2.5, cost, largest) for reward in rewards.tolist())
    assert best <= payoff(found, 2.5, cost, largest) + 1e-12


def test_where_all_are_capped_the_reward_is_the_least_that_brings_everything():
    cost, largest = np.ones(4), np.full(4, 0.05)
    found = capped_reward(2.5, cost, largest)
    assert equilibrium_effort(found, cost, largest) == pytest.approx(largest, rel=1e-12)
    assert equilibrium_effort(found * (1.0 - 1e-6), cost, largest).sum() < largest.sum() * (1.0 - 1e-8)


@pytest.mark.parametrize(("scale", "everybody"), [(3.2, False), (4.0, True)])
def test_of_two_peaks_the_higher_one_is_taken(scale, everybody):
    # Two cheap owners with little data, many dear ones with much: stop at the cheap two, or pay for all.
    cost = np.array([0.1, 0.1, *[2.0] * 8])
    largest = np.array([0.05, 0.05, *[1.0] * 8])
    rewards = np.linspace(1e-4, 2.0 * scale, 4000)
    values = np.array([payoff(reward, scale, cost, largest) for reward in rewards.tolist()])
    inside = values[1:-1]
    assert ((inside > values[:-2]) & (inside > values[2:])).sum() == 2, "there really are two"
    found = capped_reward(scale, cost, largest)
    assert payoff(found, scale, cost, largest) >= values.max() - 1e-12
    assert bool(equilibrium_effort(found, cost, largest)[2:].any()) == everybody


def test_a_hundred_thousand_capped_owners_have_a_reward():
    draw = np.random.default_rng(1)
    quality = draw.uniform(0.5, 1.0, 100_000)
    reward = capped_reward(2.5, 1.0 / quality, quality * draw.uniform(0.0, 1e-4, 100_000))
    assert 0.0 < reward < 2.5
