"""The participation family: when to be there is the strategy. While they are there, most are honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, Bounds, check_number, check_whole
from agents.strategies.base import STRATEGIES, Observation, Strategy
from agents.strategies.free_riding import FreeRiderGlobal
from learning.columns import BoolColumn

_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Participant(Strategy):
    """Honest in what it claims and sends."""

    family: ClassVar[str] = "participation"


@STRATEGIES.register("loyal")
@dataclass(frozen=True, kw_only=True)
class Loyal(Participant):
    """Never leaves of its own accord, however little it is paid; honest in all else."""

    name: ClassVar[str] = "loyal"
    reference: ClassVar[str] = "Hirschman 1970, Exit, voice, and loyalty, Harvard University Press"

    def stays(self, seen: Observation) -> BoolColumn:
        return np.ones(len(seen), dtype=np.bool_)


@STRATEGIES.register("hit_and_run")
@dataclass(frozen=True, kw_only=True)
class HitAndRun(Participant):
    """Leaves as soon as ``rounds`` uploads of a stay have been paid for; honest as long as it is there."""

    name: ClassVar[str] = "hit_and_run"
    reference: ClassVar[str] = "Baumol 1982, Contestable markets, Am. Econ. Rev. 72(1): hit-and-run entry"

    rounds: int = 2

    def __post_init__(self) -> None:
        check_whole("rounds", self.rounds, Bounds(at_least=1))

    def react(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.stay_rounds >= self.rounds)


@STRATEGIES.register("target_earner")
@dataclass(frozen=True, kw_only=True)
class TargetEarner(Participant):
    """Works until a stay has been worth ``target`` (money) to it, then leaves."""

    name: ClassVar[str] = "target_earner"
    reference: ClassVar[str] = "Camerer et al. 1997, Labor supply of New York City cabdrivers, Q. J. Econ. 112(2)"

    target: float = 1.0

    def __post_init__(self) -> None:
        check_number("target", self.target)

    def react(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.stay_utility >= self.target)


@STRATEGIES.register("wait_for_others")
@dataclass(frozen=True, kw_only=True)
class WaitForOthers(Participant):
    """Waits in the market until others have trained the published model to ``accuracy``, and takes part then."""

    name: ClassVar[str] = "wait_for_others"
    reference: ClassVar[str] = "Chamley, Gale 1994, Information revelation and strategic delay, Econometrica 62(5)"

    accuracy: float = 0.5

    def __post_init__(self) -> None:
        check_number("accuracy", self.accuracy, PROBABILITY)

    def _good_enough(self, seen: Observation) -> bool:
        return seen.board.accuracy >= self.accuracy

    def takes_part(self, seen: Observation) -> BoolColumn:
        return super().takes_part(seen) & self._good_enough(seen)

    def stays(self, seen: Observation) -> BoolColumn:
        """It does not lose patience while it waits, the round after which the model is good enough included."""
        has_waited = (seen.own.stay_rounds == 0) & (seen.own.training_cost == 0.0) & seen.advice.participate
        return np.asarray(has_waited | (not self._good_enough(seen)))


@STRATEGIES.register("seasonal")
@dataclass(frozen=True, kw_only=True)
class Seasonal(Participant):
    """Takes part in the first ``rounds`` of every ``period`` rounds, and stays in the market in between."""

    name: ClassVar[str] = "seasonal"
    calendar: ClassVar[bool] = True
    reference: ClassVar[str] = "Eichner et al. 2019, Semi-cyclic stochastic gradient descent, ICML: day and night"

    rounds: int = 5
    period: int = 10

    def __post_init__(self) -> None:
        check_whole("period", self.period, Bounds(at_least=1))
        check_whole("rounds", self.rounds, Bounds(at_least=1, at_most=self.period))
        self._declare(calendar=self.rounds < self.period)

    def _in_season(self, seen: Observation) -> bool:
        """Whether the round of the terms is; after the settlement, that is the round that is over."""
        return seen.terms.round % self.period < self.rounds

    def takes_part(self, seen: Observation) -> BoolColumn:
        return super().takes_part(seen) & self._in_season(seen)

    def stays(self, seen: Observation) -> BoolColumn:
        """It does not lose patience out of season."""
        return np.full(len(seen), not self._in_season(seen))


@STRATEGIES.register("intermittent")
@dataclass(frozen=True, kw_only=True)
class Intermittent(Participant):
    """Answers with probability ``probability`` in each round, like a device that is not always idle and charged."""

    name: ClassVar[str] = "intermittent"
    stochastic: ClassVar[bool] = True
    reference: ClassVar[str] = "Bonawitz et al. 2019, Towards federated learning at scale: system design, MLSys"

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_number("probability", self.probability, PROBABILITY)
        self._declare(stochastic=0.0 < self.probability < 1.0)

    def takes_part(self, seen: Observation) -> BoolColumn:
        return super().takes_part(seen) & (seen.draw(f"{self.name}/available") < self.probability)


@STRATEGIES.register("cherry_picker")
@dataclass(frozen=True, kw_only=True)
class CherryPicker(Participant):
    """Takes part only in rounds that promise ``margin`` times what training costs it: a satisficer's aspiration."""

    name: ClassVar[str] = "cherry_picker"
    reference: ClassVar[str] = "Simon 1955, A behavioral model of rational choice, Q. J. Econ. 69(1)"

    margin: float = 2.0

    def __post_init__(self) -> None:
        check_number("margin", self.margin, NOT_NEGATIVE)

    def takes_part(self, seen: Observation) -> BoolColumn:
        cost = seen.own.cost * seen.own.data_size * seen.advice.data_share
        return np.asarray(super().takes_part(seen) & (seen.advice.expected_payment >= self.margin * cost - _ROUNDING))


@STRATEGIES.register("whitewasher")
@dataclass(frozen=True, kw_only=True)
class Whitewasher(FreeRiderGlobal):
    """Sends the global model back until it is found guilty, then leaves and returns under a new identity."""

    name: ClassVar[str] = "whitewasher"
    family: ClassVar[str] = "participation"
    renaming: ClassVar[bool] = True
    reference: ClassVar[str] = (
        "Friedman, Resnick 2001, The social cost of cheap pseudonyms, J. Econ. Manag. Strategy 10(2)"
    )

    def react(self, seen: Observation) -> BoolColumn:
        return seen.own.flagged

    def renames(self, seen: Observation) -> BoolColumn:
        return np.ones(len(seen), dtype=np.bool_)
