"""The adaptive family: owners that learn by trial which reports pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number
from agents.strategies.base import STRATEGIES, Observation, Strategy
from learning.columns import BoolColumn, FloatColumn
from market.mechanism import DATA_SIZE, SHARING_COST


@STRATEGIES.register("learning_reporter")
@dataclass(frozen=True, kw_only=True)
class LearningReporter(Strategy):
    """Tries other multiples of its true data size and sharing cost for a round, and keeps what paid.

    With probability ``explore`` an owner, in the round after one in which it claimed as it is used to, multiplies one
    of the two factors (by lot) by exp(``step``) or its inverse; if that round is worth more to it, the new factor is
    kept. Factors stay between 1 / ``most`` and ``most``. It trains honestly, and begins with the truth. A round in
    which it claimed something else than it meant to, as a variant by transformers may, teaches it nothing.
    """

    name: ClassVar[str] = "learning_reporter"
    family: ClassVar[str] = "adaptive"
    lies_about: ClassVar[frozenset[str]] = frozenset({DATA_SIZE, SHARING_COST})
    stochastic: ClassVar[bool] = True
    reference: ClassVar[str] = "Robbins 1952; payoff-based trial and error: Young 2009, Games Econ. Behav. 65, 626-643"

    explore: float = 0.2
    step: float = 0.2
    most: float = 20.0

    def __post_init__(self) -> None:
        check_number("explore", self.explore, PROBABILITY)
        check_number("step", self.step, Bounds(above=0, at_most=100))
        check_number("most", self.most, Bounds(at_least=1, below=inf))

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        return {
            **truth,
            DATA_SIZE: truth[DATA_SIZE] * seen.own.size_factor,
            SHARING_COST: truth[SHARING_COST] * seen.own.cost_factor,
        }

    def learn(self, seen: Observation) -> Mapping[str, FloatColumn]:
        """Judge the trial that has just been made, or begin one."""
        own = seen.own
        size, cost, usual = own.size_factor, own.cost_factor, own.kept_utility
        trying = (size != own.kept_size_factor) | (cost != own.kept_cost_factor)
        paid = trying & (own.utility > usual + _ROUNDING * (1.0 + np.abs(usual)))
        kept_size, kept_cost = np.where(paid, size, own.kept_size_factor), np.where(paid, cost, own.kept_cost_factor)
        starts = ~trying & (seen.draw("trial") < self.explore)
        move = np.exp(np.where(seen.draw("direction") < 0.5, self.step, -self.step))
        of_size = seen.draw("dimension") < 0.5
        within = (1.0 / self.most, self.most)
        learnt = {
            "size_factor": np.where(starts & of_size, np.clip(kept_size * move, *within), kept_size),
            "cost_factor": np.where(starts & ~of_size, np.clip(kept_cost * move, *within), kept_cost),
            "kept_size_factor": kept_size,
            "kept_cost_factor": kept_cost,
            "kept_utility": np.where(trying & ~paid, usual, own.utility),
        }
        as_meant = self._claimed_as_meant(seen)
        return {name: np.where(as_meant, column, getattr(own, name)) for name, column in learnt.items()}

    def _claimed_as_meant(self, seen: Observation) -> BoolColumn:
        """Whose last claims were those of its factors, to within half a step (and who has not claimed yet)."""
        own, near = seen.own, np.exp(self.step / 2.0)
        meant = self.report(seen)
        off = [
            (told > meant[claim] * near) | (told * near < meant[claim])
            for claim, told in ((DATA_SIZE, own.reported_data_size), (SHARING_COST, own.reported_sharing_cost))
        ]
        return np.asarray(~(off[0] | off[1]))


_ROUNDING = 1e-9
