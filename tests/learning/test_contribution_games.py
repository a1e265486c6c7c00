"""Contribution methods on games with known values; nothing is trained here."""

import math

import numpy as np
import pytest
from contribution_games import (
    DRAWS,
    Rule,
    airport,
    airport_values,
    banzhaf_by_coalitions,
    gloves,
    random_table,
    saturating,
    shapley_by_orders,
    table,
    voting,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.contribution import (
    CONTRIBUTION,
    Banzhaf,
    BudgetSpent,
    Draws,
    Effort,
    ExactShapley,
    GTGShapley,
    LeaveOneOut,
    Shapley,
    TruncatedMonteCarlo,
)
from learning.contribution.gtg import guided_orders
from learning.streams import Streams

ON_ANY_GAME = ("exact_shapley", "shapley", "truncated_monte_carlo", "gtg_shapley", "leave_one_out", "banzhaf")
SHAPLEY = ("exact_shapley", "shapley", "truncated_monte_carlo", "gtg_shapley")
EXACT, LOO = ExactShapley(), LeaveOneOut()


def untruncated(name):
    """A method of this name that leaves nothing out."""
    return {
        "truncated_monte_carlo": TruncatedMonteCarlo(tolerance=0.0),
        "gtg_shapley": GTGShapley(tolerance=0.0, round_tolerance=0.0, sweeps=20),
    }.get(name) or CONTRIBUTION[name]()


# ---- known values -------------------------------------------------------------------------------------------------


def test_the_airport_game_shares_every_stretch_among_those_who_need_it():
    costs = np.array([3.0, 1.0, 7.0, 7.0, 2.5])
    assert EXACT.measure(airport(costs), DRAWS).values == pytest.approx(airport_values(costs), abs=1e-12)


def test_a_single_left_glove_among_two_right_ones_is_worth_two_thirds():
    assert EXACT.measure(gloves(1, 2), DRAWS).values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_in_a_symmetric_game_all_have_the_same_part():
    game = Rule(6, lambda members: np.sqrt(members.sum(axis=1)))
    assert EXACT.measure(game, DRAWS).values == pytest.approx(np.full(6, math.sqrt(6) / 6))


def test_in_an_additive_game_everybody_is_worth_its_own_number_by_every_method():
    numbers = np.array([0.5, -0.2, 0.0, 0.3, 0.1, 0.7])
    for name in ON_ANY_GAME:
        found = untruncated(name).measure(Rule(6, lambda members: members @ numbers), DRAWS)
        assert found.values == pytest.approx(numbers, abs=1e-12), name


def test_power_indices_of_the_weighted_majority_4_3_2_1():
    """Textbook values: Shapley-Shubik (5, 3, 3, 1) / 12 and Banzhaf (5, 3, 3, 1) / 8 at a quota of more than half."""
    weights = np.array([4.0, 3.0, 2.0, 1.0])
    assert EXACT.measure(voting(weights, 5.0), DRAWS).values * 12 == pytest.approx([5, 3, 3, 1])
    assert Banzhaf().measure(voting(weights, 5.0), DRAWS).values * 8 == pytest.approx([5, 3, 3, 1])


def test_power_indices_of_the_security_council():
    """Five permanent members with a veto and ten others, 9 votes of 15: the veto is worth 0.1963, a seat 0.00186."""
    game = Rule(15, lambda members: (members[:, :5].all(axis=1) & (members.sum(axis=1) >= 9)).astype(float))
    values = EXACT.measure(game, DRAWS).values
    seat = math.comb(9, 3) * math.factorial(8) * math.factorial(6) / math.factorial(15)
    assert values[5:] == pytest.approx(np.full(10, seat))
    assert values[:5] == pytest.approx(np.full(5, (1 - 10 * seat) / 5))
    assert values[0] == pytest.approx(0.1963, abs=5e-5)


@pytest.mark.parametrize("players", [1, 2, 3, 5])
def test_exact_values_equal_brute_force_on_random_games(players):
    worth = random_table(players)
    assert EXACT.measure(table(worth), DRAWS).values == pytest.approx(shapley_by_orders(table(worth)), abs=1e-12)
    assert Banzhaf().measure(table(worth), DRAWS).values == pytest.approx(
        banzhaf_by_coalitions(table(worth)), abs=1e-12
    )
    everybody, mask = 2**players - 1, 1 << np.arange(players)
    assert LOO.measure(table(worth), DRAWS).values == pytest.approx(worth[everybody] - worth[everybody - mask])


# ---- axioms -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SHAPLEY), st.integers(1, 7), st.integers(0, 1000))
def test_efficiency_shapley_values_sum_to_the_worth_of_all(name, players, seed):
    worth = random_table(players, seed)
    found = untruncated(name).measure(table(worth), DRAWS)
    assert found.values.sum() == pytest.approx(worth[-1] - worth[0], abs=1e-9)


@pytest.mark.parametrize("name", ON_ANY_GAME)
def test_a_null_player_has_the_value_zero(name):
    found = untruncated(name).measure(saturating(10), DRAWS)
    assert found.values[1] == pytest.approx(0.0, abs=1e-12) or name == "banzhaf"
    assert abs(found.values[1]) <= 4 * found.standard_error[1] + 1e-12


@pytest.mark.parametrize("name", ["exact_shapley", "banzhaf", "leave_one_out"])
def test_players_that_add_the_same_have_the_same_value(name):
    skills = np.array([0.4, 0.9, 0.4, 0.1])
    values = CONTRIBUTION[name]().measure(Rule(4, lambda m: np.tanh(m @ skills)), DRAWS).values
    assert values[0] == pytest.approx(values[2], abs=1e-12)
    assert values[1] > values[0] > values[3]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(ON_ANY_GAME), st.integers(2, 6), st.integers(0, 1000))
