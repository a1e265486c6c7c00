"""The range of payoffs that a rule counts with: declared, or what each owner has lived through so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.adaptation.base import Experience
from agents.parameters import check_number
from learning.columns import FloatColumn, IntColumn


@dataclass(frozen=True)
class Span:
    """Worst and best payoff (money per round) of each owner [n], and what of it has to be kept in mind."""

    low: FloatColumn
    high: FloatColumn
    memory: dict[str, NDArray[Any]]

    def scaled(self, payoff: FloatColumn) -> FloatColumn:
        """Payoffs [n] as places in the range, 0 (worst) to 1 (best), cut there; 1/2 while the range is a point."""
        width = self.high - self.low
        place = np.divide(payoff - self.low, width, out=np.full(len(width), 0.5), where=width > 0)
        return np.asarray(np.clip(place, 0.0, 1.0))

    def in_units(self, gap: FloatColumn, rows: IntColumn) -> FloatColumn:
        """Gaps between payoffs of some owners in units of their range (0 stays 0 where the range is a point)."""
        width = (self.high - self.low)[rows]
        whole = np.where(gap > 0, 1.0, 0.0)
        return np.divide(gap, width, out=whole, where=width > 0)


@dataclass(frozen=True, kw_only=True)
class PayoffRange:
    """``worst`` and ``best`` payoff per round, in money; without them the worst and best rounds an owner has had."""

    worst: float | None = None
    best: float | None = None

    def __post_init__(self) -> None:
        if self.worst is None and self.best is None:
            return
        if self.worst is None or self.best is None:
            missing = "worst" if self.worst is None else "best"
            raise ValueError(f"{missing} is missing: declare both worst and best, or neither")
        check_number("worst", self.worst)
        check_number("best", self.best)
        if self.best <= self.worst:
            raise ValueError(f"best is {self.best!r}, expected a number above worst ({self.worst:g})")

    def span(self, seen: Experience) -> Span:
        """The range of each owner, with the round that is just over."""
        if self.worst is not None and self.best is not None:
            count = len(seen)
            return Span(np.full(count, float(self.worst)), np.full(count, float(self.best)), {})
        low = np.fmin(seen.own.lowest_utility, seen.own.utility)
        high = np.fmax(seen.own.highest_utility, seen.own.utility)
        return Span(low, high, {"lowest_utility": low, "highest_utility": high})
