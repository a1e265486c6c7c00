"""Who ever comes by chance, when, and how it will behave at first: functions of the scenario and the seed alone."""

from __future__ import annotations

import numpy as np

from agents.arrivals import Draws, make_arrivals
from agents.population import NEVER
from learning.columns import IntColumn
from learning.streams import Streams
from scenarios.engine.clock import to_ticks
from scenarios.schema import Scenario


def visits(scenario: Scenario, streams: Streams) -> tuple[IntColumn, IntColumn]:
    """Ticks [N] at which persons 0 to N - 1 arrive, and at which they have to leave (``NEVER`` where nothing says so).

    The initial ones, the listed times, the Poisson process, and the scenario's further arrival processes.
    """
    window = to_ticks(scenario.window)
    end = scenario.horizon * window
    ticks = [0] * scenario.population.initial
    ticks += [to_ticks(second) for second in scenario.population.arrival_times]
    if scenario.population.arrival_rate > 0:
        mean_gap, at, number = window / scenario.population.arrival_rate, 0.0, 0
        while at < end:
            at += mean_gap * float(streams.exponential("arrival gap", 0, number))
            number += 1
            ticks.append(round(at))
    further = [_of_process(scenario, streams, place) for place in range(len(scenario.population.arrivals))]
    arrive = np.concatenate([np.array(ticks, dtype=np.int64), *(one[0] for one in further)])
    leave = np.concatenate([np.full(len(ticks), NEVER), *(one[1] for one in further)])
    order = np.argsort(arrive, kind="stable")
    order = order[arrive[order] < end]
    return arrive[order], leave[order]


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
