"""The data owner as Mesa sees it: a read-only view of one population row."""

from __future__ import annotations

from typing import Any

import mesa

from agents.numbered import NumberedAgent
from agents.population import COLUMNS


class DataOwner(NumberedAgent):
    """One identity in the market. Each population column is a read-only property of the same name.

    The model must have ``population`` (the table) and ``strategies`` (the run's strategies in the order of the column
    ``strategy``). The agent holds its own id and nothing else; the simulation writes columns and decides on leaving.
    """

    def __init__(self, model: mesa.Model, owner_id: int) -> None:
        super().__init__(model)
        self.owner_id = int(owner_id)

    @property
    def strategy_name(self) -> str:
        """Registered name of the strategy it plays now."""
        name: str = self.model.strategies[self.strategy].name
        return name

    def __repr__(self) -> str:
        return f"DataOwner({self.owner_id})"


def _own_entry(column: str, meaning: str) -> property:
    def read(self: DataOwner) -> Any:
        return getattr(self.model.population, column)[self.owner_id].item()

    return property(read, doc=meaning)


for _name, _column in COLUMNS.items():
    setattr(DataOwner, _name, _own_entry(_name, _column.meaning))
