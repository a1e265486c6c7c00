"""Who gets what: every formula against a plain one, transfers that close, and the identity of the potential."""

import dataclasses

import numpy as np
import pytest
from cocogen_games import default_game, plain_utilities, random_game
from hypothesis import given
from hypothesis import strategies as st

from learning.streams import Streams
from market.cocogen import WeightsNotPositive, equilibrium, play, potential, redistribution
from market.cocogen.deviations import potential_identity_error
from market.cocogen.payoffs import payoffs_of_deviations

SEEDS = st.integers(0, 10**6)
MODELS = st.sampled_from(["relative", "damage"])
KINDS = st.sampled_from(["synthetic", "effective"])


def profile(game, seed):
    return np.random.default_rng(seed).random(len(game)) * game.organisations.synthetic_volume_cap


@given(seed=SEEDS, model=MODELS, contribution=KINDS, decay=st.booleans())
def test_utilities_are_those_of_the_formulas_written_out_plainly(seed, model, contribution, decay):
    game = random_game(seed, model, quadratic=True, decay=decay, contribution=contribution)
    volume = profile(game, seed)
    assert play(game, volume).utility == pytest.approx(plain_utilities(game, volume), rel=1e-11, abs=1e-9)


@given(seed=SEEDS, model=MODELS, contribution=KINDS, target=st.sampled_from(["global", "fill"]))
def test_a_deviation_is_worth_what_the_whole_profile_with_it_says(seed, model, contribution, target):
    game = random_game(seed, model, quadratic=True, decay=True, contribution=contribution, target=target)
    volume, other = profile(game, seed), profile(game, seed + 1)
    alone = payoffs_of_deviations(game, volume, np.stack((other, volume))).utility
    for i in range(len(game)):
        moved = volume.copy()
        moved[i] = other[i]
        assert alone[0, i] == pytest.approx(play(game, moved).utility[i], rel=1e-11, abs=1e-9)
    assert alone[1] == pytest.approx(play(game, volume).utility, rel=1e-12)


