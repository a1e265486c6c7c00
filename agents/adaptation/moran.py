"""The Moran process: strategies are born and die, one owner at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience, Knows
from agents.adaptation.company import Among
from agents.parameters import NOT_NEGATIVE, Bounds, check_number, check_whole
from learning.columns import FloatColumn, IntColumn


@ADAPTATION.register("moran")
@dataclass(frozen=True, kw_only=True)
class Moran(Adaptation):
    """In each round ``events`` owners take over a strategy: the better it pays, the more often it is passed on.

    Fitness is exp(``selection`` * believed utility) (Traulsen, Shoresh, Nowak 2008, Bull. Math. Biol. 70, 1410-1424).
    ``birth_death``: an owner is chosen with a chance proportional to its fitness, and one other by lot takes its
    strategy over (Moran 1958; on graphs Lieberman, Hauert, Nowak 2005, Nature 433, 312-316). ``death_birth``: an owner
    is chosen by lot, and takes over the strategy of one other, with chances proportional to fitness (Ohtsuki, Hauert,
    Lieberman, Nowak 2006, Nature 441, 502-505). The other is ``among`` the open neighbours or everybody.

    Nobody needs to know everybody's fitness to be chosen: each owner waits an exponential time with its own fitness
    (``death_birth``: 1) as the rate, and the first ``events`` clocks that ring are a round's. Of several that pass on
    to one owner the first wins; all see the payoffs of the round that is over. One event a round is the process of the
    theory.
    """

    name: ClassVar[str] = "moran"
    knows: ClassVar[frozenset[Knows]] = frozenset({Knows.SHOWN})
    reference: ClassVar[str] = "Moran 1958, Proc. Camb. Phil. Soc. 54, 60-71; Lieberman et al. 2005, Nature 433"

    update: Literal["birth_death", "death_birth"] = "birth_death"
    events: int = 1
    selection: float = 1.0
    among: Among = "neighbours"

    def __post_init__(self) -> None:
        check_whole("events", self.events, Bounds(at_least=1))
        check_number("selection", self.selection, NOT_NEGATIVE)

    def adapt(self, seen: Experience) -> Change:
        strategy, company = seen.own.strategy.astype(np.int64), seen.company(self.among)
        clock = np.log(-np.log(seen.draw("clock")))  # the logarithm of a waiting time, so that no fitness overflows
        if self.update == "birth_death":
            parents = self._first(clock - self._log_fitness(seen.own.believed_utility))
            child = company.taker(parents)
            there = child >= 0
            parents, child = parents[there][::-1], child[there][::-1]  # the first to ring writes last
            fresh = strategy.copy()
            fresh[child] = strategy[parents]
            return Change(fresh)
        dying = self._first(clock)
        met = company.meet(dying, self._log_fitness)
        strategy[dying[met.there]] = met.strategy[met.there]
        return Change(strategy)

    def _log_fitness(self, payoff: FloatColumn) -> FloatColumn:
        return np.asarray(self.selection * payoff)

    def _first(self, clock: FloatColumn) -> IntColumn:
        """Whose clocks ring first, in order."""
        return np.argsort(clock, kind="stable")[: self.events]
