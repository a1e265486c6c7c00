"""A regulator that estimates how well audits deter, and audits as much as that is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import POSITIVE, Bounds, check_number
from agents.regulation.base import PURSE, REGULATION, Budgeted, Prospect, Verdicts
from learning.columns import FloatColumn

_FELT = 1
"""Place of the audit rate as owners have felt it: a moving average."""
_SUMS = slice(2, 7)
"""Places of the discounted sums of weight, x, y, xx and xy."""


@REGULATION.register("deterrence")
@dataclass(frozen=True, kw_only=True)
class Deterrence(Budgeted):
    """Learns how violations fall with the audit rate and sets the rate that costs least, within ``budget`` a round.

    Violations as a share v of the rounds judged follow from the public verdicts: v = (guilty / audited - a) / (d - a),
    with d and a the rates at which audits find violations and blame honest rounds (Rogan and Gladen 1978, Estimating
    prevalence from the results of a screening test), one half added to either count; where audits are aimed, verdicts
    count by one over their chance. Deterrence is taken for
    exponential, v(r) = exp(c - k r): c and k by least squares of log v on r, r as a moving average of the announced
    rate with weight ``weight`` on the newest, rounds discounted by ``keep`` and weighted by their audits. A violation
    costs the market ``harm`` (money), an audit its cost: harm * v(r) + cost * r is least at
    r = log(harm * k * exp(c) / cost) / k. With no sign of deterrence (k <= 0) it audits at ``floor``.

    The rate is moved up or down by the share ``explore`` by lot, for without variation there is nothing to learn
    from; it stays between ``floor`` and what the purse affords.
    """

    name: ClassVar[str] = "deterrence"
    harm: float
    weight: float = 0.5
    keep: float = 0.97
    explore: float = 0.3
    floor: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("harm", self.harm, POSITIVE)
        check_number("weight", self.weight, Bounds(above=0, at_most=1))
        check_number("keep", self.keep, Bounds(above=0, at_most=1))
        check_number("explore", self.explore, Bounds(at_least=0, below=1))
        check_number("floor", self.floor, Bounds(above=0, at_most=1))

    def memory(self) -> FloatColumn:
        start = np.zeros(7)
        start[PURSE], start[_FELT] = self.budget, np.nan
        return start

    def learn(self, memory: FloatColumn, seen: Verdicts, prospect: Prospect) -> FloatColumn:
        known = super().learn(memory, seen, prospect)
        before = known[_FELT]
        known[_FELT] = seen.rate if math.isnan(before) else before + self.weight * (seen.rate - before)
        known[_SUMS] *= self.keep
        if seen.audited > 0:
            y, x, w = math.log(violating(seen, prospect)), known[_FELT], seen.audited
            known[_SUMS] += w * np.array([1.0, x, y, x * x, x * y])
        return known

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        most = self.affordable(memory, prospect)
        best = self._best(memory, prospect)
        tried = best * (1.0 + (self.explore if prospect.draw < 0.5 else -self.explore))
        return min(max(tried, self.floor), most)

    def _best(self, memory: FloatColumn, prospect: Prospect) -> float:
        """The rate that costs least, as far as it can tell; the one in force while it cannot."""
        if prospect.cost == 0.0:
            return 1.0
        response = self.response(memory)
        if response is None:
            return prospect.rate
        level, slope = response
        if slope <= 0.0:
            return self.floor
        worth = self.harm * slope * math.exp(level) / prospect.cost
        return math.log(worth) / slope if worth > 1.0 else 0.0

    def response(self, memory: FloatColumn) -> tuple[float, float] | None:
        """The estimates of c and k; None before the rate has varied."""
        weight, x, y, xx, xy = memory[_SUMS].tolist()
        if weight <= 0.0 or math.isnan(memory[_FELT]):
            return None
        spread = xx / weight - (x / weight) ** 2
        if spread < 1e-8:
            return None
        slope = -(xy / weight - x * y / weight**2) / spread
        return y / weight + slope * x / weight, slope


def violating(seen: Verdicts, prospect: Prospect) -> float:
    """The share of rounds with a violation, in (0, 1], as verdicts and the known errors of audits tell it."""
    guilty = (seen.blamed + 0.5) / (seen.audited + 1.0)
    least = 0.5 / (seen.audited + 1.0)
    power = prospect.detection_rate - prospect.false_alarm_rate
    if power <= 0.0:  # audits that tell nothing
        return 1.0
    return min(1.0, max(least, (guilty - prospect.false_alarm_rate) / power))
