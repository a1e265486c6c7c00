"""Settle a round: payments through the ledger, edges of the graph, deliveries of the new model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.uploads import Upload
from market.mechanism import (
    OWN_PERFORMANCE,
    PAIRWISE,
    Allocation,
    Edges,
    Generating,
    Outcome,
    Scored,
    Settlement,
    Transfers,
)
from market.money import LARGEST_AMOUNT, from_micro, to_micro
from market.parties import MODEL_OWNER, WORLD, center_party
from scenarios.engine.bookkeeping import write_network
from scenarios.engine.confirming import book_sharing, confirm
from scenarios.engine.decisions import true_types
from scenarios.engine.leaving import unlock
from scenarios.engine.personal import exchange_models, pairwise
from scenarios.engine.rivals import book_competition, intensities, own_performance, types_behind
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def settle(world: World, rows: IntColumn, settled: Settled, tick: int) -> None:
    """Turn uploads and measurements into transfers, edges and deliveries."""
    current, flights, population = world.round, world.flights, world.population
    assert current is not None
    if world.personal is None:  # otherwise a neutral server has no model to earn with
        settled.revenue = world.model_owner.revenue(world.accuracy, world.board.chance)
    world.post(tick, "revenue", WORLD, MODEL_OWNER, to_micro(settled.revenue))
    allocation = Allocation(
        settled.owner,
        np.ones(len(rows), dtype=np.bool_),
        flights.data_share[rows],
        flights.promised[rows],
        {name: column[rows] for name, column in flights.claims.items()},
        flights.center[rows],
        epsilon=flights.epsilon[rows] if world.privacy is not None else None,
        synthetic_volume=flights.told_volume[rows],
    )
    unlock(world, rows, tick)
    measured = {name: _measured(world, name, rows, settled) for name in world.mechanism.measures}
    outcome = Outcome(
        *(_trading(world, settled), settled.weight, world.accuracy, settled.previous_accuracy, measured),
        profitability=population.profitability[settled.owner],
    )
    result = world.mechanism.settle(current.terms, allocation, outcome)
    result = confirm(world, settled, allocation, result)
    _put_on_record(world, settled, result)
    transfers = result.transfers
    amount = to_micro(transfers.amount)
    world.post(tick, "payment", transfers.payer, transfers.payee, amount)
    settled.claimed, settled.paid = result.claimed, float(from_micro(amount.sum()))
    net = np.zeros(len(population), dtype=np.int64)
    _count(net, transfers, amount)
    for kind, more in result.further.items():
        amount = _affordable(world, more)
        world.post(tick, kind, more.payer, more.payee, amount)
        _count(net, more, amount)
        from_world = (more.payer == WORLD) & (more.payee >= 0)
        settled.paid_by_world += float(from_micro(amount[from_world].sum()))
        settled.center_income += _center_income(more, amount)
    settled.payment = np.asarray(from_micro(net[settled.owner]), dtype=np.float64)
    book_sharing(world, settled, allocation, result)
    book_competition(world, settled)
    _score(world, settled, allocation, outcome, result)
    _deliver(world, settled, result)


def _trading(world: World, settled: Settled) -> BoolColumn:
    """Whose upload counts: all that have arrived, but on probation personal models are neither bought nor sold."""
    if world.personal is None:
        return settled.arrived
    return np.asarray(settled.arrived & ~world.population.restricted[settled.owner])


def _count(net: IntColumn, transfers: Transfers, amount: IntColumn) -> None:
    """Add what owners get, and take off what they pay, micro-units."""
    for party, sign in ((transfers.payee, 1), (transfers.payer, -1)):
        np.add.at(net, party[party >= 0], sign * amount[party >= 0])


def _center_income(transfers: Transfers, amount: IntColumn) -> float:
    """What the computing centers get less what they pay, money."""
    least = center_party(0)
    return float(from_micro(amount[transfers.payee <= least].sum() - amount[transfers.payer <= least].sum()))


def _affordable(world: World, transfers: Transfers) -> IntColumn:
    """The amounts in micro-units, cut to what each payer has; it makes its payments in their order.

    Nothing is cut where everybody can pay in full with what the others pay it.
    """
    amount = to_micro(np.minimum(transfers.amount, LARGEST_AMOUNT))
    if _covered(world, transfers, amount):
        return amount
    left: dict[int, int] = {}
    for row, payer in enumerate(transfers.payer.tolist()):
        if payer == WORLD:
            continue
        has = left.get(payer, world.ledger.balance(payer))
        amount[row] = min(int(amount[row]), has)
        left[payer] = has - int(amount[row])
    return amount


def _covered(world: World, transfers: Transfers, amount: IntColumn) -> bool:
    """Whether no payer ends below zero if all these amounts move at once."""
    if amount.sum(dtype=np.float64) > np.iinfo(np.int64).max / 4:  # sums would no longer be exact
        return False
    payers, row = np.unique(transfers.payer, return_inverse=True)
    left = np.array([world.ledger.balance(payer) for payer in payers.tolist()], dtype=np.int64)
    np.subtract.at(left, row, amount)
    earning = np.isin(transfers.payee, payers)
    np.add.at(left, np.searchsorted(payers, transfers.payee[earning]), amount[earning])
    return bool(((left >= 0) | (payers == WORLD)).all())


def _put_on_record(world: World, settled: Settled, result: Settlement) -> None:
    """What the mechanism wants to be told, about these owners and at all, when it next announces."""
    world.remembered.update(result.remembered)
    for name, column in result.records.items():
        known = world.records.get(name, np.zeros(0))
        grown = np.full(len(world.population), np.nan)
        grown[: len(known)] = known
        told = ~np.isnan(column)
        grown[settled.owner[told]] = column[told]
        world.records[name] = grown


def _score(world: World, settled: Settled, allocation: Allocation, outcome: Outcome, result: Settlement) -> None:
    """Utilities as the mechanism's source defines them, on true types."""
    settled.paper_utility = np.full(len(settled.owner), np.nan)
    if isinstance(world.mechanism, Scored) and world.round is not None:
        types = true_types(world.population, settled.owner, world.labels)
        if isinstance(world.mechanism, Generating):
            types = types_behind(world, settled, np.arange(len(settled.owner)))
        types = replace(types, competition=intensities(world, settled.owner))
        lost = None if world.privacy is None else settled.epsilon_lost
        allocation = replace(allocation, epsilon=lost, synthetic_volume=settled.synthetic.astype(np.float64))
        trained = settled.upload == Upload.TRAINED
        scored = world.mechanism.paper_utility(world.round.terms, allocation, outcome, result, types, trained)
        settled.paper_utility = scored.owners
        settled.paper_model_owner, settled.paper_centers = scored.model_owner, scored.centers


