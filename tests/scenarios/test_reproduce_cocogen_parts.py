"""The parts of ``reproduce cocogen``: drawn rivals, rules, verdicts on courses, a cohort that really trains."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from learning.data import load_dataset
from learning.generation.worth import streams_of, trained_on
from learning.streams import Streams
from market.cocogen import equilibrium, play
from market.cocogen.welfare import welfare_optimum
from scenarios.reproduce.cocogen import cohort, demand, pictures, redistribution
from scenarios.reproduce.cocogen.rivals import (
    FLOOR,
    Setting,
    holdings,
    preset,
    preset_game,
    reach,
    rivals,
)
from scenarios.reproduce.cocogen.rules import EQUILIBRIUM, OPTIMUM, RADG, UNIFORM, VCFL, WCO, volumes, welfare
from scenarios.reproduce.cocogen.tasks import LEAST_QUALITY, SEED, Effort, TooFewSamples, measured_task

SMALL = Effort(shares=(1 / 2, 4 / 5), alphas=(0.1,), repeats=1, rounds=3, cohorts=2)


@pytest.fixture(scope="module")
def task():
    """Digits with a curve from short training."""
    return measured_task("digits", "cpu", SMALL)


# ---- drawn rivals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, 5.0])
def test_all_real_samples_are_shared_out_and_nobody_has_too_few(alpha: float) -> None:
    for number in range(5):
        counts = holdings(number, alpha)
        assert counts.shape == (10, 10)
        assert counts.sum(axis=1).min() >= FLOOR - 1e-9
        topped_up = counts.sum() - 20_000
        assert 0 <= topped_up + 1e-9 < 10 * FLOOR


def test_an_instance_has_the_same_people_whatever_the_competition() -> None:
    mild, fierce = (preset_game("easy", 0.5, 3, Setting(competition=mean)) for mean in (0.01, 0.03))
    assert (mild.organisations.profitability == fierce.organisations.profitability).all()
    assert (mild.organisations.unit_cost == fierce.organisations.unit_cost).all()
    np.testing.assert_allclose(3 * np.asarray(mild.competition), np.asarray(fierce.competition))
    assert (np.asarray(mild.competition) == np.asarray(mild.competition).T).all()


def test_intensities_have_the_mean_that_was_asked_for() -> None:
    games = [preset_game("easy", 0.5, number, Setting(competition=0.02)) for number in range(40)]
    off = [np.asarray(game.competition)[~np.eye(10, dtype=bool)].mean() for game in games]
    assert np.mean(off) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_where_data_are_scarcer_the_same_relative_volumes_are_best_if_only_labels_count(rate: float) -> None:
    counts = holdings(0, 0.5)
    labels_only = dataclasses.replace(preset("easy", "relative"), volume_scale=0.0)
    games = [rivals(counts * factor, labels_only, 0, Setting(rate=rate)) for factor in (1.0, 0.01)]
    shares = [equilibrium(game).synthetic_volume / game.organisations.data_size for game in games]
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-6)


# ---- rules ----------------------------------------------------------------------------------------------------------


def test_the_rules_decide_as_their_names_say() -> None:
    game = preset_game("easy", 0.5, 0, Setting())
    decided = volumes(game, 0)
    np.testing.assert_allclose(decided[EQUILIBRIUM][0], equilibrium(game).synthetic_volume)
    assert decided[UNIFORM].sum() == pytest.approx(decided[EQUILIBRIUM].sum())
    assert np.ptp(decided[UNIFORM]) == 0
    assert decided[WCO].sum() < decided[EQUILIBRIUM].sum()
    assert (decided[VCFL] == 0).all()
    assert decided[RADG].shape == (20, 10)
    assert decided[RADG].mean() == pytest.approx(2000, rel=0.1)
    assert welfare(game, decided[OPTIMUM]) == pytest.approx(welfare_optimum(game).social_welfare)


def test_welfare_of_several_profiles_is_their_mean() -> None:
    game = preset_game("hard", 0.5, 0, Setting())
    profiles = np.array([np.zeros(10), np.full(10, 500.0)])
    each = [play(game, profile).social_welfare for profile in profiles]
    assert welfare(game, profiles) == pytest.approx(np.mean(each))


# ---- verdicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "capped", "word"),
    [
        ([1.0, 1.1, 1.2], [0.0, 0.0, 0.0], "reproduced"),
        ([1.0, 1.2, 1.1], [0.0, 0.0, 0.0], "differs"),
        ([1.0, 2.0, 2.0], [0.0, 0.9, 1.0], "not comparable"),
        ([1.2, 1.1, 2.0], [0.0, 0.0, 1.0], "differs"),
    ],
)
def test_a_flat_step_counts_only_where_caps_leave_room(line: list[float], capped: list[float], word: str) -> None:
    assert demand.rising(np.array(line), np.array(capped), "it rises").word == word


def course(*gain: float) -> redistribution.Course:
    zero = np.zeros(len(gain))
    rates = np.linspace(0, 0.3, len(gain))
    return redistribution.Course(rates, np.array(gain), zero, zero, 2.0, rates[:1], 0.0)


@pytest.mark.parametrize(
    ("gain", "interior"),
    [
        ((0.0, 1.0, 0.5), True),
        ((0.0, 1.0, 0.995), False),
        ((0.0, 0.5, 1.0), False),
        ((1.0, 0.5, 0.0), False),
    ],
)
def test_a_best_rate_is_moderate_if_welfare_falls_on_both_sides(gain: tuple[float, ...], interior: bool) -> None:
    assert course(*gain).interior == interior


def test_what_is_caught_is_told_by_the_planners_gain() -> None:
    assert course(0.0, 1.0, 0.5).caught.tolist() == [0.0, 0.5, 0.25]
    assert np.isnan(dataclasses.replace(course(0.0, -1.0), optimum=0.0).caught).all()


def test_the_reach_of_a_mean_is_that_of_students_interval() -> None:
    values = [1.0, 2.0, 4.0, 3.5]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert reach(values) == pytest.approx((high - low) / 2)
    assert math.isinf(reach([1.0]))


def test_the_best_rate_is_the_one_of_the_highest_mean_welfare() -> None:
    kind = redistribution.kinds_of([])[0]
    rates = np.array([0.0, 0.05, 0.3])
    setting = Setting(cost_factor=redistribution.COST_FACTOR)
    found = redistribution.course(kind, setting, rates, 2)
    by_hand = []
    for rate in rates:
        gains = []
        for number in range(2):
            game = preset_game("easy", 0.5, number, dataclasses.replace(setting, rate=rate))
            gains.append(
                play(game, equilibrium(game).synthetic_volume).social_welfare - play(game, np.zeros(10)).social_welfare
            )
        by_hand.append(np.mean(gains))
    np.testing.assert_allclose(found.gain, by_hand)
    assert found.best == int(np.argmax(by_hand))
    assert found.balance < 1e-12


# ---- measured tasks and cohorts --------------------------------------------------------------------------------------


def test_a_cohort_holds_the_real_samples_of_its_task_once_each(task) -> None:
    parts = task.parts(0)
    everything = np.concatenate(parts)
    assert len(parts) == 5
    assert len(everything) == task.base == len(set(everything.tolist()))
    assert (np.concatenate(task.parts(1)) != everything).any()
    game = task.game(0, Setting())
    assert game.organisations.data_size.tolist() == [len(own) for own in parts]


@pytest.mark.parametrize(("quality", "taken"), [(-0.2, LEAST_QUALITY), (0.3, 0.3), (1.7, 1.0)])
def test_the_game_takes_a_worth_above_0_up_to_1(task, quality: float, taken: float) -> None:
    estimates = dict(task.curve.estimates)
    estimates["synthetic_quality"] = dataclasses.replace(estimates["synthetic_quality"], value=quality)
    changed = dataclasses.replace(task, curve=dataclasses.replace(task.curve, estimates=estimates))
    assert changed.common_curve("relative").synthetic_quality == taken


def test_a_cohort_really_trains_at_the_volumes_of_every_rule(task) -> None:
    found = cohort.played_cohort(task, 0)
    game, parts = task.game(0, Setting()), task.parts(0)
    p, intensity = game.organisations.profitability, np.asarray(game.competition)
    luck = streams_of(0, Streams(SEED))
    utilities = {}
    for rule in (EQUILIBRIUM, VCFL):
        whole = np.rint(volumes(game, 0, draws=1)[rule][0])
        accuracy = trained_on(task.laboratory, parts, whole.astype(np.int64), luck)[1]
        assert found[rule].accuracy == accuracy
        # Every utility anew, with the accuracy that was measured as common performance.
        size = game.organisations.data_size
        own = accuracy - 0.05 * game.organisations.residual_emd.before * size / (size + whole)
        lost = [sum(intensity[i, j] * p[j] * (own[j] - own[i]) for j in range(5)) for i in range(5)]
        utilities[rule] = p * own - game.organisations.unit_cost * whole - lost
    assert found[EQUILIBRIUM].gain == pytest.approx(utilities[EQUILIBRIUM].sum() - utilities[VCFL].sum())
    assert found[VCFL].gain == found[VCFL].fitted_gain == 0.0
    assert found[EQUILIBRIUM].synthetic_share > 0.0


def test_too_small_a_data_set_is_refused(monkeypatch) -> None:
    tiny = load_dataset("iris").first(24, 10)
    monkeypatch.setattr("scenarios.reproduce.cocogen.tasks.load_dataset", lambda name: tiny)
    with pytest.raises(TooFewSamples, match="iris: 18 samples are too few"):
        measured_task("iris", "cpu", SMALL)


def test_the_nearest_real_sample_of_a_copy_is_itself() -> None:
    chance = np.random.default_rng(0)
    real = chance.normal(size=(20, 1, 3, 3)).astype(np.float32)
    distance, place = pictures.nearest(real[[7, 3]] + np.float32(1e-3), real)
    assert place.tolist() == [7, 3]
    np.testing.assert_allclose(distance, 3e-3, rtol=1e-2)
