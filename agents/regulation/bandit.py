"""A regulator that tries sets of rules and keeps to the one that serves the market best, as far as verdicts tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, Bounds, check_number, check_whole
from agents.regulation.base import PURSE, REGULATION, Budgeted, Prospect, Verdicts
from agents.regulation.deterrence import violating
from learning.columns import FloatColumn

_PLAYED, _AGE = 1, 2
"""Places of the option in force and of the rounds that it has been in force."""
_TRIAL = slice(3, 8)
"""Places of the sums over a trial: rounds that count, owners judged, violations, money spent, skill of the model."""
_SPAN = slice(8, 10)
"""Places of the lowest and the highest worth of a trial so far."""
_OPTIONS = 10
"""Place from which discounted counts and sums of the options follow."""


@REGULATION.register("bandit")
@dataclass(frozen=True, kw_only=True)
class Bandit(Budgeted):
    """Plays one of ``options`` (settings of enforcement) at a time and learns which is worth most, within ``budget``.

    A round is worth ``model_value`` (money) times the skill of the shared model (0 guesses, 1 is perfect) and
    ``value`` for each clean upload judged, less ``harm`` for each violation, less what looking has cost; so rules
    that drive owners away are dear, too. How many violate follows from the verdicts as under ``deterrence``. An
    option is in force for ``hold`` rounds on end, of which the first does not count (if there are more), for owners
    act on rules that they know; the mean of the others is one observation. Then the option with the highest
    discounted upper confidence bound is next (Garivier and Moulines 2011, On upper-confidence bound policies for
    switching bandit problems): mean + ``explore`` B sqrt(log N / n), with means and counts discounted by ``keep``
    per observation, N the sum of the counts n, and B the range of all observations so far. Each option is tried
    once before, and again when it has long not been. Options that cost more than there is audit less.
    """

    name: ClassVar[str] = "bandit"
    options: list[dict[str, Any]]
    harm: float
    value: float = 0.0
    model_value: float = 0.0
    hold: int = 4
    keep: float = 0.9
    explore: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.options) < 2 or not all(isinstance(one, Mapping) and one for one in self.options):
            raise ValueError(f"options is {self.options!r}, expected at least two, each a mapping of settings")
        check_number("harm", self.harm, NOT_NEGATIVE)
        check_number("value", self.value, NOT_NEGATIVE)
        check_number("model_value", self.model_value, NOT_NEGATIVE)
        check_whole("hold", self.hold, Bounds(at_least=1))
        check_number("keep", self.keep, Bounds(above=0, at_most=1))
        check_number("explore", self.explore, NOT_NEGATIVE)

    def memory(self) -> FloatColumn:
        start = np.zeros(_OPTIONS + 2 * len(self.options))
        start[PURSE], start[_SPAN] = self.budget, (np.inf, -np.inf)
        return start

    def learn(self, memory: FloatColumn, seen: Verdicts, prospect: Prospect) -> FloatColumn:
        known = super().learn(memory, seen, prospect)
        known[_AGE] += 1
        if known[_AGE] > 1 or self.hold == 1:
            known[_TRIAL] += 1.0, seen.judged, seen.judged * violating(seen, prospect), seen.spent, seen.skill
        if known[_AGE] >= self.hold:
            self._conclude(known)
        return known

    def _conclude(self, known: FloatColumn) -> None:
        """Note what the trial was worth per round, and choose the next option."""
        rounds, judged, guilty, spent, skill = known[_TRIAL]
        worth = self.model_value * skill + self.value * (judged - guilty) - self.harm * guilty - spent
        worth /= rounds
        counts, sums = self._tried(known)
        known[_OPTIONS:] *= self.keep
        lowest, highest = known[_SPAN]
        known[_SPAN] = min(lowest, worth), max(highest, worth)
        counts[int(known[_PLAYED])] += 1.0
        sums[int(known[_PLAYED])] += worth
        known[_TRIAL], known[_AGE], known[_PLAYED] = 0.0, 0.0, self._next(known)

    def _next(self, known: FloatColumn) -> int:
        counts, sums = self._tried(known)
        if not counts.all():
            return int(np.argmin(counts > 0))
        lowest, highest = known[_SPAN]
        width = self.explore * (highest - lowest) * np.sqrt(max(0.0, math.log(counts.sum())) / counts)
        return int(np.argmax(sums / counts + width))

    def _tried(self, known: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        """Views of the discounted counts and sums of the options."""
        counts, sums = known[_OPTIONS:].reshape(2, -1)
        return counts, sums

    def worths(self, memory: FloatColumn) -> FloatColumn:
        """What a round under each option is worth, as far as it knows; NaN for one that was never tried."""
        counts, sums = self._tried(memory)
        return np.asarray(np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0))

    def rate(self, memory: FloatColumn, prospect: Prospect) -> float:
        return min(prospect.rate, self.affordable(memory, prospect))

    def option(self, memory: FloatColumn) -> int | None:
        return int(memory[_PLAYED])
