"""The equilibrium of volumes against best responses found by SciPy, against direct maximisation, and against itself."""

import dataclasses

import numpy as np
import pytest
from cocogen_games import default_game, plain_utilities, random_game
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize, minimize_scalar

from market.cocogen import Game, LearningCurve, LowRank, Organisations, equilibrium, play, towards_global
from market.cocogen.baselines import wco
from market.cocogen.deviations import best_response_gain
from market.cocogen.equilibrium import NoConvergence, best_replies, damped
from market.cocogen.response import best_volumes, incentives_of

SEEDS = st.integers(0, 10**6)
MODELS = st.sampled_from(["relative", "damage"])
BOTH = pytest.mark.parametrize("model", ["relative", "damage"])


# ---- nobody can do better -----------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=SEEDS, model=MODELS, contribution=st.sampled_from(["synthetic", "effective"]), decay=st.booleans())
def test_scipy_finds_no_better_volume_for_anybody(seed, model, contribution, decay):
    game = random_game(seed, model, quadratic=True, decay=decay, contribution=contribution)
    volume = equilibrium(game).synthetic_volume
    have = plain_utilities(game, volume)
    for i, cap in enumerate(game.organisations.synthetic_volume_cap.tolist()):

        def cost(own, i=i):
            return -plain_utilities(game, np.where(np.arange(len(volume)) == i, own, volume))[i]

        best = -minimize_scalar(cost, bounds=(0.0, cap), method="bounded", options={"xatol": 1e-4}).fun
        assert max(best, -cost(0.0), -cost(cap)) - have[i] < 1e-6 * max(1.0, abs(have[i]))


@BOTH
@pytest.mark.parametrize("target", ["global", "fill"])
@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("decay", [False, True])
def test_on_fifty_random_games_no_volume_on_a_fine_grid_is_better(model, target, quadratic, decay):
    sides = np.zeros(3)
    for seed in range(50):
        game = random_game(seed, model, quadratic=quadratic, decay=decay, target=target)
        volume = equilibrium(game).synthetic_volume
        assert best_response_gain(game, play(game, volume)) < 1e-9
        cap = game.organisations.synthetic_volume_cap
        sides += [(volume == 0).sum(), (volume == cap).sum(), ((volume > 0) & (volume < cap)).sum()]
    assert (sides > 10).all(), "volumes at 0, at the cap, and between"


