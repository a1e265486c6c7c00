"""A regulator that tries sets of rules and keeps to the one that serves the market best, as far as verdicts tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, POSITIVE, Bounds, check_number, check_whole
from agents.regulation.base import PURSE, REGULATION, Budgeted, Prospect, Verdicts
from agents.regulation.deterrence import violating
from learning.columns import FloatColumn

_PLAYED, _AGE = 1, 2
"""Places of the option in force and of the rounds that it has been in force."""
_TRIAL = slice(3, 7)
"""Places of the sums over a trial: rounds that count, owners judged, violations estimated, money spent."""
_SQUARES = 7
"""Place of the discounted sum of squared worths; counts and sums of the options follow."""


@REGULATION.register("bandit")
@dataclass(frozen=True, kw_only=True)
class Bandit(Budgeted):
    """Plays one of ``options`` (settings of enforcement) at a time and learns which is worth most, within ``budget``.

    A round is worth ``value`` (money) for each clean upload judged, less ``harm`` for each violation, less what looking
    has cost; so rules that drive owners away are dear, too. How many violate follows from the verdicts as under
    ``deterrence``. An option is in force for ``hold`` rounds on end, of which the first does not count (if there are
    more), for owners act on rules that they know; the mean of the others is one observation. Then the option with the
    highest discounted upper confidence bound is next (Garivier and Moulines 2011, On upper-confidence bound policies
    for switching bandit problems): mean + ``explore`` s sqrt(log N / n), with means and counts discounted by ``keep``
    per observation, N the sum of the counts n, and s the standard deviation of all observations. Each option is tried
    once before. Options that cost more than there is audit less.
    """

    name: ClassVar[str] = "bandit"
    options: list[dict[str, Any]]
    harm: float
    value: float = 0.0
    hold: int = 4
    keep: float = 0.95
    explore: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.options) < 2 or not all(isinstance(one, Mapping) and one for one in self.options):
            raise ValueError(f"options is {self.options!r}, expected at least two, each a mapping of settings")
        check_number("harm", self.harm, POSITIVE)
        check_number("value", self.value, NOT_NEGATIVE)
        check_whole("hold", self.hold, Bounds(at_least=1))
        check_number("keep", self.keep, Bounds(above=0, at_most=1))
        check_number("explore", self.explore, NOT_NEGATIVE)

    def memory(self) -> FloatColumn:
        start = np.zeros(_SQUARES + 1 + 2 * len(self.options))
        start[PURSE] = self.budget
        return start

    def learn(self, memory: FloatColumn, seen: Verdicts, prospect: Prospect) -> FloatColumn:
        known = super().learn(memory, seen, prospect)
        known[_AGE] += 1
        if known[_AGE] > 1 or self.hold == 1:
            known[_TRIAL] += 1.0, seen.judged, seen.judged * violating(seen, prospect), seen.spent
        if known[_AGE] >= self.hold:
            self._conclude(known)
        return known

    def _conclude(self, known: FloatColumn) -> None:
        """Note what the trial was worth per round, and choose the next option."""
        rounds, judged, guilty, spent = known[_TRIAL]
        worth = (self.value * (judged - guilty) - self.harm * guilty - spent) / rounds
        counts, sums = self._tried(known)
        known[_SQUARES:] *= self.keep
        known[_SQUARES] += worth * worth
        counts[int(known[_PLAYED])] += 1.0
        sums[int(known[_PLAYED])] += worth
        known[_TRIAL], known[_AGE], known[_PLAYED] = 0.0, 0.0, self._next(known)

    def _next(self, known: FloatColumn) -> int:
        counts, sums = self._tried(known)
        if not counts.all():
            return int(np.argmin(counts > 0))
        total = counts.sum()
        spread = math.sqrt(max(0.0, known[_SQUARES] / total - (sums.sum() / total) ** 2))
        width = self.explore * spread * np.sqrt(max(0.0, math.log(total)) / counts)
        return int(np.argmax(sums / counts + width))

    def _tried(self, known: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        """Views of the discounted counts and sums of the options."""
        counts, sums = known[_SQUARES + 1 :].reshape(2, -1)
        return counts, sums

    def worths(self, memory: FloatColumn) -> FloatColumn:
        """What a round under each option is worth, as far as it knows; NaN for one that was never tried."""
        counts, sums = self._tried(memory)
        return np.asarray(np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0))

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        return min(prospect.rate, self.affordable(memory, prospect))

    def option(self, memory: FloatColumn) -> int | None:
        return int(memory[_PLAYED])
