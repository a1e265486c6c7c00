"""A small population and what some of its owners observe in one round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agents.population import Population, Status
from agents.strategies.base import Observation, OwnRows, own_luck
from learning.columns import IntColumn
from learning.streams import Streams
from market.mechanism import Advice, Board, Terms

Observe = Callable[..., Observation]


def people(count: int = 12) -> Population:
    """Owners of many sizes, qualities and costs; none of perfect quality."""
    population = Population()
    ids = population.grow(count)
    draw = np.random.default_rng(7)
    population.person[:] = ids
    population.status[:] = Status.ACTIVE
    population.data_size[:] = draw.integers(10, 200, count)
    population.quality[:] = draw.uniform(0.2, 0.9, count)
    population.cost[:] = draw.uniform(0.001, 0.05, count)
    population.gain_scale[:] = draw.uniform(1e4, 5e4, count)
    population.sharing_cost[:] = draw.uniform(0.5, 1.5, count)
    population.valuation[:] = draw.uniform(0.1, 1.0, count)
    population.privacy_budget[:] = draw.uniform(0.5, 5.0, count)
    population.emd[:] = draw.uniform(0.1, 0.9, count)
    population.generation_cost[:] = draw.uniform(0.005, 0.02, count)
    population.profitability[:] = draw.uniform(10.0, 20.0, count)
    population.size_factor[:] = population.kept_size_factor[:] = draw.uniform(1.1, 2.0, count)
    population.cost_factor[:] = population.kept_cost_factor[:] = draw.uniform(0.5, 0.9, count)
    population.utility[:] = population.kept_utility[:] = draw.normal(size=count)
    population.rounds_taken[:] = draw.integers(0, 5, count)
    population.believed_utility[:] = draw.normal(size=count)
    population.stay_rounds[:] = population.rounds_taken
    population.stay_utility[:] = draw.normal(size=count)
    population.payment[:] = draw.uniform(0.0, 1.0, count)
    population.penalty[:] = np.where(ids % 4 == 1, 2.0, 0.0)
    population.flagged[:] = ids % 4 == 1
    population.reputation[:] = draw.uniform(0.1, 0.9, count)
    population.competition_pressure[:] = draw.uniform(0.0, 20.0, count)
    population.grievances[:] = ids % 3
    population.defecting[:] = ids % 2
    return population


def advice_for(ids: IntColumn) -> Advice:
    """Every third owner is told to stay away; the others train on shares between a half and one."""
    participate = ids % 3 != 2
    return Advice(participate, np.where(participate, 0.5 + 0.5 / (1.0 + ids), 0.0), 0.1 * (ids + 1.0))


@pytest.fixture
def population() -> Population:
    return people()


@pytest.fixture
def observe(population: Population) -> Observe:
    """``observe(ids, seed=1, round=4)``: what these owners see."""

    def seen(
        ids: IntColumn | None = None, seed: int = 1, round: int = 4, population: Population = population
    ) -> Observation:
        ids = np.arange(len(population)) if ids is None else np.asarray(ids)
        board = Board(
            *(round, 20.0), participants=10, claimed=900.0, paid=20.0, accuracy=0.7, chance=0.1, audited=4, guilty=1
        )
        luck = own_luck(Streams(seed), population.person[ids], round)
        return Observation(board, Terms(round, 20.0), advice_for(ids), OwnRows(population, ids), luck)

    return seen
