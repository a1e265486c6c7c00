"""Arrival processes: when persons turn up at the door of a market.

Times are in windows since the start, rates are persons per window. A process holds parameters only; its draws are
functions of (seed, place of the process in the scenario, number of the draw), so the same process always gives the
same arrivals, whatever else happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from agents.parameters import make
from learning.columns import FloatColumn
from learning.registry import Registry
from learning.streams import Streams

_BLOCK = 1024
"""Draws that are made at once."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of one process; ``key`` is its place in the scenario, counted from 1."""

    streams: Streams
    key: int

    def gaps(self, first: int, count: int) -> FloatColumn:
        """Exponential numbers of mean 1, the ``first``-th and so on."""
        return self.streams.exponential("arrival gap", self.key, np.arange(first, first + count))

    def lots(self, first: int, count: int) -> FloatColumn:
        """Uniform numbers in (0, 1), the ``first``-th and so on."""
        return self.streams.uniform("arrival lot", self.key, np.arange(first, first + count))


@dataclass(frozen=True)
class Visits:
    """Arrivals in ascending order, and when each leaves again if the process knows (NaN: it does not), in windows."""

    arrive: FloatColumn
    leave: FloatColumn = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if len(self.leave) != len(self.arrive):
            object.__setattr__(self, "leave", np.full(len(self.arrive), np.nan))


class Arrivals:
    """A process of arrivals."""

    name: ClassVar[str]

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        """Arrivals in [0, ``end``) windows of ``window`` seconds each."""
        raise NotImplementedError

    def drawn(self, end: float) -> float:
        """How many moments ``visits`` draws for ``end`` windows, by expectation; at least as many as persons come."""
        raise NotImplementedError


ARRIVALS: Registry[type[Arrivals]] = Registry("arrival process")


def poisson_times(rate: float, end: float, draws: Draws) -> FloatColumn:
    """Arrivals of a Poisson process of a constant rate in [0, end): sums of exponential gaps."""
    if rate <= 0.0:
        return np.zeros(0)
    times, last, number = [np.zeros(0)], 0.0, 0
    while last < end:
        block = last + np.cumsum(draws.gaps(number, _BLOCK)) / rate
        times.append(block)
        last, number = float(block[-1]), number + _BLOCK
    together = np.concatenate(times)
    return together[together < end]


def make_arrivals(name: str, params: Mapping[str, Any]) -> Arrivals:
    """The registered process ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(ARRIVALS, name, params)
