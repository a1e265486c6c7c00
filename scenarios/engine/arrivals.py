"""Who ever comes by chance, when, and how it will behave at first: functions of the scenario and the seed alone."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.streams import Streams
from scenarios.engine.clock import to_ticks
from scenarios.schema import Scenario


def arrival_ticks(scenario: Scenario, streams: Streams) -> IntColumn:
    """Ticks [N] at which persons 0 to N - 1 arrive: the initial ones, the trace, the Poisson process."""
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
    return np.sort(np.array([tick for tick in ticks if tick < end], dtype=np.int64))


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
