"""Computing centers: their loads in equilibrium and by the authors' heuristic, and the matching with owners."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qd_rdfl_oracles import deferred_acceptance, owners_numerically

from market.qd_rdfl.centers import equilibrium_loads, target_loads
from market.qd_rdfl.matching import ALONE, blocking_pairs, stable_match

TENTHS = np.arange(1, 11) / 10


def authors_climb(data, cost, sweeps=101):
    """The loads of the authors' procedure, step by step, before they are stretched."""
    load = np.full(len(cost), 0.5)
    for _ in range(sweeps):
        slope = data / load.sum() - cost
        for _ in range(100):
            load = load + 0.01 * slope
    return load


def test_of_ten_centers_only_the_two_cheapest_work():
    load = equilibrium_loads(1.25, 1.25, TENTHS)
    assert load[:2] == pytest.approx([2.778, 1.389], abs=1e-3)
    assert (np.abs(load[2:]) <= 1e-9).all()


def test_loads_are_those_of_an_independent_solver():
    for seed in range(100):
        draw = np.random.default_rng(seed)
        cost = draw.uniform(0.1, 1.0, draw.integers(2, 30))
        fees = float(draw.uniform(0.1, 3.0))
        assert equilibrium_loads(fees, 1.0, cost) == pytest.approx(owners_numerically(fees, cost), abs=1e-8)


def test_no_center_gains_by_another_load():
    draw = np.random.default_rng(3)
    cost, fees = draw.uniform(0.3, 1.0, 8), 1.4
    load = equilibrium_loads(fees, 1.0, cost)
    for center in range(8):
        others = load.sum() - load[center]
        tried = np.linspace(0.0, 5.0, 5001)
        best = (fees * tried / (tried + others) - cost[center] * tried).max()
        assert best <= fees * load[center] / load.sum() - cost[center] * load[center] + 1e-12


def test_centers_that_compute_for_nothing_aim_at_the_largest_contributions():
    contribution = np.array([0.2, 0.9, 0.5, 0.7])
    data, cost = float(contribution.sum()), np.array([0.0, 1.0, 0.0, 0.5])
    load = equilibrium_loads(3.0, data, cost)
    assert load.tolist() == [data, 0.0, data, 0.0]
    nearly = equilibrium_loads(3.0, data, np.where(cost > 0.0, cost, 1e-9))
    assert load / load.sum() == pytest.approx(nearly / nearly.sum(), abs=1e-6), "fees are shared as in the limit"
    assert stable_match(contribution, load, cost).tolist() == stable_match(contribution, nearly, cost).tolist()
    assert equilibrium_loads(0.0, data, cost).tolist() == [0.0] * 4
    alone = equilibrium_loads(3.0, data, np.array([0.0, 1.5, 2.0]))
    assert alone.tolist() == [2.0, 0.0, 0.0]


def test_a_single_center_takes_the_data_as_they_are():
    assert equilibrium_loads(2.0, 0.7, np.ones(1)).tolist() == [0.7]


@given(st.lists(st.floats(0.1, 2.0), min_size=2, max_size=8), st.integers(1, 101))
def test_the_heuristic_is_the_authors_climb_stretched_whatever_its_length(cost, sweeps):
    cost, contribution = np.array(cost), np.array([0.05, 0.2, 0.11])
    if np.ptp(cost) < 1e-3:
        return
    climbed = authors_climb(contribution.sum(), cost, sweeps)
    stretched = 0.05 + 0.15 * (climbed - climbed.min()) / np.ptp(climbed)
    assert target_loads(contribution, cost) == pytest.approx(stretched, abs=1e-8)


def test_cheaper_centers_aim_higher_and_equal_ones_at_the_middle():
    contribution = np.array([0.1, 0.3, 0.2])
    assert (np.diff(target_loads(contribution, TENTHS)) < 0.0).all()
    assert target_loads(contribution, np.ones(4)) == pytest.approx(np.full(4, 0.2))


# ---- matching -----------------------------------------------------------------------------------------------------


def random_sides(seed, equal_numbers=True):
    draw = np.random.default_rng(seed)
    owners = int(draw.integers(1, 12))
    centers = owners if equal_numbers else int(draw.integers(1, 12))
    # Few different values, so that there are ties on every side.
    return draw.integers(0, 6, owners) / 8, draw.integers(0, 6, centers) / 8, draw.integers(1, 5, centers) / 4


@pytest.mark.parametrize("equal_numbers", [True, False])
def test_the_match_is_that_of_textbook_deferred_acceptance(equal_numbers):
    for seed in range(200):
        contribution, target, factor = random_sides(seed, equal_numbers)
        wanted = np.argsort(-factor, kind="stable").tolist()
        ranks = [
            np.argsort(np.argsort(np.abs(contribution - target[center]), kind="stable")).tolist()
            for center in range(len(target))
        ]
        expected = deferred_acceptance([wanted] * len(contribution), ranks)
        assert stable_match(contribution, target, factor).tolist() == expected


@pytest.mark.parametrize("equal_numbers", [True, False])
def test_no_pair_would_rather_have_each_other(equal_numbers):
    for seed in range(200):
        contribution, target, factor = random_sides(seed, equal_numbers)
        match = stable_match(contribution, target, factor)
        matched = match[match != ALONE]
        assert len(set(matched.tolist())) == len(matched) == min(len(contribution), len(target))
        assert blocking_pairs(match, contribution, target, factor) == 0


def test_without_ties_no_other_complete_matching_is_stable():
    draw = np.random.default_rng(5)
    contribution, target, factor = draw.random(5), draw.random(5), draw.random(5)
    stable = [
        match
        for match in itertools.permutations(range(5))
        if blocking_pairs(np.array(match), contribution, target, factor) == 0
    ]
    assert stable == [tuple(stable_match(contribution, target, factor).tolist())]


def test_a_blocking_pair_is_counted():
    contribution, target, factor = np.array([0.1, 0.9]), np.array([0.1, 0.9]), np.array([1.0, 0.5])
    assert blocking_pairs(np.array([1, 0]), contribution, target, factor) == 1
    assert blocking_pairs(np.array([ALONE, ALONE]), contribution, target, factor) == 4


def test_equal_centers_still_give_a_complete_matching():
    contribution = np.array([0.3, 0.1, 0.2])
    target = target_loads(contribution, np.ones(3))
    assert stable_match(contribution, target, np.ones(3)).tolist() == [1, 2, 0]


def test_two_thousand_pairs_match_like_the_plain_rule():
    draw = np.random.default_rng(6)
    contribution, target, factor = draw.random(2000).round(3), draw.random(2000), draw.random(2000)
    taken, expected = np.zeros(2000, dtype=bool), np.full(2000, ALONE)
    for center in np.argsort(-factor, kind="stable"):
        distance = np.where(taken, np.inf, np.abs(contribution - target[center]))
        owner = int(distance.argmin())
        taken[owner], expected[owner] = True, center
    assert (stable_match(contribution, target, factor) == expected).all()
