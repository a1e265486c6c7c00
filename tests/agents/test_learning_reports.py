"""Owners that learn by trial which reports pay, round after round, with payoffs that the test sets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.population import Population
from agents.strategies import make_strategy
from agents.strategies.base import Observation
from learning.columns import FloatColumn
from market.mechanism import DATA_SIZE, SHARING_COST

Observe = Callable[..., Observation]
Life = Callable[..., list[FloatColumn]]


@pytest.fixture
def life(population: Population, observe: Observe) -> Life:
    """``life(params, worth, rounds)``: the multiples of the truth that all owners claim in each round, of their data.

    ``worth`` says what a round was worth to them, from what they claimed, as multiples of the truth (data, cost).
    """
    for name in ("size_factor", "cost_factor", "kept_size_factor", "kept_cost_factor"):
        getattr(population, name)[:] = 1.0
    population.kept_utility[:] = np.nan
    population.rounds_taken[:] = 0

    def lived(params: dict[str, Any], worth: Callable[..., FloatColumn], rounds: int) -> list[FloatColumn]:
        strategy, found = make_strategy("learning_reporter", params), []
        for number in range(rounds):
            claims = strategy.report(observe(round=number))
            population.reported_data_size[:] = claims[DATA_SIZE]
            population.reported_sharing_cost[:] = claims[SHARING_COST]
            size = claims[DATA_SIZE] / population.data_size
            population.utility[:] = worth(size, claims[SHARING_COST] / population.sharing_cost)
            population.rounds_taken[:] += 1
            for name, column in strategy.learn(observe(round=number + 1)).items():
                getattr(population, name)[:] = column
            found.append(size)
        return found

    return lived


def test_reports_climb_to_what_pays_best_and_stay_there(life: Life, population: Population) -> None:
    step = 0.2

    def worth(size: FloatColumn, cost: FloatColumn) -> FloatColumn:
        return -((np.log(size) - 5 * step) ** 2) - (np.log(cost) + 2 * step) ** 2

    life({"explore": 1.0, "step": step}, worth, 150)
    assert np.log(population.kept_size_factor) == pytest.approx(np.full(len(population), 5 * step))
    assert np.log(population.kept_cost_factor) == pytest.approx(np.full(len(population), -2 * step))


def test_where_every_lie_costs_something_the_truth_is_told_between_trials(life: Life, population: Population) -> None:
    claimed = life({"explore": 0.5}, lambda size, cost: -np.abs(np.log(size)) - np.abs(np.log(cost)), 60)
    assert (population.kept_size_factor == 1.0).all()
    assert 0.05 < np.mean(np.stack(claimed) != 1.0) < 0.3  # a trial of either factor is a round in three at most


def test_an_honest_round_of_a_variant_is_not_taken_for_a_trial(life: Life, population: Population) -> None:
    # It claims what it means to in one round of three only. The honest rounds between are worth more and more.
    variant = {"explore": 1.0, "with": [{"name": "periodic", "rounds": 1, "period": 3}]}
    later = itertools.count()

    def worth(size: FloatColumn, cost: FloatColumn) -> FloatColumn:
        return np.where((size == 1.0) & (cost == 1.0), float(next(later)), -1.0)

    claimed = life(variant, worth, 60)
    assert (np.stack(claimed) != 1.0).any()
    assert (population.kept_size_factor == 1.0).all()
    assert (population.kept_cost_factor == 1.0).all()
