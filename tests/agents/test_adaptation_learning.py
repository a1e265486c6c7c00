"""Owners that learn by themselves: bandits against their theorems, reinforcement by hand, best responses, norms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from adapting_owners import Owners

from agents.adaptation import BestResponse, BushMosteller, EpsilonGreedy, Exp3, Prospects, RothErev, Threshold
from agents.adaptation.company import choose
from agents.adaptation.norms import believed_violators
from market.mechanism import Board

NOBODY_YET = np.zeros(1, dtype=np.int64)


def test_a_choice_by_chances_meets_them_exactly() -> None:
    draw = (np.arange(1_000) + 0.5) / 1_000
    chosen = choose(np.tile([0.5, 0.0, 0.3, 0.2], (1_000, 1)), draw)
    assert np.bincount(chosen, minlength=4).tolist() == [500, 0, 300, 200]


# ---- EXP3 ---------------------------------------------------------------------------------------------------------


def test_the_regret_of_exp3_is_below_its_bound_on_a_sequence_that_turns_against_it() -> None:
    """Arm 1 leads for the first third, then arm 2 pays and arm 1 does not: the mean over 300 learners."""
    rounds, arms, learners = 600, 3, 300
    gains = np.full((rounds, arms), 0.3)
    gains[:200, 1], gains[200:, 1] = 0.9, 0.0
    gains[:200, 2], gains[200:, 2] = 0.0, 1.0
    gains[::7] = 1.0 - gains[::7]
    most = gains.sum(axis=0).max()
    explore = min(1.0, math.sqrt(arms * math.log(arms) / ((math.e - 1) * most)))
    owners = Owners(Exp3(explore=explore, worst=-2.0, best=3.0), np.zeros(learners, dtype=np.int64), arms)
    owners.live(np.zeros(learners))  # the round of arrival
    earned = np.zeros(learners)
    for gain in gains:
        now = gain[owners.population.strategy]
        earned += now
        owners.live(-2.0 + 5.0 * now)  # in money
    regret = most - earned.mean()
    bound = (math.e - 1) * explore * most + arms * math.log(arms) / explore
    assert bound < most  # the bound says something
    assert regret < bound
    assert most - gains.mean() * rounds > regret  # better than a choice by lot


def test_exp3_weighs_a_payoff_by_how_unlikely_the_choice_was() -> None:
    owners = Owners(Exp3(explore=0.2, worst=0.0, best=1.0), NOBODY_YET, 2)
    owners.live(np.array([1.0]))
    assert np.nan_to_num(owners.population.score).tolist() == [[0.0, 0.0]]  # the round of arrival is not counted
    assert owners.population.choice_chance.tolist() == [0.5]
    owners.population.strategy[:] = 1
    owners.live(np.array([0.8]))
    assert owners.population.score.tolist() == [[0.0, 0.8 / 0.5]]
    weight = math.exp(0.2 * 1.6 / 2)
    likely = 0.8 * weight / (1 + weight) + 0.1
    played = owners.population.strategy[0]
    assert owners.population.choice_chance[0] == pytest.approx(likely if played == 1 else 1 - likely)


def test_a_payoff_beyond_the_declared_range_counts_as_its_end() -> None:
    owners = Owners(Exp3(explore=1.0, worst=0.0, best=1.0), np.zeros(4, dtype=np.int64), 2)
    owners.live(np.zeros(4))
    owners.population.strategy[:] = 0
    owners.live(np.array([-3.0, 0.5, 1.0, 7.0]))
    assert owners.population.score[:, 0].tolist() == [0.0, 1.0, 2.0, 2.0]


# ---- epsilon-greedy -----------------------------------------------------------------------------------------------


def test_epsilon_greedy_finds_the_best_strategy_among_noisy_ones() -> None:
    learners, worth, rng = 400, np.array([0.1, 0.5, 0.3, 0.8]), np.random.default_rng(2)
    owners = Owners(EpsilonGreedy(explore=0.2), np.arange(learners) % 4, 4)
    for _ in range(250):
        owners.live(worth[owners.population.strategy] + rng.normal(0.0, 0.3, learners))
    assert owners.shares[3] == pytest.approx(0.8 + 0.2 / 4, abs=0.08)
    assert np.nanmean(owners.population.score, axis=0) == pytest.approx(worth, abs=0.05)


def test_values_are_means_or_smoothed_by_memory() -> None:
    paid = [1.0, 4.0, 7.0]
    for memory, expected in ((None, 4.0), (0.5, (1.0 * 0.5 + 4.0 * 0.5) * 0.5 + 7.0 * 0.5)):
        owners = Owners(EpsilonGreedy(explore=0.0, memory=memory), NOBODY_YET, 3)
        for payoff in paid:
            assert owners.live(np.array([payoff])).tolist() == [0]
        assert owners.population.score[0, 0] == expected
        assert owners.population.tried.tolist() == [[3.0, 0.0, 0.0]]


def test_a_hopeful_owner_tries_everything_first() -> None:
    owners = Owners(EpsilonGreedy(explore=0.0, untried=10.0), NOBODY_YET, 3)
    played = [int(owners.live(np.array([payoff]))[0]) for payoff in (1.0, 3.0, 2.0, 3.0)]
    assert played == [1, 2, 1, 1]


# ---- reinforcement ------------------------------------------------------------------------------------------------


def test_propensities_of_roth_and_erev_by_hand() -> None:
    owners = Owners(RothErev(initial=2.0, forget=0.1, experiment=0.2, worst=-1.0), np.array([1]), 3)
    owners.live(np.array([4.0]))  # R = 5: 4 to strategy 1, 0.5 to each of the others
    assert owners.population.score[0] == pytest.approx([1.8 + 0.5, 1.8 + 4.0, 1.8 + 0.5])
    owners.population.strategy[:] = 2
    owners.live(np.array([-3.0]))  # below the worst: nothing
    assert owners.population.score[0] == pytest.approx([0.9 * 2.3, 0.9 * 5.8, 0.9 * 2.3])


def test_strategies_are_played_in_proportion_to_their_propensities() -> None:
    learners = 4_000
    draws = {"arm": (np.arange(learners) + 0.5) / learners}
    rule = RothErev(initial=2.0, forget=0.1, experiment=0.2, worst=-1.0)
    played = Owners(rule, np.ones(learners, dtype=np.int64), 3, draws=draws).live(np.full(learners, 4.0))
    assert np.bincount(played) / learners == pytest.approx(np.array([2.3, 5.8, 2.3]) / 10.4, abs=1 / learners)


def test_without_a_declared_worst_the_worst_round_earns_no_propensity() -> None:
    owners = Owners(RothErev(initial=1.0, forget=0.0, experiment=0.0), NOBODY_YET, 2)
    owners.live(np.array([-4.0]))
    assert owners.population.score.tolist() == [[1.0, 1.0]]
    owners.population.strategy[:] = 0
    owners.live(np.array([-1.5]))
    assert owners.population.score.tolist() == [[3.5, 1.0]]


def test_chances_of_bush_and_mosteller_by_hand() -> None:
    rule = BushMosteller(learning=0.5, aspiration=1.0, worst=0.0, best=5.0)
    owners = Owners(rule, NOBODY_YET, 4)
    owners.live(np.array([3.0]))  # stimulus 2 / 4: p = 1/4 + 1/4 * 3/4
    assert owners.population.score[0] == pytest.approx([7 / 16, 3 / 16, 3 / 16, 3 / 16])
    owners.population.strategy[:] = 0
    owners.live(np.array([0.0]))  # stimulus -1/4: p = 7/16 - 1/8 * 7/16
    after = 7 / 16 * 7 / 8
    assert owners.population.score[0] == pytest.approx([after, *[(1 - after) / 3] * 3])


def test_without_an_aspiration_an_owner_hopes_for_its_outside_option() -> None:
    owners = Owners(BushMosteller(learning=0.5, worst=0.0, best=1.0), np.zeros(2, dtype=np.int64), 2)
    owners.population.outside_option[:] = [0.2, 0.9]
    owners.live(np.array([0.5, 0.5]))
    assert owners.population.score[0, 0] > 0.5 > owners.population.score[1, 0]


def test_chances_stay_chances_however_long_it_pays_or_hurts() -> None:
    rng = np.random.default_rng(4)
    for rule in (BushMosteller(learning=1.0, aspiration=0.0), RothErev(forget=0.9, experiment=0.0)):
        owners = Owners(rule, np.arange(20) % 3, 3)
        for _ in range(400):
            owners.live(rng.choice([-1.0, 0.0, 1.0], 20))
        chances = owners.population.score / owners.population.score.sum(axis=1, keepdims=True)
        assert np.isfinite(chances).all()
        assert (chances >= 0).all()


# ---- best response and norms --------------------------------------------------------------------------------------


def test_a_best_response_weighs_the_board_against_its_own_rounds() -> None:
    ahead = Prospects(np.array([[0.0, 3.0]]), np.zeros((1, 2), dtype=np.bool_))
    owners = Owners(BestResponse(inertia=0.0, prior=2.0), NOBODY_YET, 2, prospects=ahead)
    assert owners.live(np.array([6.0])).tolist() == [1]  # 0: (6 + 2 * 0) / 3 = 2 against 3
    assert owners.live(np.array([-1.0])).tolist() == [0]  # 1: (-1 + 2 * 3) / 3 = 5/3 against 2


def test_inertia_is_the_share_that_does_not_think_again() -> None:
    count = 4_000
    ahead = Prospects(np.tile([0.0, 3.0], (count, 1)), np.zeros((count, 2), dtype=np.bool_))
    owners = Owners(BestResponse(inertia=0.8), np.zeros(count, dtype=np.int64), 2, prospects=ahead)
    assert owners.live(np.zeros(count)).mean() == pytest.approx(0.2, abs=0.026)


def test_who_expects_nothing_better_stays_with_what_it_plays() -> None:
    ahead = Prospects(np.ones((1, 3)), np.zeros((1, 3), dtype=np.bool_))
    owners = Owners(BestResponse(inertia=0.0), np.array([2]), 3, prospects=ahead)
    assert owners.live(np.array([1.0])).tolist() == [2]


def test_what_others_do_is_believed_from_the_verdicts_on_the_board() -> None:
    unknown = np.array([np.nan, 0.5])
    board = Board(round=3, budget=1.0, audited=10, guilty=2, detection_rate=0.8)
    assert believed_violators(board, unknown, 0.4).tolist() == pytest.approx([0.25, 0.6 * 0.5 + 0.4 * 0.25])
    silent = Board(round=3, budget=1.0, audited=0, detection_rate=0.8)
    assert believed_violators(silent, unknown, 0.4)[1] == 0.5
    assert math.isnan(believed_violators(silent, unknown, 0.4)[0])


def test_owners_break_the_rules_if_more_of_the_others_seem_to_than_their_threshold() -> None:
    """Half are believed to: with thresholds from 0 to 1, half of the owners do, by what they expect most of."""
    count = 4_000
    ahead = Prospects(np.tile([1.0, 2.0, 3.0], (count, 1)), np.tile([False, True, True], (count, 1)))
    board = Board(round=1, budget=1.0, audited=10, guilty=4, detection_rate=0.8)
    owners = Owners(Threshold(), np.zeros(count, dtype=np.int64), 3, prospects=ahead, board=board)
    owners.population.strategy[0:10] = 1
    first = owners.live(np.zeros(count))
    assert (first > 0).mean() == pytest.approx(0.5, abs=0.032)
    assert set(first[10:].tolist()) == {0, 2}
    assert owners.live(np.zeros(count)).tolist() == first.tolist()  # a threshold is for ever
