"""What a planner would choose, and what the published findings say about volumes and welfare: signs, orders, rates."""

import dataclasses

import numpy as np
import pytest
from cocogen_games import default_game, random_game
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import differential_evolution

from market.cocogen import baselines, equilibrium, play
from market.cocogen.welfare import welfare_gradient, welfare_optimum

SEEDS = st.integers(0, 10**6)
MODELS = st.sampled_from(["relative", "damage"])
TASKS = pytest.mark.parametrize("task", ["easy", "hard"])
BOTH = pytest.mark.parametrize("model", ["relative", "damage"])
COMPETITION = (0.0, 0.01, 0.02, 0.03)


def total_volumes(repeats=20, **options):
    return np.array([equilibrium(default_game(seed, **options)).synthetic_volume.sum() for seed in range(repeats)])


def welfare(game, volume):
    return play(game, volume).social_welfare


# ---- signs of the total volume ------------------------------------------------------------------------------------


@TASKS
@BOTH
def test_more_heterogeneous_data_means_more_generation(task, model):
    means = [total_volumes(task=task, model=model, dirichlet_alpha=alpha).mean() for alpha in (0.1, 0.5, 1.0, 5.0)]
    assert means[0] > means[1] > means[2] >= means[3]


@TASKS
@pytest.mark.parametrize("dirichlet_alpha", [0.1, 0.5])
@pytest.mark.parametrize(("model", "rate", "sign"), [("relative", 0, 1), ("damage", 0, -1), ("damage", 0.05, 1)])
def test_competition_drives_generation_as_published_unless_damage_goes_uncompensated(
    task, dirichlet_alpha, model, rate, sign
):
    means = [
        total_volumes(task=task, dirichlet_alpha=dirichlet_alpha, model=model, rate=rate, mean_competition=mean).mean()
        for mean in COMPETITION
    ]
    assert (sign * np.diff(means) > 0).all()


# ---- orders of welfare --------------------------------------------------------------------------------------------


def mean_gains(task, model, repeats=12):
    """Welfare over nobody generating, of the equilibrium and the published baselines; means over instances."""
    found = []
    for seed in range(repeats):
        game = default_game(seed, task=task, model=model, mean_competition=0.03)
        decided = equilibrium(game).synthetic_volume
        draws = np.random.default_rng(seed).random((50, 10))
        nothing = welfare(game, baselines.vcfl(game))
        random = np.mean([welfare(game, volume) for volume in baselines.radg(game, draws)])
        found.append(np.array([welfare(game, decided), welfare(game, baselines.wco(game)), random]) - nothing)
        optimum = welfare_optimum(game, decided)
        assert optimum.concave
        assert optimum.social_welfare >= welfare(game, decided) - 1e-6 * abs(welfare(game, decided))
    return np.mean(found, axis=0)


@TASKS
def test_under_relative_competition_the_game_beats_all_baselines_as_published(task):
    ours, wco, radg = mean_gains(task, "relative")
    assert ours > wco > radg > 0


@TASKS
def test_under_damage_without_redistribution_the_order_is_upside_down(task):
    ours, wco, radg = mean_gains(task, "damage")
    assert ours < wco < radg


def test_the_gain_rises_with_competition_and_with_heterogeneity():
    def gain(**options):
        gains = []
        for seed in range(12):
            game = default_game(seed, task="hard", **options)
            gains.append(welfare(game, equilibrium(game).synthetic_volume) - welfare(game, np.zeros(10)))
        return np.mean(gains)

    by_competition = [gain(mean_competition=mean) for mean in COMPETITION]
    by_heterogeneity = [gain(dirichlet_alpha=alpha) for alpha in (5.0, 1.0, 0.5, 0.1)]
    assert (np.diff(by_competition) > 0).all()
    assert (np.diff(by_heterogeneity) > 0).all()


# ---- the best rate of redistribution ------------------------------------------------------------------------------

RATES = np.linspace(0.0, 0.3, 31)


def welfare_by_rate(repeats=10, **options):
    found = np.zeros(len(RATES))
    for seed in range(repeats):
        game = default_game(seed, cost_factor=3.0, **options)
        for place, rate in enumerate(RATES):
            paid = dataclasses.replace(game, redistribution_rate=float(rate))
            found[place] += welfare(paid, equilibrium(paid).synthetic_volume) / repeats
    return found


@BOTH
def test_on_the_easy_task_the_best_rate_is_neither_none_nor_full_and_falls_with_competition(model):
    best = []
    for mean in (0.01, 0.03):
        found = welfare_by_rate(model=model, mean_competition=mean)
        best.append(int(found.argmax()))
    assert 0 < best[1] < len(RATES) - 1
    assert found[-1] < found.max()
    assert best[1] < best[0]


@BOTH
def test_on_the_hard_task_welfare_rises_and_then_stays_as_caps_bind(model):
    found = welfare_by_rate(task="hard", model=model, mean_competition=0.03, repeats=5)
    assert (found[20:] == found[-1]).all()
    assert found.max() - found[-1] < 0.01 * (found.max() - found[0])
    game = default_game(0, task="hard", model=model, mean_competition=0.03, cost_factor=3.0, rate=0.3)
    assert (equilibrium(game).synthetic_volume == 4000).mean() > 0.9


