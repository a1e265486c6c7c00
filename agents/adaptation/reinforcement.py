"""Reinforcement: what paid is done more often; an owner knows its own rounds only.

Over a list of strategies that differ in a report factor (``misreport_size`` with factors 0.5, 1.5, 2, ...) this is
reinforcement on the factors. The strategy ``learning_reporter`` is trial and error on a continuous factor instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience
from agents.adaptation.company import choose
from agents.adaptation.payoff_range import PayoffRange
from agents.parameters import POSITIVE, Bounds, check_number
from learning.columns import FloatColumn, IntColumn

_LEAST = 1e-300
"""Propensities stay above this, so that forgetting for ever leaves chances that are numbers."""


@ADAPTATION.register("roth_erev")
@dataclass(frozen=True, kw_only=True)
class RothErev(Adaptation):
    """Plays strategies in proportion to their propensities: what each has paid so far, slowly forgotten.

    After a round with payoff u every propensity becomes (1 - ``forget``) q + E, with E = R (1 - ``experiment``) for the
    strategy played and R ``experiment`` / (K - 1) for each of the K - 1 others, R = max(0, u - ``worst``) (Roth, Erev
    1995, Games Econ. Behav. 8, 164-212; Erev, Roth 1998, Am. Econ. Rev. 88, 848-881, with three parameters). At first
    all propensities are ``initial`` money; without ``worst`` it is the worst round that the owner has had.
    """

    name: ClassVar[str] = "roth_erev"
    keeps_scores: ClassVar[bool] = True
    reference: ClassVar[str] = "Roth, Erev 1995, Games Econ. Behav. 8; Erev, Roth 1998, Am. Econ. Rev. 88"

    initial: float = 1.0
    forget: float = 0.1
    experiment: float = 0.1
    worst: float | None = None

    def __post_init__(self) -> None:
        check_number("initial", self.initial, POSITIVE)
        check_number("forget", self.forget, Bounds(at_least=0, below=1))
        check_number("experiment", self.experiment, Bounds(at_least=0, below=1))
        if self.worst is not None:
            check_number("worst", self.worst)

    def adapt(self, seen: Experience) -> Change:
        own, rows, others = seen.own, np.arange(len(seen)), seen.strategies - 1
        low = np.fmin(own.lowest_utility, own.utility)
        reward = np.maximum(own.utility - (low if self.worst is None else self.worst), 0.0)
        spilt = self.experiment if others else 0.0
        propensity = (1.0 - self.forget) * np.where(np.isnan(own.score), self.initial, own.score)
        propensity += (reward * spilt / max(others, 1))[:, None]
        propensity[rows, own.strategy] += reward * (1.0 - spilt - spilt / max(others, 1))
        propensity = np.maximum(propensity, _LEAST)
        chances = propensity / propensity.sum(axis=1, keepdims=True)
        return Change(choose(chances, seen.draw("arm")), {"score": propensity, "lowest_utility": low})


@ADAPTATION.register("bush_mosteller")
@dataclass(frozen=True, kw_only=True)
class BushMosteller(PayoffRange, Adaptation):
    """Plays a strategy more often after a round above its aspiration, and less often after one below.

    The stimulus is s = (u - ``aspiration``) / max(best - aspiration, aspiration - worst), in [-1, 1]. The chance p of
    the strategy played becomes p + ``learning`` s (1 - p) if s >= 0, else p + ``learning`` s p; the chances of the
    others keep their proportions (Bush, Mosteller 1955; with an aspiration Macy, Flache 2002, PNAS 99, 7229-7236;
    Börgers, Sarin 2000, Int. Econ. Rev. 41, 921-950). Without ``aspiration`` (money per round) it is the outside
    option.
    """

    name: ClassVar[str] = "bush_mosteller"
    keeps_scores: ClassVar[bool] = True
    reference: ClassVar[str] = "Bush, Mosteller 1955, Stochastic models for learning; Macy, Flache 2002, PNAS 99"

    learning: float = 0.2
    aspiration: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("learning", self.learning, Bounds(above=0, at_most=1))
        if self.aspiration is not None:
            check_number("aspiration", self.aspiration)

    def adapt(self, seen: Experience) -> Change:
        span = self.span(seen)
        chances = np.where(np.isnan(seen.own.score), 1.0 / seen.strategies, seen.own.score)
        hoped = seen.own.outside_option if self.aspiration is None else np.full(len(seen), float(self.aspiration))
        reach = np.maximum(span.high - hoped, hoped - span.low)
        above = seen.own.utility - hoped
        stimulus = np.clip(np.divide(above, reach, out=np.zeros(len(seen)), where=reach > 0), -1.0, 1.0)
        if seen.strategies > 1:
            chances = self._moved(chances, seen.own.strategy, stimulus)
        return Change(choose(chances, seen.draw("arm")), {**span.memory, "score": chances})

    def _moved(self, chances: FloatColumn, played: IntColumn, stimulus: FloatColumn) -> FloatColumn:
        rows = np.arange(len(chances))
        before = chances[rows, played]
        room = np.where(stimulus >= 0, 1.0 - before, before)
        after = before + self.learning * stimulus * room
        rest = 1.0 - before
        even = np.full_like(chances, 1.0 / (chances.shape[1] - 1))  # where nothing is left whose proportions count
        share = np.divide(chances, rest[:, None], out=even, where=rest[:, None] > 0)
        moved: FloatColumn = share * (1.0 - after)[:, None]
        moved[rows, played] = after
        return moved
