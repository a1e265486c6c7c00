"""Participation: joining by expected utility, believing, and leaving by realised utility.

Utilities and outside options are money per round. A rule holds parameters only: counts and beliefs are population
columns, uniform draws come from the caller's streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, Bounds, check_number, check_whole, make
from agents.participation.causes import ExitCause
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry


@dataclass(frozen=True)
class Stay:
    """What owners in the market know of their stay after a round; aligned columns.

    ``believed`` utility and ``outside_option`` (money per round); ``heard``: mean belief of those that share with it,
    NaN where nobody does or the rule does not ask; ``regret``: what the outside option would have earned more, summed
    over the stay; ``invested``: what it has put into the stay (both money); ``rounds`` after which it looked;
    ``disappointed``: its count of disappointing rounds, and ``limit``: the count at which its patience is over.
    """

    believed: FloatColumn
    outside_option: FloatColumn
    heard: FloatColumn
    regret: FloatColumn
    invested: FloatColumn
    rounds: IntColumn
    disappointed: FloatColumn
    limit: FloatColumn

    @property
    def impatient(self) -> BoolColumn:
        """Whose patience is over."""
        return np.asarray(self.disappointed >= self.limit)


@dataclass(frozen=True, kw_only=True)
class Participation:
    """What every rule shares.

    ``patience``: disappointing rounds before leaving (at least 1), counted as ``population.patience`` says;
    ``memory``: weight in (0, 1] of the newest utility in the belief; ``return_delay``: mean seconds before one that
    left or declined reconsiders (0: never); ``whitewash``: probability that an expelled person comes back under a new
    identity after that delay.
    """

    name: ClassVar[str]
    listens: ClassVar[bool] = False
    patience: int = 3
    memory: float = 0.5
    return_delay: float = 0.0
    whitewash: float = 0.0

    def __post_init__(self) -> None:
        check_whole("patience", self.patience, Bounds(at_least=1))
        check_number("memory", self.memory, Bounds(above=0, at_most=1))
        check_number("return_delay", self.return_delay, NOT_NEGATIVE)
        check_number("whitewash", self.whitewash, PROBABILITY)

    # -- joining --

    def hears(self, own: FloatColumn, heard: FloatColumn) -> FloatColumn:
        """What it makes of its own expectation or belief and of what others tell, NaN where nobody does."""
        return own

    def joins(self, expected_utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        """Who enters, given expected utility and a uniform draw each: who expects more than outside."""
        return np.asarray(expected_utility > outside_option)

    # -- staying --

    def believe(self, old: FloatColumn, realised: FloatColumn, observations: IntColumn) -> FloatColumn:
        """Exponential smoothing of realised utility; the first observation replaces what was believed before.

        ``observations`` counts the one made now: it is 1 at first.
        """
        smoothed = (1.0 - self.memory) * old + self.memory * realised
        return np.where(observations <= 1, realised, smoothed)

    def regrets(self, old: FloatColumn, realised: FloatColumn, outside_option: FloatColumn) -> FloatColumn:
        """Cumulated regret: the outside option less the realised utility, where that is positive, summed up."""
        return np.asarray(old + np.maximum(0.0, outside_option - realised))

    def invests(self, old: FloatColumn, spent: FloatColumn) -> FloatColumn:
        """What counts of the money put into the stay after another round's ``spent``."""
        return np.asarray(old + spent)

    def unhappy(self, stay: Stay) -> BoolColumn:
        """Whose round counts as disappointing; ``disappointed`` and ``limit`` of the stay are those before it."""
        return np.asarray(self.hears(stay.believed, stay.heard) < stay.outside_option)

    def exits(self, stay: Stay, draw: FloatColumn) -> BoolColumn:
        """Who leaves, by a uniform draw each: everybody whose patience is over."""
        return stay.impatient

    def causes(self, stay: Stay) -> IntColumn:
        """Why each would leave now (``ExitCause``)."""
        return np.full(len(stay.believed), ExitCause.DISAPPOINTED, dtype=np.int64)


PARTICIPATION: Registry[type[Participation]] = Registry("participation rule")


def make_participation(name: str, params: Mapping[str, Any]) -> Participation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(PARTICIPATION, name, params)