# ---- the planner --------------------------------------------------------------------------------------------------


@given(seed=SEEDS, model=MODELS, decay=st.booleans(), target=st.sampled_from(["global", "fill"]))
def test_the_gradient_is_that_of_welfare(seed, model, decay, target):
    game = random_game(seed, model, quadratic=True, decay=decay, target=target)
    volume = np.random.default_rng(seed).uniform(0.1, 1, len(game)) * game.organisations.synthetic_volume_cap
    slope = welfare_gradient(game, volume)
    for i in range(len(game)):
        step = 1e-4 * (np.arange(len(game)) == i) * volume[i]
        measured = (welfare(game, volume + step) - welfare(game, volume - step)) / (2 * step[i])
        assert measured == pytest.approx(slope[i], rel=1e-3, abs=1e-6)


@given(seed=SEEDS, model=MODELS, decay=st.booleans(), target=st.sampled_from(["global", "fill"]))
def test_no_profile_drawn_at_random_or_nearby_beats_the_optimum(seed, model, decay, target):
    game = random_game(seed, model, quadratic=True, decay=decay, target=target)
    optimum = welfare_optimum(game)
    chance, cap = np.random.default_rng(seed), game.organisations.synthetic_volume_cap
    for width in (1.0, 0.1, 1e-3):
        near = optimum.synthetic_volume + width * cap * chance.uniform(-1, 1, (30, len(game)))
        others = np.clip(near, 0, cap)
        assert max(welfare(game, other) for other in others) <= optimum.social_welfare + 1e-7
    assert welfare(game, optimum.synthetic_volume) == optimum.social_welfare


def test_an_optimum_on_a_kink_of_one_volume_is_one_in_the_others_too():
    game = random_game(903, "damage", quadratic=True, decay=False, target="fill")
    volume = welfare_optimum(game).synthetic_volume
    inside = (volume > 0) & (volume < game.organisations.synthetic_volume_cap)
    slope = welfare_gradient(game, volume)
    smooth = np.abs(welfare_gradient(game, volume * (1 - 1e-6)) - slope) < 1e-4
    assert (inside & ~smooth).sum() == 1
    assert slope[inside & smooth] == pytest.approx(0.0, abs=1e-6)


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_a_search_that_knows_nothing_of_the_game_finds_the_same_optimum(model, seed):
    game = default_game(seed, model=model, mean_competition=0.03, organisations=4, cap=3000.0)
    bounds = [(0.0, 3000.0)] * 4
    found = differential_evolution(lambda g: -welfare(game, g), bounds, rng=1, tol=1e-10, popsize=10, maxiter=300)
    assert welfare_optimum(game).social_welfare == pytest.approx(-found.fun, rel=1e-7)


def test_where_personal_gains_hurt_rivals_more_the_optimum_is_still_found():
    intensities = np.zeros((4, 4))
    intensities[1:, 0] = 3.0  # what the first learns about its own mix costs each of its rivals three times as much
    mild = default_game(1, organisations=4, personal_gain=0.5, cap=3000.0)
    fierce = dataclasses.replace(mild, competition=intensities)
    optimum = welfare_optimum(fierce, equilibrium(fierce).synthetic_volume)
    assert not optimum.concave
    corners = np.stack(np.meshgrid(*[np.linspace(0, 3000, 13)] * 4), axis=-1).reshape(-1, 4)
    best = max(welfare(fierce, corner) for corner in corners)
    assert optimum.social_welfare >= best - 1e-9 * abs(best)
    assert optimum.social_welfare > welfare(fierce, equilibrium(fierce).synthetic_volume)


# ---- the other ways to decide -------------------------------------------------------------------------------------


def test_the_baselines_decide_as_their_names_say():
    game = default_game(0, mean_competition=0.03, rate=0.05)
    assert (baselines.vcfl(game) == 0).all()
    blind = dataclasses.replace(game, competition=np.zeros((10, 10)), redistribution_rate=0.0)
    assert baselines.wco(game) == pytest.approx(equilibrium(blind).synthetic_volume)
    assert baselines.wco(game).sum() < equilibrium(game).synthetic_volume.sum()
    draws = np.linspace(0, 0.9, 10)
    assert baselines.radg(game, draws) == pytest.approx(4000 * draws)
    assert (baselines.uniform(game, 1234.0) == 1234.0).all()
    assert (baselines.uniform(game, 5000.0) == 4000.0).all()
    unpaid = dataclasses.replace(game, redistribution_rate=0.0)
    assert (baselines.without_redistribution(game) == equilibrium(unpaid).synthetic_volume).all()


def test_deciding_as_if_nobody_competed_is_paid_as_if_they_did():
    game = default_game(0, mean_competition=0.03, model="damage")
    volume = baselines.wco(game)
    blind = dataclasses.replace(game, competition=np.zeros((10, 10)))
    assert welfare(game, volume) < welfare(blind, volume)
