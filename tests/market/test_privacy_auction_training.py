"""Training of neural auctions: it learns, it repeats, and it goes on after a break as if there had been none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from learning.streams import Streams
from market.privacy_auction.networks.attack import TEST_ATTACK, TRAINING_ATTACK, best_misreports
from market.privacy_auction.networks.game import Profile
from market.privacy_auction.networks.populations import POPULATIONS, draw
from market.privacy_auction.networks.shipped import NETWORKS, new_network, weights_of
from market.privacy_auction.networks.training import Training, TrainingPlan

SHORT = TrainingPlan(iterations=8, batch=4, owners=(3, 6), multiplier_every=4, penalty_every=2)
CPU = torch.device("cpu")


def trained(name, plan):
    """The progress and the weights of a whole training."""
    training = Training(new_network(name, plan.seed), plan, CPU)
    return list(training.steps()), weights_of(training.network)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_plan_gives_the_same_weights_and_another_seed_others(name):
    progress, weights = trained(name, SHORT)
    again, same = trained(name, SHORT)
    assert progress == again
    assert all(np.array_equal(weights[key], same[key]) for key in weights)
    _, others = trained(name, replace(SHORT, seed=2))
    assert any(not np.array_equal(weights[key], others[key]) for key in weights)


def test_a_training_that_was_broken_off_ends_with_the_same_weights():
    _, whole = trained("mfg_regretnet", SHORT)
    first = Training(new_network("mfg_regretnet", 1), SHORT, CPU)
    next(first.steps())
    assert first.iteration == 4
    second = Training(new_network("mfg_regretnet", 7), SHORT, CPU)
    second.restore(first.state())
    assert [progress.iteration for progress in second.steps()] == [8]
    assert all(np.array_equal(whole[key], weights) for key, weights in weights_of(second.network).items())


def test_multipliers_and_penalty_grow_as_planned():
    training = Training(new_network("regretnet", 1), SHORT, CPU)
    progress = list(training.steps())
    penalties = [1.1**2, 1.1**4]
    for name in ("regret", "individual_rationality"):
        grown = sum(
            penalty * getattr(step, name if name != "regret" else "regret")
            for penalty, step in zip(penalties, progress, strict=True)
        )
        assert training.multiplier[name] == pytest.approx(SHORT.multiplier + grown)
        assert grown > 0
    assert training.penalty == pytest.approx(1.1**4)


def test_a_minute_of_training_makes_lying_not_worth_while():
    plan = TrainingPlan(iterations=150, batch=16, owners=(10,), populations=("uniform",))
    profile = held_out(10, 32, (0.8, 0.8))
    before = regret_over_cost(new_network("mfg_regretnet_free_markup", 1), profile)
    training = Training(new_network("mfg_regretnet_free_markup", 1), plan, CPU)
    progress = list(training.steps())
    after = regret_over_cost(training.network, profile)
    assert progress[-1].objective > 0.2
    assert after < 0.2 * before


def held_out(owners, profiles, factors):
    """Profiles that no training with another seed has seen, in double precision."""
    drawn = draw(Streams(12345), 0, "uniform", profiles, owners, factors)
    return Profile(torch.from_numpy(drawn.report), torch.from_numpy(drawn.budget))


def regret_over_cost(network, profile):
    network = network.double()
    starts = torch.from_numpy(np.random.default_rng(0).uniform(size=(TEST_ATTACK.starts, *profile.report.shape)))
    _, gain = best_misreports(network, profile, TEST_ATTACK, starts)
    with torch.no_grad():
        cost = (profile.report[..., 0] * network(profile).epsilon).mean()
    return float(gain.mean() / cost)


def test_the_test_attack_is_at_least_four_times_as_strong_as_that_of_training():
    effort = [attack.steps * (1 + attack.starts) for attack in (TRAINING_ATTACK, TEST_ATTACK)]
    assert effort[1] >= 4 * effort[0]
    assert TrainingPlan().attack == TRAINING_ATTACK


def test_no_lie_leaves_the_box_of_reports_and_the_gain_is_what_it_brings():
    from market.privacy_auction.networks.game import Deviations, utility

    network, profile = new_network("mfg_regretnet_free_markup", 1).double(), held_out(6, 4, (0.3, 0.3))
    lie, gain = best_misreports(network, profile, TRAINING_ATTACK)
    assert gain.min() >= 0
    assert gain.max() > 0
    assert (lie[..., 1] <= profile.report[..., 1] + 1e-12).all()
    assert (lie[..., 0] <= 1.5 * profile.report[..., 0].amax(dim=-1, keepdim=True)).all()
    deviations = Deviations(network, profile, "first_order")
    valuation = profile.report[..., 0]
    brings = utility(deviations.sold(lie), valuation) - utility(deviations.truthful(), valuation)
    np.testing.assert_allclose(gain, brings.detach(), atol=1e-12)


@pytest.mark.parametrize("population", POPULATIONS)
def test_profiles_are_drawn_from_their_priors_with_budgets_in_the_range_asked_for(population):
    drawn = draw(Streams(1), 3, population, 400, 20, (0.1, 2.0))
    valuation, cap = np.moveaxis(drawn.report, -1, 0)
    factor = drawn.budget / (valuation * cap).sum(axis=1)
    assert 0.1 <= factor.min() < 0.12
    assert 1.8 < factor.max() <= 2.0
    assert np.log(factor).mean() == pytest.approx(np.log(0.2) / 2, abs=0.1)
    mean_value, mean_cap = {"uniform": (0.5, 2.55), "bimodal": (0.5, 1.9), "realistic": (np.exp(0.125), 2.55)}[
        population
    ]
    assert valuation.mean() == pytest.approx(mean_value, rel=0.05)
    assert cap.mean() == pytest.approx(mean_cap, rel=0.05)
    assert not np.array_equal(drawn.report, draw(Streams(1), 4, population, 400, 20, (0.1, 2.0)).report)