def test_the_value_of_a_sum_of_games_is_the_sum_of_the_values(name, players, seed):
    """Additivity holds sample by sample, as long as nothing is cut off by what was found."""
    if name == "gtg_shapley":
        method = GTGShapley(tolerance=0.0, round_tolerance=0.0, sweeps=2, least_orders=10**6)
    else:
        method = untruncated(name)
    one, two = random_table(players, seed), random_table(players, seed + 1)
    parts = [method.measure(table(worth), DRAWS).values for worth in (one, two)]
    assert method.measure(table(one + two), DRAWS).values == pytest.approx(sum(parts), abs=1e-9)


# ---- estimators ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "value"),
    [
        (TruncatedMonteCarlo(permutations=60, tolerance=0.0), "shapley"),
        (GTGShapley(tolerance=0.0, round_tolerance=0.0, sweeps=8, least_orders=10**6), "shapley"),
        (Banzhaf(coalitions=300), "banzhaf"),
    ],
    ids=["truncated_monte_carlo", "gtg_shapley", "banzhaf"],
)
def test_intervals_cover_the_true_value_as_often_as_they_say(method, value):
    """Over 120 independent measurements of 9 players: 80 % intervals hold the truth about 80 times in 100."""
    game = saturating(9)
    truth = EXACT.measure(game, DRAWS).values if value == "shapley" else banzhaf_by_coalitions(game)
    inside, values = [], []
    for counter in range(120):
        found = method.measure(game, Draws(Streams(5), counter))
        lower, upper = found.interval(0.8)
        inside.append((lower <= truth) & (truth <= upper))
        values.append(found.values)
    real = np.flatnonzero(truth > 0.01)  # the null player has an interval of width 0 in orders
    assert np.mean(np.array(inside)[:, real]) == pytest.approx(0.8, abs=0.05)
    bias = np.mean(values, axis=0) - truth
    assert (np.abs(bias) <= 4 * np.std(values, axis=0) / math.sqrt(120) + 1e-12).all()


def test_errors_shrink_with_the_root_of_the_samples():
    game = saturating(12)

    def error(method):
        return method.measure(game, DRAWS).standard_error[2:].mean()

    for few, many in (
        (TruncatedMonteCarlo(100, 0.0), TruncatedMonteCarlo(1600, 0.0)),
        (Banzhaf(500), Banzhaf(8000)),
    ):
        assert error(few) / error(many) == pytest.approx(4.0, rel=0.2)
    few, many = (GTGShapley(0.0, 0.0, least_orders=10**6, sweeps=sweeps) for sweeps in (10, 160))
    assert error(few) / error(many) == pytest.approx(4.0, rel=0.3)


def test_guided_orders_put_everybody_first_once_per_sweep_and_are_permutations():
    orders = guided_orders(DRAWS, np.arange(3), 7)
    assert orders.shape == (21, 7)
    assert orders[:, 0].tolist() == list(range(7)) * 3
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    assert len(np.unique(orders, axis=0)) == 21


