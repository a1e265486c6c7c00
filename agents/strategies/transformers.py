"""Transformers: variants of any strategy, derived without a new class.

A transformer wraps a strategy, and the result is a strategy that can be wrapped again. In a scenario they stand beside
the parameters, in the order in which they are applied:

    {name: misreport_size, factor: 2, with: [{name: after_loss}, {name: probability, probability: 0.5}]}

is who overstates its data with probability 1/2 in a round after one in which it lost money, and is honest else. It is
called ``misreport_size+after_loss+probability`` in the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number, check_whole
from agents.strategies.base import Observation, Strategy
from agents.strategies.misreport import check_claim, multiplied
from agents.strategies.switching import Switching
from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry
from market.mechanism import DATA_SIZE

TRANSFORMERS: Registry[type[Transformed]] = Registry("strategy transformer")


@dataclass(frozen=True, kw_only=True)
class Transformed(Switching):
    """The strategy ``inner`` with a difference; without one, that very strategy.

    Its metadata are those of ``inner``, changed where the difference changes them.
    """

    inner: Strategy

    def __post_init__(self) -> None:
        names = ("family", "lies_about", "trains", "conditional", "stochastic", "calendar", "renaming", "reference")
        told = {name: getattr(self.inner, name) for name in names}
        self._declare(**told, name=f"{self.inner.name}+{type(self).name}")

    @property
    def other(self) -> Strategy:
        return self.inner

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.ones(len(seen), dtype=np.bool_)


@TRANSFORMERS.register("delay")
@dataclass(frozen=True, kw_only=True)
class Delay(Transformed):
    """Honest until ``rounds`` of its uploads have arrived, as the strategy from then on: a sleeper."""

    name: ClassVar[str] = "delay"

    rounds: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("rounds", self.rounds, Bounds(at_least=1))
        self._declare(conditional=True)

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.rounds_taken >= self.rounds)


@TRANSFORMERS.register("probability")
@dataclass(frozen=True, kw_only=True)
class Probability(Transformed):
    """As the strategy with ``probability`` in each round, honest in the others."""

    name: ClassVar[str] = "probability"

    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("probability", self.probability, PROBABILITY)
        if 0.0 < self.probability < 1.0:
            self._declare(conditional=True, stochastic=True)

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.draw(f"{self.name}/deviates") < self.probability)


@TRANSFORMERS.register("after_loss")
@dataclass(frozen=True, kw_only=True)
class AfterLoss(Transformed):
    """As the strategy after a round that was worth less than ``below`` (money) to it, honest after others."""

    name: ClassVar[str] = "after_loss"

    below: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("below", self.below)
        self._declare(conditional=True)

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray((seen.own.utility < self.below) & (seen.own.rounds_taken > 0))


@TRANSFORMERS.register("periodic")
@dataclass(frozen=True, kw_only=True)
class Periodic(Transformed):
    """As the strategy in the last ``rounds`` of every ``period`` rounds of the market, honest in the others."""

    name: ClassVar[str] = "periodic"

    rounds: int = 1
    period: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("period", self.period, Bounds(at_least=2))
        check_whole("rounds", self.rounds, Bounds(at_least=1, below=self.period))
        self._declare(conditional=True, calendar=True)

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.full(len(seen), seen.board.round % self.period >= self.period - self.rounds)


@TRANSFORMERS.register("noise")
@dataclass(frozen=True, kw_only=True)
class Noise(Transformed):
    """As the strategy, but its ``claim`` is multiplied by 1 - ``spread`` to 1 + ``spread``, by lot, in each round."""

    name: ClassVar[str] = "noise"

    claim: str = DATA_SIZE
    spread: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_claim(self.claim)
        check_number("spread", self.spread, Bounds(above=0, below=1))
        self._declare(lies_about=self.inner.lies_about | {self.claim}, stochastic=True)

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        factors = 1.0 + self.spread * (2.0 * seen.draw(f"{self.name}/factor") - 1.0)
        return multiplied(self.inner.report(seen), self.claim, factors)


@TRANSFORMERS.register("whitewash")
@dataclass(frozen=True, kw_only=True)
class Whitewash(Transformed):
    """As the strategy, but it leaves when its reputation is below ``below``, and returns under a new identity."""

    name: ClassVar[str] = "whitewash"

    below: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("below", self.below, PROBABILITY)
        self._declare(renaming=True)

    def _spoilt(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.reputation < self.below)

    def react(self, seen: Observation) -> BoolColumn:
        return super().react(seen) | self._spoilt(seen)

    def renames(self, seen: Observation) -> BoolColumn:
        return super().renames(seen) | self._spoilt(seen)
