"""Bandits: an owner tries strategies by itself, and knows nothing but what its own rounds were worth to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience
from agents.adaptation.company import choose
from agents.adaptation.payoff_range import PayoffRange
from agents.adaptation.values import best_of, check_memory, remembered
from agents.parameters import PROBABILITY, Bounds, check_number


@ADAPTATION.register("epsilon_greedy")
@dataclass(frozen=True, kw_only=True)
class EpsilonGreedy(Adaptation):
    """Plays what has paid it best on average so far, and with probability ``explore`` any strategy by lot.

    Values are the means of its own rounds with each strategy, or, with ``memory`` in (0, 1], their exponential
    smoothing with this weight of the newest (Sutton, Barto 2018, Reinforcement Learning, sections 2.4 and 2.5). A
    strategy that it never tried counts as ``untried`` money per round; without that it waits for exploration.
    """

    name: ClassVar[str] = "epsilon_greedy"
    keeps_scores: ClassVar[bool] = True
    reference: ClassVar[str] = "Watkins 1989; Sutton, Barto 2018, Reinforcement Learning, section 2.4"

    explore: float = 0.1
    memory: float | None = None
    untried: float | None = None

    def __post_init__(self) -> None:
        check_number("explore", self.explore, PROBABILITY)
        check_memory(self.memory)
        if self.untried is not None:
            check_number("untried", self.untried)

    def adapt(self, seen: Experience) -> Change:
        score, tried = remembered(seen, self.memory)
        value = np.where(np.isnan(score), -np.inf if self.untried is None else self.untried, score)
        greedy = best_of(value, seen.own.strategy)
        lot = (seen.draw("arm") * seen.strategies).astype(np.int64)
        chosen = np.where(seen.draw("explore") < self.explore, lot, greedy)
        return Change(chosen, {"score": score, "tried": tried})


@ADAPTATION.register("exp3")
@dataclass(frozen=True, kw_only=True)
class Exp3(PayoffRange, Adaptation):
    """Plays strategies by exponential weights of what they would have paid, estimated by importance weighting.

    EXP3 (Auer, Cesa-Bianchi, Freund, Schapire 2002, The nonstochastic multiarmed bandit problem, SIAM J. Comput. 32,
    48-77, section 3), whatever the others do and however payoffs change: over T rounds with K strategies its expected
    regret is at most (e - 1) * explore * G + K * ln(K) / explore, with G the best strategy's sum of scaled payoffs.
    Payoffs are scaled from [``worst``, ``best``] to [0, 1], and cut there. Chances are (1 - ``explore``) times the
    weights, plus ``explore`` / K. The theorem holds for a declared range; with a running one, payoffs that were scaled
    once stay as they are. The round of arrival, whose strategy the scenario chose, is not counted.
    """

    name: ClassVar[str] = "exp3"
    keeps_scores: ClassVar[bool] = True
    reference: ClassVar[str] = "Auer, Cesa-Bianchi, Freund, Schapire 2002, SIAM J. Comput. 32, 48-77"

    explore: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("explore", self.explore, Bounds(above=0, at_most=1))

    def adapt(self, seen: Experience) -> Change:
        own, rows, span = seen.own, np.arange(len(seen)), self.span(seen)
        chance = own.choice_chance
        gain = np.divide(span.scaled(own.utility), chance, out=np.zeros(len(seen)), where=~np.isnan(chance))
        score = np.nan_to_num(own.score, nan=0.0)
        score[rows, own.strategy] += gain
        power = self.explore * score / seen.strategies
        weight = np.exp(power - power.max(axis=1, keepdims=True))
        chances = (1.0 - self.explore) * weight / weight.sum(axis=1, keepdims=True) + self.explore / seen.strategies
        chosen = choose(chances, seen.draw("arm"))
        return Change(chosen, {**span.memory, "score": score, "choice_chance": chances[rows, chosen]})
