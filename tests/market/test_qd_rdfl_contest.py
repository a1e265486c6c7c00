"""The data owners' contest: the Nash equilibrium, with and without caps, and the authors' first-order mode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from qd_rdfl_oracles import first_order_numerically, owners_numerically

from market.qd_rdfl.contest import (
    contribution_rate,
    equilibrium_effort,
    first_order_effort,
    first_order_rate,
)


def population(seed, most=40):
    """Random costs of effort and a reward: qualities from 0.5 to 1."""
    draw = np.random.default_rng(seed)
    return 1.0 / draw.uniform(0.5, 1.0, draw.integers(2, most)), float(draw.uniform(0.2, 3.0))


def test_two_equal_owners_contribute_a_quarter_of_the_reward_each():
    assert equilibrium_effort(1.0, np.ones(2)) == pytest.approx([0.25, 0.25], abs=1e-15)
    assert contribution_rate(np.ones(2)) == 0.5


def test_the_equilibrium_is_that_of_an_independent_solver_on_300_populations():
    for seed in range(300):
        cost, reward = population(seed, most=2001 if seed % 10 == 0 else 40)
        found = equilibrium_effort(reward, cost)
        assert found == pytest.approx(owners_numerically(reward, cost), abs=1e-8)
        assert found.sum() == pytest.approx(contribution_rate(cost) * reward, rel=1e-12)


def test_with_caps_too_it_is_that_of_an_independent_solver():
    some_bind = 0
    for seed in range(300):
        cost, reward = population(seed)
        draw = np.random.default_rng(seed + 1000)
        largest = draw.uniform(0.001, 0.4, len(cost)) * draw.choice([0.1, 1.0, 3.0])
        found = equilibrium_effort(reward, cost, largest)
        assert found == pytest.approx(owners_numerically(reward, cost, largest), abs=1e-8)
        some_bind += bool((found == largest).any())
    assert some_bind > 200


costs = st.integers(2, 12).flatmap(lambda count: arrays(np.float64, count, elements=st.floats(0.2, 50.0)))


@given(costs, st.floats(0.01, 100.0), st.data())
def test_nobody_gains_at_the_margin(cost, reward, data):
    caps = st.one_of(st.floats(0.0, 2.0), st.just(np.inf))
    largest = data.draw(arrays(np.float64, len(cost), elements=caps))
    effort = equilibrium_effort(reward, cost, largest)
    assert ((effort >= 0.0) & (effort <= largest)).all()
    total = effort.sum()
    if total == 0.0:
        assert np.count_nonzero(largest > 0.0) < 2
        return
    margin = (total - effort) / total - cost * total / reward  # of the payoff, in units of reward per total effort
    assert (margin[effort < largest] <= 1e-9).all(), "more is not better"
    assert (margin[effort > 0.0] >= -1e-9).all(), "less is not better"


def test_fewer_than_two_who_can_contribute_have_no_contest():
    assert contribution_rate(np.ones(1)) == 0.0
    assert contribution_rate(np.array([1.0, np.inf])) == 0.0
    assert not equilibrium_effort(1.0, np.array([1.0, np.inf])).any()
    assert not equilibrium_effort(1.0, np.ones(3), np.array([0.0, 1.0, 0.0])).any()
    assert not equilibrium_effort(0.0, np.ones(3)).any()
    assert not equilibrium_effort(1.0, np.zeros(0)).any()


def test_a_single_free_owner_answers_those_at_their_caps():
    found = equilibrium_effort(1.0, np.ones(3), np.array([0.01, 0.02, np.inf]))
    others = 0.03
    assert found == pytest.approx([0.01, 0.02, np.sqrt(others) - others], abs=1e-15)


def test_owners_too_dear_for_the_others_stay_out():
    found = equilibrium_effort(1.0, np.array([1.0, 1.0, 2.0, 1.9]))
    assert (found > 0.0).tolist() == [True, True, False, True]
    assert contribution_rate(np.array([1.0, 1.0, 2.0, 2.0])) == 0.5, "exactly at the boundary: nothing either"


@pytest.mark.parametrize(("count", "published"), [(10, 10), (20, 17.7), (30, 23.5), (40, 28.6), (50, 33.2), (60, 37.4)])
def test_mean_number_of_active_owners_with_the_authors_noise(count, published):
    draw = np.random.default_rng(count)
    active = []
    for _ in range(2000):
        noise = draw.uniform(0.0, 0.1, count) ** 2
        quality = 1.0 - 0.1 * (noise - noise.min()) / (noise.max() - noise.min())
        active.append(np.count_nonzero(equilibrium_effort(1.0, 1.0 / quality)))
    assert np.mean(active) == pytest.approx(published, abs=0.3)


def test_the_first_order_mode_is_the_root_of_all_conditions():
    negative = 0
    for seed in range(100):
        cost, reward = population(seed)
        found = first_order_effort(reward, cost)
        assert found == pytest.approx(first_order_numerically(reward, cost), abs=1e-8)
        assert found.sum() == pytest.approx(first_order_rate(cost) * reward, rel=1e-12)
        negative += bool((found < 0.0).any())
    assert negative > 20


def test_both_modes_agree_where_everybody_is_active():
    compared = 0
    for seed in range(300):
        cost, reward = population(seed, most=12)
        quality = 1.0 / cost
        if (quality > (len(cost) - 1) / (1.0 / quality).sum()).all():
            difference = np.abs(first_order_effort(reward, cost) - equilibrium_effort(reward, cost))
            assert difference.max() <= 1e-12
            compared += 1
    assert compared > 20


def test_the_first_order_mode_has_no_root_with_worthless_data():
    assert not first_order_effort(1.0, np.array([1.0, 1.0, np.inf])).any()
    assert not first_order_effort(1.0, np.ones(1)).any()


# ---- effort that costs nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [[2.0], [2.0, 2.0], [2.0, 2.1, 9.0]])
def test_one_free_owner_keeps_all_others_out_and_that_is_the_limit_and_an_equilibrium(others):
    cost = np.array([0.0, *others])
    found = equilibrium_effort(3.0, cost)
    assert found == pytest.approx([1.5, *[0.0] * len(others)], abs=1e-15)
    assert contribution_rate(cost) == 0.5
    nearly = equilibrium_effort(3.0, np.array([1e-12, *others]))
    assert found == pytest.approx(nearly, abs=1e-9)
    tried = np.linspace(0.001, 3.0, 300)
    for price in others:
        assert (3.0 * tried / (tried + found[0]) - price * tried < 0.0).all(), "who is not free loses by any effort"


def test_one_free_owner_at_its_cap_leaves_room_for_others():
    cost, largest = np.array([0.0, 1.0, 1.2]), np.array([0.1, 5.0, 5.0])
    found = equilibrium_effort(1.0, cost, largest)
    assert found[0] == 0.1
    assert found == pytest.approx(equilibrium_effort(1.0, np.array([1e-13, 1.0, 1.2]), largest), abs=1e-9)
    assert found == pytest.approx(owners_numerically(1.0, np.array([1e-13, 1.0, 1.2]), largest), abs=1e-8)


def test_two_free_owners_give_all_they_can():
    largest = np.array([0.2, 0.3, 5.0, 0.0])
    cost = np.array([0.0, 0.0, 1.0, 0.0])
    found = equilibrium_effort(1.0, cost, largest)
    others = 0.5
    assert found == pytest.approx([0.2, 0.3, np.sqrt(others) - others, 0.0], abs=1e-12)
    assert equilibrium_effort(1.0, cost).tolist() == [np.inf, np.inf, 0.0, np.inf], "without caps there is no end"
    mixed = equilibrium_effort(1.0, np.zeros(2), np.array([0.2, np.inf]))
    assert mixed.tolist() == [0.2, np.inf]
    assert contribution_rate(cost) == np.inf


def test_the_first_order_mode_has_no_root_where_everybody_is_free():
    assert not first_order_effort(1.0, np.zeros(3)).any()
    assert first_order_effort(1.0, np.array([0.0, 1.0])).tolist() == [1.0, 0.0]
