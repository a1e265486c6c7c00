"""What the check measures, on outcomes that are no equilibria, and on organisations that had better stay alone."""

import dataclasses

import numpy as np
import pytest
from cocogen_games import default_game, plain_utilities, random_game
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from market.cocogen import Game, deviations, equilibrium, play
from market.cocogen.deviations import (
    best_response_gain,
    participation,
    potential_identity_error,
    price_of_anarchy,
    stand_alone_utility,
)


def alone(game, i):
    """The game of one organisation by itself."""
    me = np.array([i])
    return Game(game.organisations.among(me), np.zeros((1, 1)), game.curve, game.competition_model)


def test_a_profile_that_is_no_equilibrium_leaves_somebody_a_gain_that_brute_force_finds_too():
    game = default_game(3, task="hard", rate=0.01)
    volume = np.full(10, 1000.0)
    gains = []
    for i in range(10):
        others = [np.where(np.arange(10) == i, own, volume) for own in np.linspace(0, 4000, 401)]
        gains.append(max(plain_utilities(game, other)[i] for other in others) - plain_utilities(game, volume)[i])
    assert max(gains) > 1.0
    assert best_response_gain(game, play(game, volume)) == pytest.approx(max(gains), rel=1e-3)
    assert best_response_gain(game, play(game, volume)) >= max(gains) - 1e-9


def test_the_identity_error_sees_weights_that_are_wrong(monkeypatch):
    game = default_game(3, model="damage", rate=0.05)
    profiles = np.random.default_rng(0).random((5, 10)) * 4000
    movers, targets = np.arange(10), np.full(10, 123.0)
    assert potential_identity_error(game, profiles, movers, targets) < 1e-9
    monkeypatch.setattr(deviations, "potential_weight", lambda game: game.organisations.profitability)
    assert potential_identity_error(game, profiles, movers, targets) > 1e-2


@given(seed=st.integers(0, 10**6), model=st.sampled_from(["relative", "damage"]), decay=st.booleans())
def test_alone_is_the_best_that_one_organisation_makes_of_its_own_data(seed, model, decay):
    game = random_game(seed, model, quadratic=True, decay=decay)
    found = stand_alone_utility(game)
    for i in range(len(game)):
        single = alone(game, i)
        cap = float(single.organisations.synthetic_volume_cap[0])

        def cost(own, single=single):
            return -float(play(single, np.array([own])).utility[0])

        best = minimize_scalar(cost, bounds=(0.0, cap), method="bounded", options={"xatol": 1e-6})
        assert found[i] == pytest.approx(max(-best.fun, -cost(0.0), -cost(cap)), rel=1e-9)
        assert found[i] == pytest.approx(play(single, equilibrium(single).synthetic_volume).utility[0], rel=1e-12)


def test_training_together_is_better_than_alone_in_the_reference_instance():
    for seed in range(10):
        game = default_game(seed, mean_competition=0.03)
        found = participation(game, play(game, equilibrium(game).synthetic_volume))
        assert found.violations == 0
        assert found.lowest_margin > 0


def test_a_rate_that_is_too_high_drives_out_who_has_to_pay():
    game = default_game(0, mean_competition=0.03)
    volume = np.where(np.arange(10) == 0, 0.0, 4000.0)
    dear = dataclasses.replace(game, redistribution_rate=2.0)
    found = participation(dear, play(dear, volume))
    assert found.violations >= 1
    margin = play(dear, volume).utility - stand_alone_utility(dear)
    assert found.violations == (margin < 0).sum()
    assert found.lowest_margin == margin.min() == margin[0] < 0


@pytest.mark.parametrize(
    ("optimal", "social", "nothing", "expected"),
    [
        (-100.0, -120.0, -200.0, 1.25),
        (-100.0, -100.0, -200.0, 1.0),
        (-200.0, -200.0, -200.0, 1.0),
        (-100.0, -200.0, -200.0, None),
        (-100.0, -250.0, -200.0, None),
        (30.0, 10.0, 0.0, 3.0),
        (0.0, 0.0, 0.0, 1.0),
    ],
)
def test_the_price_of_anarchy_compares_gains_over_nobody_generating(optimal, social, nothing, expected):
    assert price_of_anarchy(optimal, social, nothing) == expected
