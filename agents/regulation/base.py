"""How a regulator sets its audit rate from round to round. It knows public verdicts and its own books, no truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, Bounds, check_number, make
from learning.columns import FloatColumn
from learning.registry import Registry


@dataclass(frozen=True)
class Verdicts:
    """What became public in a round: ``judged`` owners, of them ``audited`` and found ``guilty``; money ``spent``.

    ``rate`` is the audit rate that was announced for it.
    """

    judged: int
    audited: int
    guilty: int
    rate: float
    spent: float


@dataclass(frozen=True)
class Prospect:
    """What a regulator goes by when it sets the next rate: owners that it ``expects``, ``cost`` of an audit (money),
    the rates at which its audits err, the ``rate`` in force, and a uniform ``draw``."""

    expects: int
    cost: float
    detection_rate: float
    false_alarm_rate: float
    rate: float
    draw: float


class Regulation:
    """A rule that tunes the audit rate; frozen. What it remembers is a column of numbers that the caller keeps."""

    name: ClassVar[str]

    def memory(self) -> FloatColumn:
        """What it knows at the start."""
        return np.zeros(0)

    def learn(self, memory: FloatColumn, seen: Verdicts, prospect: Prospect) -> FloatColumn:
        """What it knows after a round."""
        return memory

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        """The audit rate of the next round."""
        raise NotImplementedError


REGULATION: Registry[type[Regulation]] = Registry("regulation")


@REGULATION.register("fixed")
@dataclass(frozen=True, kw_only=True)
class Fixed(Regulation):
    """Leaves the audit rate as the scenario says."""

    name: ClassVar[str] = "fixed"

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        return prospect.rate


PURSE = 0
"""Place in the memory of the money that is left to spend."""


@REGULATION.register("budget")
@dataclass(frozen=True, kw_only=True)
class Budgeted(Regulation):
    """Audits as many as ``budget`` (money per round) pays for; what is not spent is kept, up to ``reserve`` budgets.

    The audits themselves fall by lot, so a round may cost more than its budget; the next ones make up for that.
    """

    name: ClassVar[str] = "budget"
    budget: float
    reserve: float = 2.0

    def __post_init__(self) -> None:
        check_number("budget", self.budget, NOT_NEGATIVE)
        check_number("reserve", self.reserve, Bounds(at_least=1))

    def memory(self) -> FloatColumn:
        return np.array([self.budget])

    def learn(self, memory: FloatColumn, seen: Verdicts, prospect: Prospect) -> FloatColumn:
        left = memory.copy()
        left[PURSE] = min(memory[PURSE] - seen.spent + self.budget, self.reserve * self.budget)
        return left

    def affordable(self, memory: FloatColumn, prospect: Prospect) -> float:
        """The rate at which the expected audits cost what is in the purse."""
        bill = prospect.cost * prospect.expects
        return 1.0 if bill <= 0.0 else min(1.0, max(0.0, float(memory[PURSE])) / bill)

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        return self.affordable(memory, prospect)


def make_regulation(name: str, params: Mapping[str, Any]) -> Regulation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(REGULATION, name, params)
