"""Appeals: a second, dearer and more accurate look at a guilty verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount, check_share


@dataclass(frozen=True)
class Appeal:
    """A second audit that knows more: it errs at rates of its own.

    ``fee``: money that the owner puts down and gets back if the verdict is overturned; ``cost``: money that the second
    audit costs the regulator; ``detection_rate`` and ``false_alarm_rate``: how often it upholds the verdict against
    one that broke the rules, and against one that did not.
    """

    name: ClassVar[str]
    fee: float = 0.0
    cost: float = 0.0
    detection_rate: float = 1.0
    false_alarm_rate: float = 0.0

    def __post_init__(self) -> None:
        check_amount("fee", self.fee)
        check_amount("cost", self.cost)
        check_share("detection_rate", self.detection_rate)
        check_share("false_alarm_rate", self.false_alarm_rate)

    def lodged(self, violation: BoolColumn, stake: FloatColumn) -> BoolColumn:
        """Who of those found guilty appeals; each knows whether it broke the rules, and has ``stake`` money to win."""
        raise NotImplementedError

    def overturned(self, violation: BoolColumn, draw: FloatColumn) -> BoolColumn:
        """Whose verdict falls, by a uniform draw each."""
        return np.asarray(draw >= self._upheld(violation))

    def _upheld(self, violation: BoolColumn) -> FloatColumn:
        """The probability that the verdict stands."""
        return np.where(violation, self.detection_rate, self.false_alarm_rate)


APPEALS: Registry[type[Appeal]] = Registry("appeal")


@APPEALS.register("rational")
@dataclass(frozen=True)
class RationalAppeal(Appeal):
    """Appeals where the expected refund beats the expected loss of the fee.

    With p the probability that the verdict stands: (1 - p) * stake > p * fee. Who would win nothing does not appeal.
    """

    name: ClassVar[str] = "rational"

    def lodged(self, violation: BoolColumn, stake: FloatColumn) -> BoolColumn:
        upheld = self._upheld(violation)
        return np.asarray((1.0 - upheld) * stake > upheld * self.fee)


@APPEALS.register("innocent")
@dataclass(frozen=True)
class InnocentAppeal(Appeal):
    """Everybody appeals that did not break the rules, and nobody else, whatever is at stake."""

    name: ClassVar[str] = "innocent"

    def lodged(self, violation: BoolColumn, stake: FloatColumn) -> BoolColumn:
        return ~violation
