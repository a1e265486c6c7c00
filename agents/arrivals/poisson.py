"""Arrivals at a constant rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits, poisson_times
from agents.parameters import Bounds, check_number

RATE = Bounds(at_least=0, at_most=1e6)


@ARRIVALS.register("poisson")
@dataclass(frozen=True, kw_only=True)
class Poisson(Arrivals):
    """Independent arrivals, ``rate`` persons per window."""

    name: ClassVar[str] = "poisson"
    rate: float

    def __post_init__(self) -> None:
        check_number("rate", self.rate, RATE)

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        return Visits(poisson_times(self.rate, end, draws))

    def drawn(self, end: float) -> float:
        return self.rate * end
