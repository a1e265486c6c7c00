"""How a regulator tunes its rules from round to round. It knows public verdicts and its own books, no truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, Bounds, check_number, make
from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry


@dataclass(frozen=True)
class Verdicts:
    """What became public in a round: ``judged`` owners, of them ``audited`` and found ``guilty``; money ``spent``.

    ``rate`` is the audit rate that was announced for it. Verdicts are those of the audits, before any appeal: these err
    at known rates. ``share``: the share of all judged that audits of everybody would have blamed, where audits are not
    as likely for all (NaN: they are).
    """

    judged: int
    audited: int
    guilty: int
    rate: float
    spent: float
    share: float = math.nan

    @property
    def blamed(self) -> float:
        """Guilty verdicts, as many as if audits had been as likely for all."""
        return float(self.guilty) if math.isnan(self.share) else self.share * self.audited


def guilty_share(flagged: BoolColumn, chance: FloatColumn) -> float:
    """The share of guilty among all judged, from those that were audited, each with a probability of its own.

    Weighted by one over that probability, and by the sum of the weights (Hajek 1971, in Foundations of Statistical
    Inference); NaN without audits.
    """
    return float((flagged / chance).sum() / (1.0 / chance).sum()) if len(flagged) else math.nan


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
    """A rule that tunes the rules; frozen. What it remembers is a column of numbers that the caller keeps."""

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

    def option(self, memory: FloatColumn) -> int | None:
        """Which of its options holds in the next round, for rules that choose among some."""
        return None

    def purse(self, memory: FloatColumn) -> float:
        """Money that audits and appeals of a round may cost at most."""
        return math.inf


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

    The rate is such that audits are expected to cost what there is. They fall by lot, and may be followed by appeals:
    those that there is no money for do not take place, so that n rounds never cost more than n budgets.
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

    def purse(self, memory: FloatColumn) -> float:
        return max(0.0, float(memory[PURSE]))


def make_regulation(name: str, params: Mapping[str, Any]) -> Regulation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(REGULATION, name, params)
