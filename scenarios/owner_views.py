"""The owners in the market as Mesa agents, made when somebody looks: a million rows need no million objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral

import mesa

from agents.data_owner import DataOwner
from agents.population import Population, Status


class OwnerViews(Mapping[int, DataOwner]):
    """One ``DataOwner`` per owner in the market, by id, in ascending order. The same object as long as it stays."""

    def __init__(self, model: mesa.Model, population: Population) -> None:
        self._model = model
        self._population = population
        self._made: dict[int, DataOwner] = {}

    def __len__(self) -> int:
        return len(self._population.active())

    def __iter__(self) -> Iterator[int]:
        return iter(self._population.active().tolist())

    def __contains__(self, owner: object) -> bool:
        if not isinstance(owner, Integral) or not 0 <= int(owner) < len(self._population):
            return False
        return bool(self._population.status[int(owner)] == Status.ACTIVE)

    def __getitem__(self, owner: int) -> DataOwner:
        if owner not in self:
            raise KeyError(owner)
        key = int(owner)  # ids out of columns are NumPy's
        if key not in self._made:
            self._made[key] = DataOwner(self._model, key)
        return self._made[key]

    def make_all(self) -> None:
        """Register everybody with the model."""
        for owner in self:
            _ = self[owner]

    def forget(self, owner: int) -> None:
        """The stay of this owner is over."""
        if owner in self._made:
            self._made.pop(owner).remove()
