"""Evolution by payoffs: fixation against a brute-force Markov chain, rest points against games with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from scenarios.analysis.evolution import (
    crossings,
    fermi_ratios,
    fixation_probability,
    largest_set,
    long_run_shares,
    moran_ratios,
    rest_points,
)

HAWK_DOVE = np.array([[-1.0, 4.0], [0.0, 2.0]])  # value 4, cost 6: hawks are 4/6 of the stable population
ROCK_PAPER_SCISSORS = np.array([[0.0, -1.0, 2.0], [2.0, 0.0, -1.0], [-1.0, 2.0, 0.0]])  # winning pays more than 1


def absorbed(up: np.ndarray, down: np.ndarray) -> float:
    """Chance that the chain on 0 ... n that starts at 1 ends at n, by solving its linear equations."""
    n = len(up) + 1
    system, ends = np.zeros((n - 1, n - 1)), np.zeros(n - 1)
    for k in range(1, n):
        system[k - 1, k - 1] = up[k - 1] + down[k - 1]
        if k > 1:
            system[k - 1, k - 2] = -down[k - 1]
        if k < n - 1:
            system[k - 1, k] = -up[k - 1]
    ends[-1] = up[-1]
    return float(np.linalg.solve(system, ends)[0])


payoffs = st.lists(st.floats(0.1, 3.0), min_size=1, max_size=12)


@given(payoffs, st.floats(0.0, 3.0), st.randoms(use_true_random=False))
def test_fixation_in_the_fermi_process_is_that_of_its_markov_chain(residents, selection, luck):
    earn = np.array(residents)
    mutants = np.array([luck.uniform(0.1, 3.0) for _ in residents])
    n, k = len(earn) + 1, np.arange(1, len(earn) + 1)
    meet = k / n * (n - k) / n
    up = meet / (1 + np.exp(-selection * (mutants - earn)))
    down = meet / (1 + np.exp(selection * (mutants - earn)))
    assert fixation_probability(fermi_ratios(mutants - earn, selection)) == pytest.approx(absorbed(up, down), rel=1e-8)


@given(payoffs, st.floats(0.0, 1.0), st.randoms(use_true_random=False))
def test_fixation_in_the_moran_process_is_that_of_its_markov_chain(residents, selection, luck):
    earn = np.array(residents)
    mutants = np.array([luck.uniform(0.1, 3.0) for _ in residents])
    n, k = len(earn) + 1, np.arange(1, len(earn) + 1)
    fit, fitter = 1 - selection + selection * earn, 1 - selection + selection * mutants
    total = k * fitter + (n - k) * fit
    up, down = k * fitter / total * (n - k) / n, (n - k) * fit / total * k / n
    assert fixation_probability(moran_ratios(earn, mutants, selection)) == pytest.approx(absorbed(up, down), rel=1e-8)


def test_a_neutral_mutant_takes_over_as_often_as_any_other_of_the_population():
    assert fixation_probability(fermi_ratios(np.zeros(9), 5.0)) == pytest.approx(0.1)


def test_overwhelming_disadvantage_does_not_overflow():
    assert fixation_probability(fermi_ratios(np.full(99, -50.0), 100.0)) == 0.0


def test_the_moran_process_is_not_defined_where_a_fitness_is_not_positive():
    assert np.isnan(fixation_probability(moran_ratios(np.array([-2.0, 1.0]), np.ones(2), 1.0)))


def test_long_run_shares_balance_who_takes_over_whom():
    fixation = np.array([[0.0, 0.3, 0.05], [0.1, 0.0, 0.2], [0.15, 0.1, 0.0]])
    walk = fixation / 2
    walk[np.diag_indices(3)] = 1 - walk.sum(axis=1)
    far = np.linalg.matrix_power(walk, 5000)[0]
    assert long_run_shares(fixation) == pytest.approx(far, abs=1e-9)


def test_an_unknown_fixation_leaves_the_long_run_unknown():
    assert np.isnan(long_run_shares(np.array([[np.nan, np.nan], [0.2, np.nan]]))).all()


@pytest.mark.parametrize(("strategies", "mixed"), [(2, 2), (6, 6), (14, 14), (40, 3), (300, 2)])
def test_rest_points_of_many_strategies_are_looked_for_in_small_sets(strategies, mixed):
    assert largest_set(strategies) == mixed


def test_who_is_never_taken_over_is_there_in_the_long_run():
    assert long_run_shares(np.array([[0.0, 0.4], [0.0, 0.0]])) == pytest.approx([0.0, 1.0])


def test_hawks_and_doves_mix_at_value_over_cost():
    found = {tuple(point.shares.round(9)): point for point in rest_points(HAWK_DOVE)}
    assert set(found) == {(1.0, 0.0), (0.0, 1.0), (round(2 / 3, 9), round(1 / 3, 9))}
    assert [point.stable for point in found.values()] == [False, False, True]


def test_rock_paper_scissors_spirals_into_its_centre_if_winning_pays_more():
    centre = [point for point in rest_points(ROCK_PAPER_SCISSORS) if (point.shares > 0).all()]
    assert [point.stable for point in centre] == [True]
    assert centre[0].shares == pytest.approx([1 / 3] * 3)
    assert not any(point.stable for point in rest_points(-ROCK_PAPER_SCISSORS) if (point.shares > 0).all())


@given(st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9))
def test_the_replicator_stays_at_rest_points_and_comes_back_to_stable_ones(numbers):
    payoff = np.array(numbers).reshape(3, 3).round(2)

    def flow(_, shares):
        earned = payoff @ shares
        return shares * (earned - shares @ earned)

    for point in rest_points(payoff):
        assert flow(0.0, point.shares) == pytest.approx(np.zeros(3), abs=1e-7)
        pushed = 0.999 * point.shares + 0.001 * np.array([0.5, 0.3, 0.2])
        after = solve_ivp(flow, (0.0, 20.0), pushed, rtol=1e-9, atol=1e-12).y[:, -1]
        if point.stable:
            assert np.abs(after - point.shares).max() < 20 * np.abs(pushed - point.shares).max()


def test_strategies_that_are_the_same_have_no_isolated_mix():
    assert [tuple(point.shares) for point in rest_points(np.ones((2, 2)))] == [(1.0, 0.0), (0.0, 1.0)]


def test_a_crossing_is_where_the_advantage_changes_its_sign():
    assert crossings(np.array([1.0, 3.0, 5.0]), np.array([1.0, -1.0, -2.0]), 6) == [(pytest.approx(2 / 6), True)]
    assert crossings(np.array([1.0, 5.0]), np.array([-1.0, 3.0]), 6) == [(pytest.approx(2 / 6), False)]
