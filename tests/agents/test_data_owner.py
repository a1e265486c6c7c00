from __future__ import annotations

import mesa
import numpy as np
import pytest

from agents.data_owner import DataOwner
from agents.population import COLUMNS, Population, Status
from agents.strategies import make_strategy


class Market(mesa.Model):
    """Two owners: an honest one and a free rider."""

    def __init__(self, population: Population) -> None:
        super().__init__(seed=1)
        self.population = population
        self.strategies = [make_strategy("honest", {}), make_strategy("free_rider_copy", {})]
        population.strategy[1] = 1
        for owner in (0, 1):
            DataOwner(self, owner)


def owners(population: Population) -> list[DataOwner]:
    return list(Market(population).agents)


def test_an_owner_shows_its_row(population: Population) -> None:
    _, second = owners(population)
    for name in COLUMNS:
        np.testing.assert_equal(getattr(second, name), getattr(population, name)[1], err_msg=name)
    assert second.status == Status.ACTIVE
    assert isinstance(second.data_size, float)


def test_an_owner_follows_its_row_even_when_the_table_moves(population: Population) -> None:
    first, _ = owners(population)
    population.grow(1000)
    population.utility[0] = 12.5
    assert first.utility == 12.5


def test_an_owner_knows_the_name_of_its_strategy(population: Population) -> None:
    assert [owner.strategy_name for owner in owners(population)] == ["honest", "free_rider_copy"]


def test_the_row_cannot_be_written_through_the_agent(population: Population) -> None:
    first, _ = owners(population)
    with pytest.raises(AttributeError):
        first.cost = 0.0


def test_an_unknown_attribute_is_an_error(population: Population) -> None:
    first, _ = owners(population)
    with pytest.raises(AttributeError):
        _ = first.salary


def test_mesa_can_select_and_collect_by_column(population: Population) -> None:
    market = Market(population)
    population.status[0] = Status.LEFT
    assert [owner.owner_id for owner in market.agents.select(lambda owner: owner.status == Status.ACTIVE)] == [1]
    assert market.agents.get("cost") == population.cost[:2].tolist()
