"""Best response: owners that calculate what each strategy would be worth to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience, Knows
from agents.adaptation.values import best_of, check_memory, remembered
from agents.parameters import POSITIVE, PROBABILITY, check_number


@ADAPTATION.register("best_response")
@dataclass(frozen=True, kw_only=True)
class BestResponse(Adaptation):
    """Thinks again with probability 1 - ``inertia``, and plays what it believes to pay best.

    What a strategy is believed to pay is what the public board lets the owner expect of it if all others do as in the
    last round, weighed as ``prior`` rounds, together with its own rounds with it (their mean, or smoothed with weight
    ``memory`` of the newest). It keeps what it plays if nothing is better. Best response with inertia: Young 1993, The
    evolution of conventions, Econometrica 61, 57-84; without experience, the dynamics of Gilboa, Matsui 1991,
    Econometrica 59, 859-867.
    """

    name: ClassVar[str] = "best_response"
    knows: ClassVar[frozenset[Knows]] = frozenset({Knows.BOARD})
    keeps_scores: ClassVar[bool] = True
    reference: ClassVar[str] = "Gilboa, Matsui 1991, Econometrica 59; Young 1993, Econometrica 61"

    inertia: float = 0.9
    prior: float = 1.0
    memory: float | None = None

    def __post_init__(self) -> None:
        check_number("inertia", self.inertia, PROBABILITY)
        check_number("prior", self.prior, POSITIVE)
        check_memory(self.memory)

    def adapt(self, seen: Experience) -> Change:
        score, tried = remembered(seen, self.memory)
        strategy = seen.own.strategy.astype(np.int64)
        rows = np.flatnonzero(seen.draw("inertia") >= self.inertia)
        if len(rows):
            lived, rounds = np.nan_to_num(score[rows], nan=0.0), tried[rows]
            believed = (rounds * lived + self.prior * seen.prospects(rows).utility) / (rounds + self.prior)
            strategy[rows] = best_of(believed, strategy[rows])
        return Change(strategy, {"score": score, "tried": tried})