def _measured(world: World, name: str, rows: IntColumn, settled: Settled) -> FloatColumn:
    """What was measured, 0 where nothing arrived and where a value is no number (of a loss that overflowed, say)."""
    if name in PAIRWISE:
        return pairwise(world, name, settled.owner)
    if name == OWN_PERFORMANCE:
        settled.own_performance = np.where(settled.arrived, own_performance(world, settled), 0.0)
        return settled.own_performance
    column, arrived = getattr(world.flights, name)[rows], settled.arrived
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
    if world.personal is not None:
        exchange_models(world, settled, result)
    edges = result.edges
    kept = (edges.source != MODEL_OWNER) | np.isin(edges.user, receivers)
    copied = np.flatnonzero((flights.peer >= 0) & np.isin(flights.owner, settled.owner[settled.arrived]))
    if len(copied):
        bought = set(zip(edges.user[kept].tolist(), edges.source[kept].tolist(), strict=True))
        pairs = zip(flights.owner[copied].tolist(), flights.peer[copied].tolist(), strict=True)
        copied = copied[np.array([pair not in bought for pair in pairs], dtype=np.bool_)]
    copies = len(copied)
    apart = np.full(len(edges.user), np.nan) if edges.dissimilarity is None else edges.dissimilarity
    used = Edges(
        np.concatenate([edges.user[kept], flights.owner[copied]]),
        np.concatenate([edges.source[kept], flights.peer[copied]]),
        np.concatenate([edges.weight[kept], np.ones(copies)]),
        np.concatenate([edges.payment[kept], np.zeros(copies)]),
        np.concatenate([apart[kept], np.full(copies, np.nan)]),
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
                "dissimilarity": used.dissimilarity,
            },
        )
    if world.personal is not None and world.rounds_closed % world.scenario.recording.network_every == 0:
        write_network(world, used)
