"""The reciprocal family: honest as long as the market treats them well, free riding when it does not.

These are the classic strategies of the repeated prisoner's dilemma with the market for an opponent. It "defects" on an
owner that is slashed, or that is paid less than ``fair`` times what the terms promised to one who was advised to take
part (``wronged``); the owner defects by sending the global model back. What an owner remembers are the columns
``grievances`` and ``defecting``; whoever takes up another strategy of this kind takes them along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, check_number
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from agents.strategies.switching import Defecting
from learning.columns import BoolColumn, FloatColumn, IntColumn

FOR_EVER = 2**31
"""Rounds that no run has."""


def wronged(seen: Observation, fair: float) -> BoolColumn:
    """Who was slashed in the round that was just settled, or paid less than ``fair`` times what was to be expected."""
    promised = np.where(seen.advice.participate, seen.advice.expected_payment, 0.0)
    return (seen.own.penalty > 0.0) | ((promised > 0.0) & (seen.own.payment < fair * promised))


@dataclass(frozen=True, kw_only=True)
class Reciprocal(Defecting):
    """Sends the global model back while ``defecting`` is above 0."""

    family: ClassVar[str] = "reciprocal"


@dataclass(frozen=True, kw_only=True)
class Retaliating(Reciprocal):
    """Decides how long to defect by the wrongs that it has suffered.

    ``fair`` (>= 0): share of the expected payment below which it feels wronged.
    """

    fair: float = 0.5

    def __post_init__(self) -> None:
        check_number("fair", self.fair, NOT_NEGATIVE)

    def remember(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        """Count grievances, and decide for how long to defect."""
        now = wronged(seen, self.fair)
        grievances = self.counted(seen, now)
        return {"grievances": grievances, "defecting": self.retaliation(seen, now, grievances)}

    def counted(self, seen: Observation, now: BoolColumn) -> IntColumn:
        """Grievances, given who was wronged now."""
        return np.asarray(seen.own.grievances + now)

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        """Rounds of defection from here, given who was wronged now and how often in all."""
        raise NotImplementedError


@STRATEGIES.register("grim")
@dataclass(frozen=True, kw_only=True)
class Grim(Retaliating):
    """Honest until it is wronged once: slashed, or paid below ``fair`` times what was promised; never again then."""

    name: ClassVar[str] = "grim"
    reference: ClassVar[str] = "Friedman 1971, A non-cooperative equilibrium for supergames, Rev. Econ. Stud. 38(1)"

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        return np.where(grievances > 0, FOR_EVER, 0)


@STRATEGIES.register("tit_for_tat")
@dataclass(frozen=True, kw_only=True)
class TitForTat(Retaliating):
    """Honest at first; then it defects in a round if it was wronged in the last one."""

    name: ClassVar[str] = "tit_for_tat"
    reference: ClassVar[str] = "Axelrod, Hamilton 1981, The evolution of cooperation, Science 211"

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        return np.where(now, 1, 0)


@STRATEGIES.register("tit_for_two_tats")
@dataclass(frozen=True, kw_only=True)
class TitForTwoTats(Retaliating):
    """Defects in a round if it was wronged in both of the last two."""

    name: ClassVar[str] = "tit_for_two_tats"
    reference: ClassVar[str] = "Axelrod 1984, The evolution of cooperation, Basic Books"

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        return np.where(grievances >= 2, 1, 0)

    def counted(self, seen: Observation, now: BoolColumn) -> IntColumn:
        """Grievances in a row."""
        return np.where(now, seen.own.grievances + 1, 0)


@STRATEGIES.register("generous_tit_for_tat")
@dataclass(frozen=True, kw_only=True)
class GenerousTitForTat(Retaliating):
    """As tit for tat, but it forgives a wrong with probability ``forgiveness``."""

    name: ClassVar[str] = "generous_tit_for_tat"
    stochastic: ClassVar[bool] = True
    reference: ClassVar[str] = "Nowak, Sigmund 1992, Tit for tat in heterogeneous populations, Nature 355"

    forgiveness: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("forgiveness", self.forgiveness, PROBABILITY)
        self._declare(stochastic=0.0 < self.forgiveness < 1.0)

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        return np.where(now & (seen.draw(f"{self.name}/forgive") >= self.forgiveness), 1, 0)


@STRATEGIES.register("gradual")
@dataclass(frozen=True, kw_only=True)
class Gradual(Retaliating):
    """Answers its n-th grievance with n rounds of free riding, then makes peace for two rounds, whatever happens.

    While it retaliates, and in the two honest rounds that are to calm the other side, nothing is held against the
    market; ``defecting`` is below 0 in these two.
    """

    name: ClassVar[str] = "gradual"
    reference: ClassVar[str] = "Beaufils, Delahaye, Mathieu 1996, Our meeting with gradual, Artificial Life V"

    def retaliation(self, seen: Observation, now: BoolColumn, grievances: IntColumn) -> IntColumn:
        before = seen.own.defecting
        going_on = np.select([before > 1, before == 1], [before - 1, -_PEACE], np.minimum(before + 1, 0))
        return np.where(now & (before == 0), grievances, going_on)

    def counted(self, seen: Observation, now: BoolColumn) -> IntColumn:
        """Grievances; what comes while it retaliates or makes peace is not held against the market."""
        return np.asarray(seen.own.grievances + (now & (seen.own.defecting == 0)))


_PEACE = 2
"""Honest rounds with which ``gradual`` calms the other side (Beaufils, Delahaye, Mathieu 1996, section 3)."""


@STRATEGIES.register("win_stay_lose_shift")
@dataclass(frozen=True, kw_only=True)
class WinStayLoseShift(Reciprocal):
    """Does again what it did if the round was worth ``aspiration`` more than staying outside, else the opposite."""

    name: ClassVar[str] = "win_stay_lose_shift"
    reference: ClassVar[str] = "Nowak, Sigmund 1993, A strategy of win-stay, lose-shift, Nature 364"

    aspiration: float = 0.0

    def __post_init__(self) -> None:
        check_number("aspiration", self.aspiration)

    def remember(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        """Stay or shift."""
        won = seen.own.utility >= seen.own.outside_option + self.aspiration
        return {"defecting": np.where(won, seen.own.defecting > 0, seen.own.defecting <= 0).astype(np.int64)}


@STRATEGIES.register("conditional_cooperator")
@dataclass(frozen=True, kw_only=True)
class ConditionalCooperator(Strategy):
    """Offers and trains on less data, the more of those audited in the last round were found guilty.

    The share of what is advised is 1 - guilty / (audited + 1): it counts itself among the honest.
    """

    name: ClassVar[str] = "conditional_cooperator"
    family: ClassVar[str] = "reciprocal"
    reference: ClassVar[str] = (
        "Fischbacher, Gächter, Fehr 2001, Are people conditionally cooperative?, Econ. Letters 71(3)"
    )

    def offer(self, seen: Observation) -> FloatColumn:
        return np.asarray(super().offer(seen) * (1.0 - seen.board.guilty / (seen.board.audited + 1)))

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), data_share=self.offer(seen))