def test_guided_sweeps_are_more_precise_than_as_many_free_orders():
    """What comes first matters most where worth levels off; the sweep takes that luck out."""
    skills = np.random.default_rng(0).uniform(0.5, 3.0, size=10)
    game = Rule(10, lambda members: 1 - np.exp(-(members * skills).sum(axis=1)))
    guided = [GTGShapley(0.0, 0.0, 10**6, sweeps=3).measure(game, Draws(Streams(5), c)).values for c in range(40)]
    free = [TruncatedMonteCarlo(30, 0.0).measure(game, Draws(Streams(5), c)).values for c in range(40)]
    assert np.std(guided, axis=0).mean() < 0.7 * np.std(free, axis=0).mean()


def test_a_round_that_changes_little_is_skipped_after_two_evaluations():
    game = Rule(9, lambda members: 0.5 + 0.0005 * members.sum(axis=1) / 9)
    found = GTGShapley(round_tolerance=0.001).measure(game, DRAWS)
    assert found.values.tolist() == [0.0] * 9
    assert (found.ended, found.evaluations) == ("skipped", 2)
    assert GTGShapley(round_tolerance=0.0001, tolerance=0.0).measure(game, DRAWS).ended == "converged"


def test_truncation_within_the_round_saves_evaluations_and_costs_at_most_the_tolerance():
    full, cut = (
        GTGShapley(tolerance=tolerance, least_orders=10**6, sweeps=4).measure(saturating(14), DRAWS)
        for tolerance in (0.0, 0.05)
    )
    assert cut.evaluations < 0.6 * full.evaluations
    assert abs(cut.values.sum() - full.values.sum()) <= 0.05


def test_gtg_stops_when_the_running_means_stand_still():
    easy = Rule(12, lambda members: members.sum(axis=1) / 12)
    found = GTGShapley(tolerance=0.0, least_orders=30).measure(easy, DRAWS)
    assert found.ended == "converged"
    assert found.samples == 3  # the first whole number of sweeps of 12 with 30 orders
    hard = table(random_table(12))
    assert GTGShapley(tolerance=0.0, change=1e-4, sweeps=4).measure(hard, DRAWS).ended == "complete"


# ---- budgets, stopping, progress, resumption ----------------------------------------------------------------------

SAMPLING = {
    "truncated_monte_carlo": TruncatedMonteCarlo(permutations=3000, tolerance=0.0),
    "gtg_shapley": GTGShapley(tolerance=0.0, change=0.0, sweeps=400),
    "banzhaf": Banzhaf(coalitions=20_000),
}


def effort(**how):
    return Effort(**how)


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("limit", [2, 15, 200, 700])
def test_a_budget_of_evaluations_is_never_exceeded(name, limit):
    game = saturating(14)
    found = SAMPLING[name].measure(game, DRAWS, effort(max_evaluations=limit))
    assert game.asked <= limit
    assert found.evaluations == game.asked
    assert found.ended == "budget spent"
    if found.samples < 2:
        assert np.isinf(found.standard_error).all()


@pytest.mark.parametrize("name", SAMPLING)
def test_work_stops_when_all_intervals_are_narrow_enough(name):
    found = SAMPLING[name].measure(saturating(10), DRAWS, effort(half_width=0.01, level=0.9))
    assert found.ended == "precise"
    assert found.half_width(0.9).max() <= 0.01
    wider = SAMPLING[name].measure(saturating(10), DRAWS, effort(half_width=0.02, level=0.9))
    assert wider.samples < found.samples


@pytest.mark.parametrize("name", SAMPLING)
def test_progress_is_reported_and_ends_where_the_result_does(name):
    seen = []
    found = SAMPLING[name].measure(saturating(10), DRAWS, effort(half_width=0.015, progress=seen.append))
    assert [step.samples for step in seen] == sorted({step.samples for step in seen})
    assert all(0 < step.part <= 1 for step in seen)
    assert seen[-1].part == 1.0
    assert (seen[-1].evaluations, seen[-1].samples) == (found.evaluations, found.samples)
    assert seen[-1].half_width == pytest.approx(found.half_width().max())


@pytest.mark.parametrize("name", SAMPLING)
def test_an_interrupted_measurement_goes_on_as_if_nothing_had_happened(name):
    method = SAMPLING[name]
    whole = method.measure(saturating(9), DRAWS, effort(half_width=0.012))
    part = method.measure(saturating(9), DRAWS, effort(half_width=0.03))
    assert 0 < part.samples < whole.samples
    resumed = method.measure(saturating(9), DRAWS, effort(half_width=0.012), part)
    assert resumed.values.tolist() == whole.values.tolist()
    assert resumed.standard_error.tolist() == whole.standard_error.tolist()
    assert resumed.samples == whole.samples


