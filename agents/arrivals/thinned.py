"""Independent arrivals at a rate that changes with time, by thinning.

Lewis and Shedler 1979, Simulation of nonhomogeneous Poisson processes by thinning, Naval Research Logistics 26(3):
arrivals at the highest rate, each kept with probability rate(t) / highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits, poisson_times
from agents.arrivals.poisson import RATE
from agents.parameters import POSITIVE, PROBABILITY, check_number
from learning.columns import FloatColumn


class Thinned(Arrivals):
    """A non-homogeneous Poisson process."""

    def rate_at(self, times: FloatColumn) -> FloatColumn:
        """Persons per window at these times (windows)."""
        raise NotImplementedError

    @property
    def highest(self) -> float:
        """A bound on the rate that it never exceeds."""
        raise NotImplementedError

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        times = poisson_times(self.highest, end, draws)
        kept = draws.lots(0, len(times)) * self.highest < self.rate_at(times)
        return Visits(times[kept])

    def drawn(self, end: float) -> float:
        return self.highest * end


@ARRIVALS.register("varying_rate")
@dataclass(frozen=True, kw_only=True)
class VaryingRate(Thinned):
    """Arrivals whose rate goes in straight lines through (``times``, ``rates``); constant before and after them."""

    name: ClassVar[str] = "varying_rate"
    times: Sequence[float]
    rates: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.times) == 0:
            raise ValueError("times is empty, expected at least one")
        if len(self.times) != len(self.rates):
            raise ValueError(
                f"rates has {len(self.rates)} entries, expected one for each of the {len(self.times)} times"
            )
        for time in self.times:
            check_number("times", time)
        for rate in self.rates:
            check_number("rates", rate, RATE)
        if any(b <= a for a, b in zip(self.times, list(self.times)[1:], strict=False)):
            raise ValueError(f"times is {list(self.times)}, expected ascending numbers")

    def rate_at(self, times: FloatColumn) -> FloatColumn:
        return np.interp(times, np.asarray(self.times, dtype=np.float64), np.asarray(self.rates, dtype=np.float64))

    @property
    def highest(self) -> float:
        return max(self.rates)


@ARRIVALS.register("seasonal")
@dataclass(frozen=True, kw_only=True)
class Seasonal(Thinned):
    """Arrivals at ``rate`` * (1 + ``swing`` * sin(2 pi (t / ``period`` + ``phase``))), t in windows.

    ``swing`` is in [0, 1].
    """

    name: ClassVar[str] = "seasonal"
    rate: float
    period: float
    swing: float = 0.5
    phase: float = 0.0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, RATE)
        check_number("period", self.period, POSITIVE)
        check_number("swing", self.swing, PROBABILITY)
        check_number("phase", self.phase)

    def rate_at(self, times: FloatColumn) -> FloatColumn:
        return np.asarray(self.rate * (1.0 + self.swing * np.sin(2.0 * np.pi * (times / self.period + self.phase))))

    @property
    def highest(self) -> float:
        return self.rate * (1.0 + self.swing)
