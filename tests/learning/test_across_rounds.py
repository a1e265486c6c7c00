"""Contributions over many rounds: FedSV, ComFedSV, and the completion of the utility matrix."""

import math

import numpy as np
import pytest
from contribution_games import DRAWS, Rule, saturating, shapley_by_orders
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.contribution import ACROSS_ROUNDS, ComFedSV, Draws, Effort, ExactShapley, FedSV, TruncatedMonteCarlo
from learning.contribution.completion import complete
from learning.contribution.result import Contribution
from learning.streams import Streams

STREAMS = Streams(9)
OWNERS = 5
SKILLS = np.array([0.9, 0.3, 0.3, 0.6, 0.1])


def rounds(participants, strength=0.9):
    """Games of the owners that take part; what can be gained shrinks from round to round. Yields (game, owners)."""
    for number, owners in enumerate(participants):
        skills, scale = SKILLS[owners], strength**number
        rule = lambda members, skills=skills, scale=scale: 0.1 + scale * np.tanh((members * skills).sum(axis=1))  # noqa: E731
        yield Rule(len(owners), rule), np.asarray(owners, dtype=np.int64)


def watch(method, participants, strength=0.9):
    for game, owners in rounds(participants, strength):
        method.observe(game, owners, DRAWS)
    return method


EVERYBODY = [list(range(OWNERS))] * 4
SOME = [list(range(OWNERS)), [0, 1], [1, 3, 4], [0, 1, 4], [], [1]]


def comfedsv(**how):
    return ComFedSV(OWNERS, STREAMS, **{"orders": 200, "rank": 1, "ridge": 1e-9, **how})


# ---- FedSV ----------------------------------------------------------------------------------------------------------


def test_fedsv_adds_up_the_values_of_the_rounds_an_owner_took_part_in():
    expected = np.zeros(OWNERS)
    for game, owners in rounds(SOME):
        expected[owners] += shapley_by_orders(game)
    found = watch(FedSV(OWNERS), SOME).result()
    assert found.values == pytest.approx(expected, abs=1e-12)
    assert not found.standard_error.any()


def test_errors_of_rounds_add_up_like_those_of_independent_numbers():
    method = TruncatedMonteCarlo(permutations=50, tolerance=0.0)
    watched, errors = FedSV(6, method), []
    for counter in range(3):
        watched.observe(saturating(6), np.arange(6), Draws(STREAMS, counter))
        errors.append(method.measure(saturating(6), Draws(STREAMS, counter)).standard_error)
    found = watched.result()
    assert found.standard_error == pytest.approx(np.sqrt(np.sum(np.square(errors), axis=0)))
    assert found.samples == 150
    truth = 3 * ExactShapley().measure(saturating(6), DRAWS).values
    assert (np.abs(found.values - truth) <= 4 * found.standard_error + 1e-12).all()


# ---- ComFedSV -------------------------------------------------------------------------------------------------------


def test_an_owner_of_one_round_is_known_no_better_for_the_rounds_of_others():
    found = FedSV(3)
    found.add(np.arange(3), Contribution(np.zeros(3), np.full(3, 0.1), 4, samples=2))
    for _ in range(49):
        found.add(np.arange(2), Contribution(np.zeros(2), np.full(2, 0.1), 4, samples=2))
    half = found.result().half_width()
    assert half[2] == pytest.approx(0.1 * 12.706, rel=1e-3)  # Student's t with one degree
    assert half[0] == pytest.approx(0.1 * 50**0.5 * 2.009, rel=1e-3)  # fifty alike: fifty degrees


def test_rounds_that_are_known_exactly_add_no_doubt():
    found = FedSV(2)
    found.add(np.arange(2), Contribution(np.ones(2), np.zeros(2), 4))
    assert found.result().half_width().tolist() == [0.0, 0.0]


def test_if_everybody_always_takes_part_completion_changes_nothing():
    """The values are then the mean gains along the sampled orders, summed over rounds."""
    found = watch(comfedsv(), EVERYBODY).result()
    exact = watch(FedSV(OWNERS), EVERYBODY).result().values
    gains = sum(game.worth(np.array([[True] * OWNERS, [False] * OWNERS])) @ [1, -1] for game, _ in rounds(EVERYBODY))
    assert found.values.sum() == pytest.approx(gains, abs=1e-12)
    assert (np.abs(found.values - exact) <= 4 * found.standard_error).all()
    assert found.samples == 200


def test_completed_values_come_close_to_what_full_participation_would_have_shown():
    """The rounds differ by a factor only: their utility matrix has rank one, so nothing is lost by who was absent."""
    # A round without anybody shows nothing of its scale; leave it out on both sides.
    seen = [owners for owners in SOME if owners]
    truth = watch(comfedsv(), [list(range(OWNERS))] * len(seen)).result().values
    found = watch(comfedsv(), seen).result().values
    assert found == pytest.approx(truth, abs=2e-3)
    plain = watch(FedSV(OWNERS), seen).result().values
    assert np.abs(plain - truth).max() > 0.2