@pytest.mark.parametrize("name", SAMPLING)
def test_where_the_work_was_cut_does_not_change_where_it_ends(name):
    method = SAMPLING[name]
    whole = method.measure(saturating(9), DRAWS, effort(half_width=0.012))
    cut = method.measure(saturating(9), DRAWS, effort(half_width=0.012, max_evaluations=177))
    assert cut.ended == "budget spent"
    resumed = method.measure(saturating(9), DRAWS, effort(half_width=0.012), cut)
    assert resumed.samples == whole.samples
    assert resumed.values.tolist() == whole.values.tolist()


def test_a_budget_counts_what_was_spent_before_the_interruption():
    part = SAMPLING["truncated_monte_carlo"].measure(saturating(14), DRAWS, effort(max_evaluations=300))
    game = saturating(14)
    more = SAMPLING["truncated_monte_carlo"].measure(game, DRAWS, effort(max_evaluations=500), part)
    assert game.asked <= 200
    assert more.evaluations == part.evaluations + game.asked <= 500
    assert more.samples > part.samples


def test_a_result_of_another_game_is_no_place_to_go_on_from():
    part = SAMPLING["gtg_shapley"].measure(saturating(9), DRAWS, effort(max_evaluations=400))
    with pytest.raises(ValueError, match="does not belong here"):
        SAMPLING["gtg_shapley"].measure(saturating(10), DRAWS, begun=part)


@pytest.mark.parametrize(("name", "least"), [("exact_shapley", 64), ("leave_one_out", 7), ("banzhaf", 64)])
def test_what_cannot_be_had_within_the_budget_is_refused_before_any_work(name, least):
    game = saturating(6)
    with pytest.raises(ValueError, match=f"needs {least} evaluations"):
        CONTRIBUTION[name]().measure(game, DRAWS, effort(max_evaluations=least - 1))
    assert game.asked == 0
    CONTRIBUTION[name]().measure(game, DRAWS, effort(max_evaluations=least))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: effort(max_evaluations=1), "max_evaluations must be at least 2"),
        (lambda: effort(half_width=0.0), "half_width must be above 0"),
        (lambda: effort(level=1.0), "between 0 and 1"),
        (lambda: TruncatedMonteCarlo(tolerance=-0.1), "tolerance must be at least 0"),
        (lambda: GTGShapley(sweeps=1), "sweeps must be at least 2"),
        (lambda: GTGShapley(change=-1.0), "must be at least 0"),
        (lambda: Banzhaf(coalitions=1), "coalitions must be at least 2"),
        (lambda: EXACT.measure(saturating(21), DRAWS), "21 players are too many"),
        (lambda: EXACT.measure(saturating(5), DRAWS).interval(2.0), "between 0 and 1"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- the game -----------------------------------------------------------------------------------------------------


def test_a_coalition_is_evaluated_once_however_often_it_is_asked_for():
    game = saturating(4)
    members = np.array([[True, False, True, False], [True, False, True, False], [False] * 4])
    assert game.worth(members).tolist() == game.worth(members).tolist()
    assert game.asked == game.evaluations == 2


def test_a_limit_holds_within_its_block_only():
    game = saturating(4)
    with game.at_most(1):
        game.worth(np.zeros((3, 4), dtype=bool))
        with pytest.raises(BudgetSpent, match="1 evaluations are allowed"):
            game.worth(np.ones((1, 4), dtype=bool))
    assert game.worth(np.ones((1, 4), dtype=bool)) > 0


def test_coalitions_of_another_number_of_players_are_refused():
    with pytest.raises(ValueError, match=r"coalitions must be \[M, 4\], got \[1, 5\]"):
        saturating(4).worth(np.ones((1, 5), dtype=bool))


def test_nobody_contributes_nothing():
    for name in ON_ANY_GAME:
        found = CONTRIBUTION[name]().measure(Rule(0, lambda members: np.ones(len(members))), DRAWS)
        assert found.values.shape == found.standard_error.shape == (0,), name


def test_shapley_is_exact_for_few_and_sampled_for_many():
    assert Shapley().measure(saturating(8), DRAWS).samples == 0
    assert Shapley(permutations=40).measure(saturating(9), DRAWS).samples == 40


def test_every_method_says_what_it_is():
    assert set(ON_ANY_GAME) | {"cosine", "loss_drop"} == set(CONTRIBUTION)
    assert all(len(CONTRIBUTION.description(name)) > 20 for name in CONTRIBUTION)
