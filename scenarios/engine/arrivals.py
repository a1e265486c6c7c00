"""Who ever comes by chance, when, and how it will behave at first: functions of the scenario and the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from agents.arrivals import Draws, make_arrivals
from agents.population import NEVER
from learning.columns import IntColumn
from learning.streams import Streams
from scenarios.engine.clock import to_ticks
from scenarios.schema import Scenario

_BLOCK = 256
"""Arrivals that are drawn at once."""

Rates = Sequence[tuple[float, float]]
"""Pairs of a tick and the arrivals per window from then on, in order of time; the first is at tick 0."""


def first_rates(scenario: Scenario) -> list[tuple[float, float]]:
    """The rates of a run whose arrival rate nothing changes."""
    return [(0.0, scenario.population.arrival_rate)]


def visits(scenario: Scenario, streams: Streams, rates: Rates) -> tuple[IntColumn, IntColumn]:
    """Ticks [N] at which persons 0 to N - 1 arrive, and at which they have to leave (``NEVER`` where nothing says so).

    The initial ones, the listed times, the Poisson process of these ``rates``, and the scenario's further processes.
    """
    end = scenario.horizon * to_ticks(scenario.window)
    first = np.zeros(scenario.population.initial, dtype=np.int64)
    listed = np.array([to_ticks(second) for second in scenario.population.arrival_times], dtype=np.int64)
    ticks = np.concatenate([first, listed, *poisson_ticks(rates, to_ticks(scenario.window), end, streams)])
    further = [_of_process(scenario, streams, place) for place in range(len(scenario.population.arrivals))]
    arrive = np.concatenate([ticks, *(one[0] for one in further)])
    leave = np.concatenate([np.full(len(ticks), NEVER), *(one[1] for one in further)])
    order = np.argsort(arrive, kind="stable")
    order = order[arrive[order] < end]
    return arrive[order], leave[order]


def poisson_ticks(rates: Rates, window: int, end: int, streams: Streams) -> list[IntColumn]:
    """Ticks of a Poisson process with a rate that changes in steps, in columns one after another.

    In units of the mean gap the gaps are the same whatever the rates are. So a rate that changes later moves nobody
    who has come before, and what is left of the gap under way stretches or shrinks with it.
    """
    ticks: list[IntColumn] = []
    number, left = 0, float(streams.exponential("arrival gap", 0, 0)) if any(rate > 0 for _, rate in rates) else 0.0
    for (begin, rate), (stop, _) in pairwise([*rates, (float(end), 0.0)]):
        if rate <= 0 or stop <= begin:
            continue
        mean_gap = window / rate
        at = begin + mean_gap * left
        while at < stop:
            gaps = streams.exponential("arrival gap", 0, np.arange(number + 1, number + 1 + _BLOCK))
            moments = np.cumsum(np.append(at, mean_gap * gaps))
            within = min(int(np.searchsorted(moments, stop)), _BLOCK)  # the one after these is where it goes on
            ticks.append(np.rint(moments[:within]).astype(np.int64))
            number, at = number + within, float(moments[within])
        left = (at - stop) / mean_gap
    return ticks


def _of_process(scenario: Scenario, streams: Streams, place: int) -> tuple[IntColumn, IntColumn]:
    """Ticks at which one of the scenario's processes has persons arrive, and at which it has them leave."""
    chosen, window = scenario.population.arrivals[place], to_ticks(scenario.window)
    process = make_arrivals(chosen.name, chosen.params)
    found = process.visits(scenario.horizon, scenario.window, Draws(streams, place + 1))
    leave = np.where(np.isnan(found.leave), NEVER, np.rint(np.nan_to_num(found.leave) * window))
    return np.rint(found.arrive * window).astype(np.int64), leave.astype(np.int64)


def first_strategies(scenario: Scenario, streams: Streams, persons: IntColumn) -> IntColumn:
    """The strategies [K] with which these persons arrive, by assignment or by share."""
    spec = scenario.population
    edges = np.cumsum([share.share for share in spec.strategies])
    draw = streams.uniform("strategy", persons) * edges[-1]
    chosen: IntColumn = np.minimum(np.searchsorted(edges, draw, side="right"), len(edges) - 1)
    assigned = np.array(spec.assignment, dtype=np.int64)
    listed = persons < len(assigned)
    chosen[listed] = assigned[persons[listed]]
    return chosen