# ---- the same point by other ways ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("seed", range(10))
def test_it_is_where_the_potential_is_highest(model, seed):
    game = default_game(seed, task="hard", model=model, rate=0.02, cap=5000.0, personal_gain=0.05)
    o, c = game.organisations, game.curve
    size, emd = o.data_size, o.residual_emd.before
    pressure, total = game.competition @ o.profitability, game.competition.sum(axis=1)
    weight = o.profitability - (pressure if model == "damage" else 0.0)
    own = o.profitability + (pressure if model == "relative" else 0.0)

    def loss(share):
        g = 5000 * share
        s = (size + c.synthetic_quality * g).sum()
        left = emd * size / (size + g)
        height = -c.volume_scale * s**-c.volume_exponent - c.emd_penalty * (size / size.sum() * left).sum()
        height += ((-own * c.personal_gain * left + (0.02 * total - o.unit_cost) * g) / weight).sum()
        slope = c.volume_scale * c.volume_exponent * c.synthetic_quality * s ** (-c.volume_exponent - 1)
        slope = slope + (c.emd_penalty * size / size.sum() + own / weight * c.personal_gain) * left / (size + g)
        return -1e3 * height, -5e6 * (slope + (0.02 * total - o.unit_cost) / weight)

    options = {"ftol": 1e-16, "gtol": 1e-9, "maxiter": 5000}
    best = minimize(loss, np.full(10, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 10, options=options)
    assert np.abs(5000 * best.x - equilibrium(game).synthetic_volume).max() < 1.0


@BOTH
@pytest.mark.parametrize("task", ["easy", "hard"])
@pytest.mark.parametrize("rate", [0.0, 0.02])
def test_damped_iteration_ends_at_the_same_volumes_and_neither_takes_long(model, task, rate):
    for seed in range(20):
        game = default_game(seed, task=task, model=model, rate=rate)
        found, other = equilibrium(game), damped(game)
        assert np.abs(found.synthetic_volume - other.synthetic_volume).max() < 1e-5
        assert found.iterations < 60
        assert other.iterations < 60


@given(seed=SEEDS, model=MODELS, decay=st.booleans(), quadratic=st.booleans())
def test_the_best_volumes_for_the_effective_volume_make_that_volume(seed, model, decay, quadratic):
    game = random_game(seed, model, decay=decay, quadratic=quadratic)
    found = equilibrium(game)
    answer = best_volumes(incentives_of(game), np.array([found.effective_volume]))
    made = play(game, answer).effective_volume
    assert abs(made - found.effective_volume) <= 1e-9 * found.effective_volume
    assert play(game, found.synthetic_volume).effective_volume == pytest.approx(found.effective_volume, rel=1e-14)


@given(seed=SEEDS, model=MODELS, factor=st.floats(1e-3, 1e3))
def test_a_warm_start_ends_at_the_same_volumes_wherever_it_begins(seed, model, factor):
    game = random_game(seed, model, quadratic=True)
    cold = equilibrium(game)
    warm = equilibrium(game, start=factor * cold.effective_volume)
    assert np.abs(warm.synthetic_volume - cold.synthetic_volume).max() < 1e-5


def test_a_warm_start_nearby_saves_steps_when_somebody_leaves():
    cold = warm = 0
    for seed in range(20):
        game = default_game(seed, organisations=100, mean_competition=0.002, total=200_000)
        before = equilibrium(game).effective_volume
        rest = game.among(np.arange(99))
        left = before - game.organisations.data_size[99]
        found, again = equilibrium(rest), equilibrium(rest, start=left)
        assert np.abs(found.synthetic_volume - again.synthetic_volume).max() < 1e-5
        cold, warm = cold + found.iterations, warm + again.iterations
    assert warm < 0.9 * cold


@BOTH
def test_those_who_are_left_play_the_game_that_was_theirs_all_along(model):
    game, present = random_game(3, model, quadratic=True), np.array([2, 0])
    rest = game.among(present)
    fresh = Game(
        game.organisations.among(present),
        np.asarray(game.competition)[np.ix_(present, present)],
        game.curve,
        model,
        game.redistribution_rate,
    )
    volume = equilibrium(rest).synthetic_volume
    assert volume == pytest.approx(equilibrium(fresh).synthetic_volume)
    assert play(rest, volume).utility == pytest.approx(plain_utilities(fresh, volume))


# ---- one organisation's answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_closed_form_is_the_root_of_the_first_order_condition(seed):
    game = random_game(seed, "relative", quadratic=True, decay=True, contribution=("synthetic", "effective")[seed % 2])
    incentives, o, c = incentives_of(game), game.organisations, game.curve
    total = 1.3 * float(o.data_size.sum())
    reward = game.redistribution_rate * game.total_competition
    by_sample = reward if game.contribution == "synthetic" else 0 * reward
    by_worth = reward - by_sample
    own = (o.profitability + game.competition_pressure) * c.personal_gain
    labels = (o.profitability * c.emd_penalty * game.data_share + own) * o.residual_emd.before * o.data_size
    for i, found in enumerate(best_volumes(incentives, np.array([total]))):

        def slope(g, i=i):
            marginal = c.volume_scale * c.volume_exponent * total ** (-c.volume_exponent - 1)
            size = o.data_size[i]
            de = c.synthetic_quality * (1 - c.quality_decay * (1 - size**2 / (size + g) ** 2))
            gain = (o.profitability[i] * marginal + by_worth[i]) * de + labels[i] / (size + g) ** 2
            return gain + by_sample[i] - o.unit_cost[i] - o.quadratic_cost[i] * g

        cap = o.synthetic_volume_cap[i]
        expected = 0.0 if slope(0.0) <= 0 else cap if slope(cap) >= 0 else brentq(slope, 0.0, cap, xtol=1e-12)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(seed=SEEDS, model=MODELS, target=st.sampled_from(["global", "fill"]), decay=st.booleans())
def test_best_volumes_never_rise_with_the_effective_volume(seed, model, target, decay):
    game = random_game(seed, model, quadratic=True, decay=decay, target=target)
    incentives = incentives_of(game)
    answers = [best_volumes(incentives, np.array([total])) for total in np.geomspace(1.0, 1e6, 60)]
    assert (np.diff(answers, axis=0) <= 1e-6).all()


@given(seed=SEEDS, model=MODELS, decay=st.booleans())
def test_best_replies_to_what_others_do_are_best(seed, model, decay):
    game = random_game(seed, model, quadratic=True, decay=decay)
    o = game.organisations
    volume = np.random.default_rng(seed).random(len(game)) * o.synthetic_volume_cap
    own = o.data_size + game.curve.worth(o.data_size, volume)
    reply = best_replies(incentives_of(game), own.sum() - own)
    for i in range(len(game)):
        profile = np.where(np.arange(len(game)) == i, reply, volume)
        utility = play(game, profile).utility[i]
        tried = [
            play(game, np.where(np.arange(len(game)) == i, own_volume, volume)).utility[i]
            for own_volume in np.linspace(0.0, o.synthetic_volume_cap[i], 50)
        ]
        assert max(tried) <= utility + 1e-8


def test_at_the_equilibrium_everybody_replies_with_what_it_does():
    for seed in range(20):
        game = random_game(seed, "relative", quadratic=True)
        volume = equilibrium(game).synthetic_volume
        size = game.organisations.data_size
        own = size + game.curve.worth(size, volume)
        assert best_replies(incentives_of(game), own.sum() - own) == pytest.approx(volume, rel=1e-6, abs=1e-4)


# ---- special cases ------------------------------------------------------------------------------------------------


@BOTH
def test_where_rewards_exceed_costs_everybody_is_exactly_at_its_cap(model):
    game = default_game(4, model=model, rate=1.0)
    assert (game.redistribution_rate * game.total_competition > game.organisations.unit_cost).all()
    assert (equilibrium(game).synthetic_volume == game.organisations.synthetic_volume_cap).all()


def test_where_nothing_pays_nobody_generates():
    game = default_game(4, cost_factor=1e3)
    assert (equilibrium(game).synthetic_volume == 0).all()


@pytest.mark.parametrize("task", ["easy", "hard"])
def test_relative_competition_without_personal_gains_and_redistribution_is_not_felt(task):
    volumes = [
        equilibrium(default_game(6, task=task, mean_competition=mean, personal_gain=0.0)).synthetic_volume
        for mean in (0.0, 0.03)
    ]
    assert np.abs(volumes[0] - volumes[1]).max() < 1e-9 * 4000


@pytest.mark.parametrize("task", ["easy", "hard"])
def test_pressure_can_be_read_from_an_interior_equilibrium_under_damage(task):
    seen = 0
    for seed in range(20):
        game = default_game(seed, task=task, model="damage", mean_competition=0.02, rate=0.02)
        o, c = game.organisations, game.curve
        g = equilibrium(game).synthetic_volume
        s = (o.data_size + c.synthetic_quality * g).sum()
        labels = c.emd_penalty * game.data_share * o.residual_emd.before * o.data_size / (o.data_size + g) ** 2
        slope = c.synthetic_quality * c.volume_scale * c.volume_exponent * s ** (-c.volume_exponent - 1) + labels
        read = o.profitability - (o.unit_cost - 0.02 * game.total_competition) / slope
        inside = (g > 0) & (g < 4000)
        assert read[inside] == pytest.approx(game.competition_pressure[inside], rel=1e-6)
        seen += inside.sum()
    assert seen > 20


@BOTH
def test_in_a_game_without_competition_wco_is_the_equilibrium(model):
    for seed in range(10):
        game = default_game(seed, model=model, mean_competition=0.0)
        assert np.abs(wco(game) - equilibrium(game).synthetic_volume).max() < 1e-5


def twins(emd, count=4, quadratic=0.0):
    """Equal organisations, of which some are indifferent between 0 and the cap at one effective volume."""
    organisations = Organisations(
        data_size=np.full(count, 1000.0),
        residual_emd=towards_global(np.asarray(emd, dtype=float)),
        profitability=np.full(count, 1500.0),
        unit_cost=np.full(count, 0.008 if count > 1 else 0.05),
        quadratic_cost=np.full(count, quadratic),
        synthetic_volume_cap=np.full(count, 4000.0),
    )
    return Game(organisations, np.zeros((count, count)), LearningCurve(2.56, 0.215, 0.285, personal_gain=0.05))


@pytest.mark.parametrize("emd", [[0, 0, 0, 0], [1e-9] * 4, [0, 0.05, 0.05, 0], [0, 0, 0, 1.0]])
def test_organisations_of_the_global_mix_share_what_makes_the_volume_at_which_they_do_not_care(emd):
    game = twins(emd)
    volume = equilibrium(game).synthetic_volume
    alike = np.asarray(emd) == emd[0]
    assert ((volume > 0) & (volume < 4000))[alike].all(), "between the sides of the jump"
    assert np.ptp(volume[alike]) < 1e-6
    assert best_response_gain(game, play(game, volume)) < 1e-8


def test_damped_iteration_says_so_where_it_jumps_for_ever():
    with pytest.raises(NoConvergence, match="has not settled"):
        damped(twins([0.0] * 4))
    assert damped(twins([0.0] * 4, quadratic=1e-5)).iterations < 60


def test_one_organisation_alone_and_caps_of_zero():
    alone = twins([0.8], count=1)
    volume = equilibrium(alone).synthetic_volume
    assert best_response_gain(alone, play(alone, volume)) < 1e-9
    assert 0 < volume[0] < 4000
    closed = dataclasses.replace(alone.organisations, synthetic_volume_cap=np.zeros(1))
    assert equilibrium(dataclasses.replace(alone, organisations=closed)).synthetic_volume == [0.0]


def test_a_hundred_thousand_organisations_of_low_rank_competition_are_at_an_equilibrium():
    chance, count = np.random.default_rng(0), 100_000
    organisations = Organisations(
        data_size=chance.uniform(200, 4000, count),
        residual_emd=towards_global(chance.uniform(0.2, 1.6, count)),
        profitability=chance.uniform(1000, 2500, count),
        unit_cost=chance.uniform(0.005, 0.015, count),
        quadratic_cost=np.zeros(count),
        synthetic_volume_cap=np.full(count, 4000.0),
    )
    markets = LowRank(chance.uniform(0, 2e-6, (count, 3)), chance.random((count, 3)))
    game = Game(organisations, markets, LearningCurve(2.56, 0.215, 0.285, personal_gain=0.05), redistribution_rate=0.01)
    found = equilibrium(game)
    incentives = incentives_of(game)
    own = organisations.data_size + game.curve.worth(organisations.data_size, found.synthetic_volume)
    some = slice(0, 1000)
    reply = best_replies(incentives, own.sum() - own)
    assert reply[some] == pytest.approx(found.synthetic_volume[some], abs=1e-3)
    assert found.iterations < 60