@pytest.mark.parametrize("model", ["relative", "damage"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("contribution", ["synthetic", "effective"])
def test_a_unilateral_move_changes_utility_by_its_weight_times_the_potential(model, symmetric, contribution):
    game = default_game(5, task="hard", model=model, rate=0.05, personal_gain=0.05, quadratic_cost=1e-6)
    if not symmetric:
        gamma = np.random.default_rng(0).uniform(0, 0.04, (10, 10)) * (1 - np.eye(10))
        game = dataclasses.replace(game, competition=gamma)
    game = dataclasses.replace(game, contribution=contribution)
    cap, streams, moves = game.organisations.synthetic_volume_cap, Streams(1), np.arange(2000)
    profiles = streams.uniform("volume profile", np.arange(10), np.arange(50)[:, None]) * cap
    movers = streams.integers("unilateral move", moves, 10)
    targets = streams.uniform("unilateral move", moves, item=1) * cap[movers]
    assert potential_identity_error(game, profiles, movers, targets) < 1e-9


@given(seed=SEEDS, model=MODELS, target=st.sampled_from(["global", "fill"]), decay=st.booleans())
def test_the_identity_holds_for_any_game_that_has_weights(seed, model, target, decay):
    game = random_game(seed, model, quadratic=True, decay=decay, target=target)
    profiles = np.stack([profile(game, seed + k) for k in range(3)])
    movers = np.arange(12) % len(game)
    assert potential_identity_error(game, profiles, movers, profile(game, seed + 9)[movers]) < 1e-9


@given(seed=SEEDS, contribution=KINDS)
def test_redistribution_sums_to_nothing_for_any_competition(seed, contribution):
    game = random_game(seed, "relative", contribution=contribution)
    transfers = play(game, profile(game, seed)).payoffs.redistribution
    assert abs(transfers.sum()) <= 1e-9 * np.abs(transfers).sum()


def test_redistribution_takes_whatever_volumes_were_realised():
    gamma = np.array([[0.0, 0.2, 0.1], [0.0, 0.0, 0.3], [0.4, 0.0, 0.0]])
    given_away = np.array([10.0, 0.0, 5.0])
    # First: 0.3 * 10 out to its rivals' account, 0.4 * 5 in from the third.
    assert redistribution(gamma, 2.0, given_away) == pytest.approx([2 * (3 - 2), 2 * (0 - 2), 2 * (2 - 1)])


def test_with_symmetric_competition_each_pair_settles_the_difference_of_its_contributions():
    game = default_game(2, rate=0.1)
    volume = profile(game, 3)
    pairs = 0.1 * game.competition * (volume[:, None] - volume)
    assert play(game, volume).payoffs.redistribution == pytest.approx(pairs.sum(axis=1))


@given(seed=SEEDS, model=MODELS, rate=st.floats(0, 10))
def test_at_fixed_volumes_no_rate_changes_welfare(seed, model, rate):
    game = random_game(seed, model)
    volume = profile(game, seed)
    before = play(game, volume)
    after = play(dataclasses.replace(game, redistribution_rate=rate), volume)
    assert after.social_welfare == before.social_welfare
    assert after.utility.sum() == pytest.approx(before.utility.sum(), rel=1e-9, abs=1e-6)


def test_weights_that_are_not_positive_are_refused_by_name():
    game = default_game(1, model="damage", mean_competition=0.2)
    weight = game.organisations.profitability - game.competition_pressure
    worst = int(weight.argmin())
    assert weight[worst] < 0
    for ask in (lambda: equilibrium(game), lambda: potential(game, np.zeros(10))):
        with pytest.raises(WeightsNotPositive, match=f"organisation {worst} is -.*, expected above 0"):
            ask()
    assert equilibrium(dataclasses.replace(game, competition_model="relative")).effective_volume > 0


def test_what_organisations_cannot_be_is_refused():
    good = default_game(0).organisations
    for name, value in [
        ("data_size", 0.0),
        ("profitability", -1.0),
        ("unit_cost", -1.0),
        ("quadratic_cost", np.nan),
        ("synthetic_volume_cap", np.inf),
    ]:
        column = getattr(good, name).copy()
        column[4] = value
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(good, **{name: column})
    with pytest.raises(ValueError, match="unit_cost: expected 10 values, got 9"):
        dataclasses.replace(good, unit_cost=good.unit_cost[:9])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume_scale": -1.0}, "volume_scale"),
        ({"volume_exponent": 0.0}, "volume_exponent"),
        ({"synthetic_quality": 1.5}, "synthetic_quality"),
        ({"quality_decay": 1.5}, "quality_decay"),
        ({"emd_penalty": float("nan")}, "emd_penalty"),
    ],
)
def test_what_a_learning_curve_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(default_game(0).curve, **change)


def test_a_synthetic_sample_is_worth_less_the_more_synthetic_the_data_is():
    curve = dataclasses.replace(default_game(0).curve, quality_decay=0.5)
    size, volume = np.full(5, 1000.0), np.array([0.0, 10.0, 1000.0, 9000.0, 1e9])
    each = curve.worth(size, volume)[1:] / volume[1:]
    assert (np.diff(each) < 0).all()
    assert each[1] == pytest.approx(0.8 * 0.75)
    assert each[-1] == pytest.approx(0.8 * 0.5)
    slope = (curve.worth(size, volume + 0.01) - curve.worth(size, volume)) / 0.01
    assert curve.marginal_worth(size, volume)[:4] == pytest.approx(slope[:4], abs=1e-5)


def test_worth_that_wears_off_wholly_keeps_its_digits_for_endless_volumes():
    curve = dataclasses.replace(default_game(0).curve, quality_decay=1.0, synthetic_quality=1.0)
    size = np.array([1e-3])
    assert curve.worth(size, np.array([1e12])) == pytest.approx(1e-3, rel=1e-12)
    assert curve.marginal_worth(size, np.array([1e12])) == pytest.approx(1e-30, rel=1e-12)
