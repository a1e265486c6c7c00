"""Owners that adapt without a market: payoffs are given, everything else is as in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from agents.adaptation import Adaptation, Experience, Prospects
from agents.adaptation.company import Company, Everybody, Neighbours
from agents.population import ADAPTATION_MEMORY, Population, Status
from agents.strategies.base import OwnRows
from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams
from market.graph import CollaborationGraph
from market.mechanism import Board


@dataclass
class Owners:
    """Owners that adapt round after round by ``rule``, and could meet each other."""

    rule: Adaptation
    strategy: IntColumn
    strategies: int = 2
    seed: int = 1
    board: Board = field(default_factory=lambda: Board(round=0, budget=1.0))
    prospects: Prospects | None = None
    draws: Mapping[str, FloatColumn] = field(default_factory=dict)
    number: int = 0
    alone: bool = False
    graph: CollaborationGraph | None = None

    def __post_init__(self) -> None:
        self.population = Population(4, self.strategies)
        self.rows = self.population.grow(len(self.strategy))
        self.population.strategy[:] = self.strategy
        self.population.status[:] = Status.ACTIVE
        self.streams = Streams(self.seed)

    @property
    def shares(self) -> FloatColumn:
        """How much of the population plays each strategy."""
        return np.bincount(self.population.strategy, minlength=self.strategies) / len(self.rows)

    def live(self, payoff: FloatColumn) -> IntColumn:
        """A round that was worth ``payoff`` to each, and what they play afterwards."""
        population, number = self.population, self.number
        population.utility[:] = population.believed_utility[:] = payoff

        def draw(purpose: str) -> FloatColumn:
            given = self.draws.get(purpose)
            return self.streams.uniform(purpose, self.rows, number) if given is None else given

        def company(among: str) -> Company:
            assert not self.alone, "it may not meet anybody"
            met, shown = (
                self.streams.uniform("met", self.rows, number),
                (population.strategy, population.believed_utility),
            )
            if among == "everybody":
                return Everybody(*shown, self.rows, lambda rows: met[rows])
            assert self.graph is not None
            return Neighbours(self.graph, self.rows, *shown, lambda rows: met[rows])

        def prospects(rows: IntColumn) -> Prospects:
            assert self.prospects is not None, "it may not look at the public board"
            return Prospects(self.prospects.utility[rows], self.prospects.violates[rows])

        seen = Experience(
            board=self.board,
            own=OwnRows(population, self.rows),
            strategies=self.strategies,
            draw=draw,
            trait=lambda purpose: self.streams.uniform(f"trait/{purpose}", self.rows, 0),
            company=company,
            prospects=prospects,
        )
        change = self.rule.adapt(seen)
        assert set(change.memory) <= set(ADAPTATION_MEMORY)
        for name, values in change.memory.items():
            getattr(population, name)[:] = values
        population.strategy[:] = change.strategy
        self.number += 1
        return change.strategy
