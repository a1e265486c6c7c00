from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.population import COLUMNS, Population, Status
from agents.strategies.base import OwnRows


def test_new_rows_have_the_default_of_every_column() -> None:
    population = Population()
    population.grow(3)
    for name, column in COLUMNS.items():
        expected = np.full(3, column.default, dtype=column.dtype)
        np.testing.assert_array_equal(getattr(population, name), expected, err_msg=name)
        assert getattr(population, name).dtype == expected.dtype


def test_growing_keeps_what_was_written_and_numbers_rows_in_order() -> None:
    population = Population(capacity=2)
    assert population.grow(2).tolist() == [0, 1]
    population.utility[:] = [5.0, 6.0]
    assert population.grow(7).tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert len(population) == 9
    assert population.utility.tolist() == [5.0, 6.0] + [0.0] * 7


def test_active_lists_those_in_the_market() -> None:
    population = Population()
    population.grow(4)
    population.status[[1, 3]] = Status.ACTIVE
    population.status[2] = Status.EXPELLED
    assert population.active().tolist() == [1, 3]


def test_an_unknown_column_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = Population().salary


def test_own_rows_are_copies_in_the_order_asked_for(population: Population) -> None:
    rows = OwnRows(population, np.array([4, 1]))
    assert rows.cost.tolist() == [population.cost[4], population.cost[1]]
    rows.cost[:] = -1.0
    assert (population.cost > 0).all()


def test_own_rows_can_be_copied(population: Population) -> None:
    rows = copy.copy(OwnRows(population, np.array([4, 1])))
    assert rows.ids.tolist() == [4, 1]


@given(seed=st.integers(0, 2**32 - 1), moves=st.lists(st.sampled_from(["grow", "enter", "leave"]), max_size=12))
def test_who_is_in_the_market_is_found_by_place_without_listing_everybody(seed: int, moves: list[str]) -> None:
    draw = np.random.default_rng(seed)
    population = Population(capacity=3)
    for move in ["grow", "enter", *moves]:
        there = population.active()
        outside = np.setdiff1d(np.arange(len(population)), there)
        if move == "grow":
            population.grow(int(draw.integers(1, 3000)))
        elif move == "enter":
            population.enter(draw.permutation(outside)[: int(draw.integers(0, 2500))])
        else:
            population.leave(draw.permutation(there)[: int(draw.integers(0, 2500))], Status.LEFT)
        there = population.active()
        assert population.count_active == len(there)
        places = draw.integers(0, len(there), 5) if len(there) else np.zeros(0, dtype=np.int64)
        np.testing.assert_array_equal(population.nth_active(places), there[places])


def test_a_place_beyond_the_last_one_is_refused() -> None:
    population = Population()
    population.enter(population.grow(1030))
    with pytest.raises(IndexError):
        population.nth_active(np.array([1030]))
