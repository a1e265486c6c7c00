"""The faults of a run, and the times at which they let the model owner and the computing centers work.

Everything about faults is a function of the world, the scenario's list of them and counter-based draws; what lasts (a
device that is broken, an upload that is lost or received) is a column of the population or of the flights.

=========================  =========================================================================================
module                     what it does
=========================  =========================================================================================
fault_list                 this one: who is up, and when
messaging                  messages on their way: loss, delay, copies, partitions, clocks that are off
losses                     devices that crash, and what becomes of an upload that never comes
outages                    faults that begin and end, and those that an intervention changes
=========================  =========================================================================================

A market without faults passes through the same functions, which then draw nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.clock import FAR, to_ticks
from scenarios.engine.world import World
from scenarios.faults.base import Fault
from scenarios.faults.outages import CenterOutage, ServerRestart
from scenarios.registries import faults as registered
from scenarios.schema import Scenario

MOST_HOPS = 10_000
"""Windows of several faults without a gap between them after which one is taken to never come."""


@dataclass(frozen=True)
class Faults:
    """The faults of a run in the order of its scenario; a fault's place there is part of what its draws are keyed by.

    ``end`` is the tick at which the run ends.
    """

    listed: tuple[Fault, ...]
    end: int

    @classmethod
    def of(cls, scenario: Scenario) -> Faults | None:
        """Those of a scenario; None if there are none."""
        return cls.listed_in(scenario) if scenario.faults else None

    @classmethod
    def listed_in(cls, scenario: Scenario) -> Faults:
        """Those of a scenario, perhaps none."""
        built = tuple(registered()[one.name](**one.params) for one in scenario.faults)
        return cls(built, scenario.horizon * to_ticks(scenario.window))

    def outages(self, center: int) -> list[CenterOutage]:
        """Those of one computing center."""
        found = [one for one in self.listed if isinstance(one, CenterOutage)]
        return [one for one in found if one.center in (None, center)]

    def restarts(self) -> list[ServerRestart]:
        """Those of the model owner."""
        return [one for one in self.listed if isinstance(one, ServerRestart)]

    def server_up(self, tick: int) -> int:
        """The first tick from this one on at which the model owner is there."""
        return int(over(self.restarts(), np.array([tick]))[0])


def over(causes: list[CenterOutage] | list[ServerRestart], ticks: IntColumn) -> IntColumn:
    """The first ticks, not before these, at which none of the causes acts; ``FAR`` where there is always one."""
    for _ in range(MOST_HOPS):
        later = ticks
        for cause in causes:
            later = cause.windows.end(later)
        if (later == ticks).all():
            return later
        ticks = later
    return np.where(later == ticks, later, FAR)


def when_up(world: World, tick: int) -> int:
    """The first tick from this one on at which the model owner can act."""
    return tick if world.faults is None else world.faults.server_up(tick)


def reachable(world: World, owners: IntColumn, tick: int) -> IntColumn:
    """Those of the owners whose device is not under repair."""
    return owners if world.faults is None else owners[world.population.offline_until[owners] <= tick]


def center_up(world: World, center: int, tick: int) -> int:
    """The first tick from this one on at which a center works."""
    if world.faults is None:
        return tick
    return int(over(world.faults.outages(center), np.array([tick]))[0])


def training_ends(world: World, center: int, tick: int, work: int) -> tuple[int, bool]:
    """When a training of ``work`` ticks that a center begins is done, and whether it is lost there and then instead."""
    return (tick + work, False) if world.faults is None else done_at(world.faults.outages(center), tick, work)


def done_at(outages: list[CenterOutage], tick: int, work: int) -> tuple[int, bool]:
    """When work that begins at ``tick`` is done, or, with True, lost.

    An outage in between pauses it, or it is lost when that begins.
    """
    while outages and tick < FAR:
        begin, first = min((one.windows.next_start(tick), place) for place, one in enumerate(outages))
        if tick + work <= begin:
            break
        if outages[first].work == "lost":
            return begin, True
        work -= begin - tick
        tick = int(over(outages, np.array([begin]))[0])
        if len(outages) == 1 and (every := outages[0].windows.every):  # whole gaps between its windows at once
            gap = every - outages[0].windows.length
            work, tick = (work - 1) % gap + 1, tick + (work - 1) // gap * every
    return min(tick + work, FAR), False