def test_owners_with_equal_data_are_valued_alike_although_one_was_absent():
    """Owners 1 and 2 are alike; FedSV punishes 2 for being chosen less often, ComFedSV does not."""
    seen = [owners for owners in SOME if owners]
    completed = watch(comfedsv(orders=500), seen).result()
    plain = watch(FedSV(OWNERS), seen).result().values
    assert abs(completed.values[1] - completed.values[2]) <= 3 * np.hypot(*completed.standard_error[1:3])
    assert plain[1] > 2 * plain[2]


def test_without_a_round_of_everybody_the_values_are_refused_not_guessed():
    watched = watch(comfedsv(), [[0, 1, 2], [2, 3, 4]])
    with pytest.raises(ValueError, match="one round with all owners is needed"):
        watched.result()


def test_only_coalitions_that_were_there_are_evaluated():
    watched = comfedsv()
    game, owners = next(rounds([[1, 3]]))
    watched.observe(game, owners, DRAWS)
    assert game.asked <= 4
    with pytest.raises(ValueError, match="comfedsv needs"):
        watched.observe(*next(rounds(EVERYBODY)), DRAWS, Effort(max_evaluations=5))


@pytest.mark.parametrize("name", ACROSS_ROUNDS)
def test_what_was_observed_can_be_saved_and_loaded(name):
    def fresh():
        return FedSV(OWNERS, TruncatedMonteCarlo(20, 0.0)) if name == "fedsv" else comfedsv()

    whole, begun, resumed = fresh(), fresh(), fresh()
    games = list(rounds(SOME))
    for number, (game, owners) in enumerate(games):
        if number == 3:
            resumed.load_state(begun.state())
        for method in [whole, begun if number < 3 else resumed]:
            method.observe(game, owners, Draws(STREAMS, number))
    assert resumed.result().values.tolist() == whole.result().values.tolist()
    assert resumed.result().standard_error.tolist() == whole.result().standard_error.tolist()
    other = FedSV(3) if name == "fedsv" else ComFedSV(3, STREAMS, orders=10)
    with pytest.raises(ValueError, match="the state has"):
        other.load_state(whole.state())


@pytest.mark.parametrize("name", ACROSS_ROUNDS)
def test_before_the_first_round_all_values_are_zero_and_unfit_owners_are_refused(name):
    method = FedSV(OWNERS) if name == "fedsv" else comfedsv()
    assert method.result().values.tolist() == [0.0] * OWNERS
    for owners, message in (([0, 1], "3 players, but 2"), ([0, 1, 1], "different numbers"), ([0, 1, 5], "of 0..4")):
        with pytest.raises(ValueError, match=message):
            method.observe(saturating(3), np.array(owners), DRAWS)


# ---- completion -----------------------------------------------------------------------------------------------------


def low_rank(rows, columns, rank, seed=0):
    chance = np.random.default_rng(seed)
    return chance.normal(size=(rows, rank)) @ chance.normal(size=(rank, columns)), chance


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_matrix_of_low_rank_is_recovered_from_half_of_its_entries(rank):
    truth, chance = low_rank(30, 40, rank)
    known = chance.uniform(size=truth.shape) < 0.5
    found = complete(truth, known, rank=rank, ridge=1e-9, iterations=2000, tolerance=1e-14)
    assert np.abs(found.matrix() - truth).max() < 1e-4 * np.abs(truth).max()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 500))
def test_the_objective_never_rises_and_unknown_entries_are_never_read(rows, columns, rank, seed):
    truth, chance = low_rank(rows, columns, 3, seed)
    known = chance.uniform(size=truth.shape) < 0.6
    found = complete(truth, known, rank=rank, ridge=0.1)
    assert (np.diff(found.objective) <= 1e-9 * found.objective[0]).all()
    hidden = np.where(known, truth, math.nan)
    assert complete(hidden, known, rank=rank, ridge=0.1).matrix().tolist() == found.matrix().tolist()


def test_a_fully_known_matrix_comes_out_with_its_singular_values_shrunk_by_the_ridge():
    """The minimum of the objective is known then: soft thresholding (Mazumder et al. 2010, lemma 1)."""
    truth = np.random.default_rng(0).normal(size=(8, 6))
    u, scale, v = np.linalg.svd(truth, full_matrices=False)
    found = complete(truth, np.ones_like(truth, dtype=bool), rank=6, ridge=0.5, iterations=5000, tolerance=0.0)
    assert found.matrix() == pytest.approx(u * np.maximum(scale - 0.5, 0.0) @ v, abs=1e-5)


@pytest.mark.parametrize(("rank", "ridge"), [(0, 1.0), (2, 0.0), (2, -1.0)])
def test_a_completion_without_rank_or_ridge_is_refused(rank, ridge):
    with pytest.raises(ValueError, match="rank must be at least 1 and ridge above 0"):
        complete(np.ones((2, 2)), np.ones((2, 2), dtype=bool), rank=rank, ridge=ridge)
