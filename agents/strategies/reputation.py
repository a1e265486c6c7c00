"""The reputation family: honest to be trusted, then living off the trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number, check_whole
from agents.strategies.base import STRATEGIES, Observation
from agents.strategies.switching import Defecting
from learning.columns import BoolColumn, FloatColumn, IntColumn


@dataclass(frozen=True, kw_only=True)
class Milker(Defecting):
    """Sends the global model back whenever its reputation, or the hour, allows it."""

    family: ClassVar[str] = "reputation"


@STRATEGIES.register("reputation_milker")
@dataclass(frozen=True, kw_only=True)
class ReputationMilker(Milker):
    """Honest until its reputation reaches ``high``, free riding until it is down at ``low``, and so on."""

    name: ClassVar[str] = "reputation_milker"
    reference: ClassVar[str] = "Srivatsa, Xiong, Liu 2005, TrustGuard, WWW: strategic oscillation"

    high: float = 0.7
    low: float = 0.4

    def __post_init__(self) -> None:
        check_number("high", self.high, PROBABILITY)
        check_number("low", self.low, Bounds(at_least=0, below=self.high))

    def remember(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        """Whether it milks from here: the mood changes at ``high`` and at ``low``."""
        standing = seen.own.reputation
        milks = np.where(seen.own.defecting > 0, standing > self.low, standing >= self.high)
        return {"defecting": milks.astype(np.int64)}


@STRATEGIES.register("end_game_defector")
@dataclass(frozen=True, kw_only=True)
class EndGameDefector(Milker):
    """Honest in its first ``rounds`` rounds, free riding in ``last`` more, and gone."""

    name: ClassVar[str] = "end_game_defector"
    reference: ClassVar[str] = (
        "Kreps, Milgrom, Roberts, Wilson 1982, Rational cooperation in the finitely repeated prisoners' dilemma, JET 27"
    )

    rounds: int = 3
    last: int = 1

    def __post_init__(self) -> None:
        check_whole("rounds", self.rounds, Bounds(at_least=0))
        check_whole("last", self.last, Bounds(at_least=1))

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.stay_rounds >= self.rounds)

    def react(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.stay_rounds >= self.rounds + self.last)


@STRATEGIES.register("on_off")
@dataclass(frozen=True, kw_only=True)
class OnOff(Milker):
    """Honest for ``good`` rounds, free riding for ``bad`` rounds, by the clock: the on-off attack on trust."""

    name: ClassVar[str] = "on_off"
    calendar: ClassVar[bool] = True
    reference: ClassVar[str] = (
        "Sun, Yu, Han, Liu 2006, Information theoretic framework of trust modeling and evaluation, IEEE JSAC 24(2)"
    )

    good: int = 3
    bad: int = 1

    def __post_init__(self) -> None:
        check_whole("good", self.good, Bounds(at_least=1))
        check_whole("bad", self.bad, Bounds(at_least=1))

    def deviates(self, seen: Observation) -> BoolColumn:
        """Everybody begins its cycle at another round, so that not all are bad at once."""
        place = (seen.board.round + seen.own.person) % (self.good + self.bad)
        return np.asarray(place >= self.good)
