"""Train everybody whose update has arrived, aggregate, test, and measure what the mechanism asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import DATA_SIZE
from scenarios.engine.clock import NOBODY
from scenarios.engine.event_log import Event
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

if TYPE_CHECKING:
    from torch import Tensor

    from learning.federation import CohortWork


def _work(world: World, rows: IntColumn) -> CohortWork:
    from learning.federation import CohortWork

    flights, population = world.flights, world.population
    owners, peers = flights.owner[rows], flights.peer[rows]
    return CohortWork(
        owner=population.person[owners],
        shard=population.shard[owners],
        samples=flights.samples[rows],
        base_version=flights.base_version[rows],
        upload=flights.upload[rows],
        scale=flights.scale[rows],
        peer=np.where(peers >= 0, population.person[np.maximum(peers, 0)], -1),
    )


def _aggregation_weight(world: World, rows: IntColumn) -> FloatColumn:
    """The server knows only what was claimed: data size times offered share."""
    flights = world.flights
    return np.asarray(flights.claims[DATA_SIZE][rows] * flights.data_share[rows])


def aggregate_buffer(world: World, rows: IntColumn, tick: int) -> None:
    """Asynchronous rounds: train the owners whose updates are in and merge them, discounted by staleness."""
    flights = world.flights
    flights.used[rows] = True
    if world.federation is None:
        return
    work = _work(world, rows)
    uploads = world.federation.uploads(work, world.rounds_closed, world.uploads_norm)
    good = _quarantine(world, rows, world.federation.finite(uploads), tick)
    if not good.any():
        return
    weights = _aggregation_weight(world, rows)[good]
    flights.arrived[rows[~good]] = False
    flights.weight[rows[good]] = weights / max(float(weights.sum()), 1e-300)
    world.tally.staleness.append((world.federation.version - flights.base_version[rows]).astype(np.float64))
    world.uploads_norm = float(np.median(world.federation.norms(uploads, work)[good]))
    _measure(world, rows[good], uploads[good], weights)
    exponent = world.scenario.round.staleness_exponent
    world.federation.aggregate_buffered(uploads[good], _work(world, rows[good]), weights, exponent)
    world.log.add(Event.AGGREGATE, tick, world.rounds_closed, NOBODY, world.federation.version)


def _quarantine(world: World, rows: IntColumn, finite: BoolColumn, tick: int) -> BoolColumn:
    """Updates with NaN or infinite weights never reach the model."""
    bad = rows[~finite]
    world.log.add(Event.QUARANTINE, tick, world.rounds_closed, world.flights.owner[bad], world.flights.upload[bad])
    return finite


def train_and_evaluate(world: World, rows: IntColumn, tick: int) -> Settled:
    """Train everybody whose update has arrived in one call, aggregate, test, and measure what the mechanism asked."""
    flights, federation = world.flights, world.federation
    arrived, previous = flights.arrived[rows].copy(), world.accuracy
    in_time = rows[arrived]
    if world.scenario.round.late == "buffer" and len(rows):
        # Each aggregate had weights of its own; together they are the round's.
        flights.weight[rows] /= max(float(flights.weight[rows].sum()), 1e-300)
    if federation is None:
        weights = _aggregation_weight(world, in_time)
        flights.weight[in_time] = weights / max(weights.sum(), 1e-300)
    elif world.scenario.round.late != "buffer" and len(in_time):
        work = _work(world, in_time)
        uploads = federation.uploads(work, world.rounds_closed, world.uploads_norm)
        good = _quarantine(world, in_time, federation.finite(uploads), tick)
        arrived[np.flatnonzero(arrived)[~good]] = False
        weights = _aggregation_weight(world, in_time[good])
        if good.any() and weights.sum() > 0:
            flights.weight[in_time[good]] = weights / weights.sum()
            world.uploads_norm = float(np.median(federation.norms(uploads, work)[good]))
            _measure(world, in_time[good], uploads[good], weights)
            federation.aggregate(uploads[good], _work(world, in_time[good]), weights)
            world.tally.staleness.append(np.zeros(len(weights)))
            world.log.add(Event.AGGREGATE, tick, world.rounds_closed, NOBODY, federation.version)
    if federation is not None:
        world.evaluation = federation.evaluate()
    none = np.zeros(len(rows))
    return Settled(
        owner=flights.owner[rows].copy(),
        arrived=arrived,
        upload=flights.upload[rows].astype(np.int64),
        violation=flights.violation[rows].copy(),
        lie=flights.lie[rows].copy(),
        weight=flights.weight[rows].copy(),
        spent=flights.spent[rows].copy(),
        previous_accuracy=previous,
        payment=none.copy(),
        audited=np.zeros(len(rows), dtype=np.bool_),
        flagged=np.zeros(len(rows), dtype=np.bool_),
        penalty=none.copy(),
        strategy=world.population.strategy.astype(np.int64),
    )


class _Shapley(Protocol):
    """What a mechanism that measures ``shapley`` says about the effort to spend on it."""

    permutations: int
    tolerance: float


def _measure(world: World, rows: IntColumn, uploads: Tensor, weights: FloatColumn) -> None:
    """Measure what the mechanism asked for, and nothing else, before the uploads are merged."""
    if "shapley" in world.mechanism.measures and world.federation is not None:
        effort = cast(_Shapley, world.mechanism)
        contribution = world.federation.contribution(
            uploads,
            weights,
            permutations=effort.permutations,
            tolerance=effort.tolerance,
            counter=world.federation.version,
        )
        world.flights.shapley[rows] = contribution.values
