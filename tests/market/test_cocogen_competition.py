"""One competition matrix in three forms: dense, sparse and of low rank; what is no such matrix is refused."""

import dataclasses

import numpy as np
import pytest
from cocogen_games import default_game
from scipy.sparse import coo_array, csr_array

from market.cocogen import LowRank, equilibrium, play
from market.cocogen.competition import among, checked, nobody_competes


def factors(seed, count=12, rank=3):
    chance = np.random.default_rng(seed)
    return chance.uniform(0, 0.1, (count, rank)), chance.uniform(0, 1, (count, rank))


def as_dense(left, right):
    dense = left @ right.T
    np.fill_diagonal(dense, 0.0)
    return dense


@pytest.mark.parametrize("form", [csr_array, coo_array])
def test_all_forms_give_the_same_products_in_both_directions(form):
    left, right = factors(0)
    dense, column = as_dense(left, right), np.random.default_rng(1).normal(size=12)
    for matrix in (LowRank(left, right), form(dense)):
        assert matrix @ column == pytest.approx(dense @ column, abs=1e-12)
        assert matrix.T @ column == pytest.approx(dense.T @ column, abs=1e-12)
        assert checked(matrix, 12) is matrix


@pytest.mark.parametrize("model", ["relative", "damage"])
def test_the_form_of_the_matrix_does_not_change_the_game(model):
    left, right = factors(2, 10)
    left = 0.2 * left  # no more than damage bears
    game = default_game(3, model=model, rate=0.02)
    dense = dataclasses.replace(game, competition=as_dense(left, right))
    expected = equilibrium(dense).synthetic_volume
    for matrix in (LowRank(left, right), csr_array(dense.competition)):
        other = dataclasses.replace(game, competition=matrix)
        found = equilibrium(other).synthetic_volume
        assert found == pytest.approx(expected, abs=1e-6)
        assert play(other, found).utility == pytest.approx(play(dense, found).utility, abs=1e-9)


def test_who_is_present_competes_as_before():
    left, right = factors(4)
    dense, present = as_dense(left, right), np.array([7, 0, 3, 11])
    column = np.array([1.0, 2.0, 3.0, 4.0])
    expected = dense[np.ix_(present, present)] @ column
    for matrix in (dense, LowRank(left, right), csr_array(dense), coo_array(dense)):
        remaining = among(matrix, present)
        assert tuple(remaining.shape) == (4, 4)
        assert remaining @ column == pytest.approx(expected, abs=1e-15)


def test_nobody_competes_is_a_matrix_of_zeros():
    matrix = checked(nobody_competes(5), 5)
    assert (matrix @ np.ones(5) == 0).all()
    assert (matrix.T @ np.ones(5) == 0).all()


@pytest.mark.parametrize("form", [np.asarray, csr_array])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 1], [1, 0, 1]], r"must be \[3, 3\], got \[2, 3\]"),
        ([[0, 1, 1], [1, 0, -1], [1, 1, 0]], "must be numbers of at least 0"),
        ([[0, 1, 1], [1, 0, np.nan], [1, 1, 0]], "must be numbers of at least 0"),
        ([[0, 1, 1], [1, 0.5, 1], [1, 1, 0]], "the diagonal of the intensities must be 0"),
    ],
)
def test_what_is_no_matrix_of_intensities_is_refused(form, rows, message):
    with pytest.raises(ValueError, match=message):
        checked(form(np.array(rows, dtype=np.float64)), 3)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 1)), r"must be \[N, K\]"),
        (np.ones(3), np.ones(3), r"must be \[N, K\]"),
        (-np.ones((3, 1)), np.ones((3, 1)), "at least 0"),
        (np.ones((3, 1)), np.full((3, 1), np.inf), "at least 0"),
    ],
)
def test_factors_that_do_not_fit_are_refused(left, right, message):
    with pytest.raises(ValueError, match=message):
        LowRank(left, right)
