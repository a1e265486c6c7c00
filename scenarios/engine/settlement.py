"""Settle a round: payments through the ledger, edges of the graph, deliveries of the new model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import Allocation, Edges, Outcome, Settlement
from market.money import from_micro, to_micro
from market.parties import MODEL_OWNER, WORLD
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

if TYPE_CHECKING:
    pass


def settle(world: World, rows: IntColumn, settled: Settled, tick: int) -> None:
    """Turn uploads and measurements into transfers, edges and deliveries."""
    current, flights, population = world.round, world.flights, world.population
    assert current is not None
    settled.revenue = world.model_owner.revenue(world.accuracy, world.board.chance)
    world.post(tick, "revenue", WORLD, MODEL_OWNER, to_micro(settled.revenue))
    allocation = Allocation(
        settled.owner,
        np.ones(len(rows), dtype=np.bool_),
        flights.data_share[rows],
        flights.promised[rows],
        {name: column[rows] for name, column in flights.claims.items()},
    )
    measured = {name: _measured(getattr(flights, name)[rows], settled.arrived) for name in world.mechanism.measures}
    outcome = Outcome(settled.arrived, settled.weight, world.accuracy, settled.previous_accuracy, measured)
    result = world.mechanism.settle(current.terms, allocation, outcome)
    transfers = result.transfers
    amount = to_micro(transfers.amount)
    world.post(tick, "payment", transfers.payer, transfers.payee, amount)
    settled.claimed, settled.paid = result.claimed, float(from_micro(amount.sum()))
    net = np.zeros(len(population), dtype=np.int64)
    for party, sign in ((transfers.payee, 1), (transfers.payer, -1)):
        np.add.at(net, party[party >= 0], sign * amount[party >= 0])
    settled.payment = np.asarray(from_micro(net[settled.owner]), dtype=np.float64)
    _deliver(world, settled, result)


def _measured(column: FloatColumn, arrived: BoolColumn) -> FloatColumn:
    """What was measured, 0 where nothing arrived and where a value is no number (of a loss that overflowed, say)."""
    return np.where(arrived & np.isfinite(column), column, 0.0)


def _deliver(world: World, settled: Settled, result: Settlement) -> None:
    """Hand over the new model to whom it is due, and note who used whose model. On probation nobody gets any."""
    population, flights = world.population, world.flights
    entitled = result.delivered & ~population.restricted[settled.owner]
    receivers = settled.owner[entitled]
    if world.federation is not None and world.evaluation is not None:
        population.model_version[receivers] = world.federation.version
        test, shards = world.evaluation, population.shard[receivers]
        population.held_accuracy[receivers] = world.federation.owner_mean(test.class_accuracy, shards)
        population.held_loss[receivers] = world.federation.owner_mean(test.class_loss, shards)
    edges = result.edges
    kept = (edges.source != MODEL_OWNER) | np.isin(edges.user, receivers)
    copied = np.flatnonzero((flights.peer >= 0) & np.isin(flights.owner, settled.owner[settled.arrived]))
    copies = len(copied)
    used = Edges(
        np.concatenate([edges.user[kept], flights.owner[copied]]),
        np.concatenate([edges.source[kept], flights.peer[copied]]),
        np.concatenate([edges.weight[kept], np.ones(copies)]),
        np.concatenate([edges.payment[kept], np.zeros(copies)]),
    )
    world.graph.use(used, world.rounds_closed)
    if world.rounds_closed % world.scenario.recording.edges_every == 0:
        world.write(
            "edges",
            {
                "round": world.rounds_closed,
                "user": used.user,
                "source": used.source,
                "weight": used.weight,
                "payment": used.payment,
            },
        )
