"""Arrivals in waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits
from agents.parameters import NOT_NEGATIVE, Bounds, check_number, check_whole


@ARRIVALS.register("cohorts")
@dataclass(frozen=True, kw_only=True)
class Cohorts(Arrivals):
    """Waves of ``sizes`` persons from ``times`` on, each person within ``spread`` windows of its wave's beginning."""

    name: ClassVar[str] = "cohorts"
    times: Sequence[float]
    sizes: Sequence[int]
    spread: float = 0.0

    def __post_init__(self) -> None:
        if len(self.times) != len(self.sizes):
            raise ValueError(
                f"sizes has {len(self.sizes)} entries, expected one for each of the {len(self.times)} times"
            )
        for time in self.times:
            check_number("times", time, NOT_NEGATIVE)
        for size in self.sizes:
            check_whole("sizes", size, Bounds(at_least=0, at_most=10**7))
        check_number("spread", self.spread, NOT_NEGATIVE)

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        begin = np.repeat(np.asarray(self.times, dtype=np.float64), np.asarray(self.sizes, dtype=np.int64))
        times = np.sort(begin + self.spread * draws.lots(0, len(begin)))
        return Visits(times[times < end])

    def drawn(self, end: float) -> float:
        return float(sum(self.sizes))
