"""Flights as the trainer sees them, and uploads that are no numbers or out of all bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from scenarios.engine.event_log import Event
from scenarios.engine.world import World

if TYPE_CHECKING:
    from learning.cohort_work import CohortWork


def cohort_work(world: World, rows: IntColumn) -> CohortWork:
    """What the owners of these flights do, keyed by their luck."""
    from learning.cohort_work import CohortWork

    flights, population = world.flights, world.population
    owners, peers = flights.owner[rows], flights.peer[rows]
    return CohortWork(
        owner=population.luck[owners],
        shard=population.shard[owners],
        samples=flights.samples[rows],
        base_version=flights.base_version[rows],
        upload=flights.upload[rows],
        scale=flights.scale[rows],
        peer=np.where(peers >= 0, population.luck[np.maximum(peers, 0)], -1),
        noise_std=None if world.privacy is None else world.privacy.terms.noise_std(flights.epsilon_lost[rows]),
        synthetic=flights.synthetic[rows] if flights.synthetic[rows].any() else None,
    )


def quarantine(world: World, rows: IntColumn, tick: int) -> None:
    """Uploads with NaN or infinite weights count as not arrived, and the log says so."""
    flights = world.flights
    flights.arrived[rows] = False
    world.tally.quarantined += len(rows)
    world.log.add(Event.QUARANTINE, tick, world.rounds_closed, flights.owner[rows], flights.upload[rows])


def sound(world: World, rows: IntColumn, finite: BoolColumn, norms: FloatColumn, tick: int) -> BoolColumn:
    """Which uploads [K] of these flights may be used; the others are put aside, and the log says why.

    Out are those that are not ``finite``, and those whose change has a norm above ``round.divergence`` times the
    typical one: the median of the last cohort's sound uploads, or of this one's finite ones while there is none.
    """
    quarantine(world, rows[~finite], tick)
    limit = world.scenario.round.divergence
    if limit is None or not finite.any():
        return finite
    typical = world.uploads_norm if world.uploads_norm > 0 else float(np.median(norms[finite]))
    wild = finite & (norms > limit * typical)
    if typical > 0:
        flights, out = world.flights, rows[wild]
        flights.arrived[out] = False
        world.tally.quarantined += len(out)
        world.log.add(Event.DIVERGED, tick, world.rounds_closed, flights.owner[out], norms[wild] / typical)
        return np.asarray(finite & ~wild)
    return finite
