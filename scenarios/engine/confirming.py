"""Pay or quit: every owner sees its bill before it gets a model, and may leave instead."""

from __future__ import annotations

import dataclasses

import numpy as np

from agents.population import Status
from learning.columns import FloatColumn, IntColumn
from learning.uploads import Upload
from market.mechanism import DATA_SIZE, Allocation, Edges, ModelMarket, Settlement, Sharing
from market.model_sharing import net_payments
from market.money import to_micro
from market.settling import without
from scenarios.engine.decisions import true_types
from scenarios.engine.identities import share
from scenarios.engine.leaving import ExitKind, leave
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def confirm(world: World, settled: Settled, allocation: Allocation, result: Settlement) -> Settlement:
    """The settlement that is left when everybody has confirmed; notes who goes.

    An owner weighs what it gains by the data that the sellers claim to hold, at its own true type, against its bill
    and what sharing costs it. Nothing of a refused settlement is booked or delivered: the others lose what the owner
    would have bought or sold, and their own bills stay as they are. Who wants to pay and cannot is bankrupt.
    """
    market = world.mechanism
    if not isinstance(market, ModelMarket):
        return result
    population, owners = world.population, settled.owner
    worth = _worth(world, market, allocation, result.edges, allocation.claims[DATA_SIZE])
    utility = worth.gain - worth.cost - net_payments(allocation, result)
    draw = world.uniform("confirmation", owners, world.rounds_closed)
    asked = settled.arrived & result.delivered
    outside = share(world, owners) * population.outside_option[owners]
    settled.quitting = asked & world.confirmation.quits(utility, outside, draw)
    result = without(result, allocation, owners[settled.quitting])
    while len(broke := _cannot_pay(world, allocation, result)):
        settled.bankrupt |= np.isin(owners, broke)
        result = without(result, allocation, broke)
    return result


def _cannot_pay(world: World, allocation: Allocation, result: Settlement) -> IntColumn:
    """Owners that would be short of money after some kind of transfers, with what they earn by these and those before.

    Counted in micro-units, as the ledger does: a bill that has been confirmed is then paid to the last of them.
    """
    owed = np.zeros(len(world.population), dtype=np.int64)
    most = owed.copy()
    for transfers in result.further.values():
        amount = to_micro(transfers.amount)
        np.add.at(owed, transfers.payer, amount)
        np.subtract.at(owed, transfers.payee, amount)
        most = np.maximum(most, owed)
    return allocation.owner[(most > world.ledger.wallet)[allocation.owner]]


def book_sharing(world: World, settled: Settled, allocation: Allocation, result: Settlement) -> None:
    """What the round's edges are really worth: models gain by the samples that were honestly trained on for them."""
    market, edges = world.mechanism, result.edges
    if isinstance(market, ModelMarket):
        settled.net_payment = net_payments(allocation, result)
        settled.purchases, settled.sales = (_counted(ends, settled.owner) for ends in (edges.user, edges.source))
        worth = _worth(world, market, allocation, result.edges, _behind(settled))
        settled.sharing_gain, settled.sharing_loss = worth.gain, worth.cost


def _worth(world: World, market: ModelMarket, allocation: Allocation, edges: Edges, behind: FloatColumn) -> Sharing:
    """What these edges are worth, at true types, with so many samples ``behind`` the models.

    A person with several identities has all of their data, and a model only once that several of them use. Of its gain
    each has a part by the samples that it brought; it loses nothing to itself.
    """
    owners, population = allocation.owner, world.population
    types = true_types(population, owners)
    if not world.several:
        return market.sharing(allocation, edges, types, behind)
    _, first, of = np.unique(population.person[owners], return_index=True, return_inverse=True)
    place = {owner: row for row, owner in enumerate(owners.tolist())}
    user, source = (np.array([place[one] for one in ends.tolist()], int) for ends in (edges.user, edges.source))
    theirs = of[user] != of[source]
    brought = np.bincount(user[theirs], weights=behind[source[theirs]], minlength=len(owners))
    _, once = np.unique(np.stack([of[user], source]), axis=1, return_index=True)
    kept = theirs & np.isin(np.arange(len(user)), once)
    edges = dataclasses.replace(edges.take(kept), user=owners[first[of[user[kept]]]])
    whole = world.shard_sizes[population.person[owners] % world.sub_shards.dealt]
    held = np.where(population.identities[owners] > 1, whole, types.data_size)
    worth = market.sharing(allocation, edges, dataclasses.replace(types, data_size=held), behind)
    total = np.bincount(of, weights=brought)[of]
    part = np.divide(brought, total, out=np.zeros(len(owners)), where=total > 0)
    return Sharing(worth.gain[first[of]] * part, worth.cost)


def _counted(ends: IntColumn, owners: IntColumn) -> IntColumn:
    """How often each of the owners stands at this end of an edge."""
    return np.bincount(ends, minlength=int(owners.max(initial=-1)) + 1)[owners]


def _behind(settled: Settled) -> FloatColumn:
    honest = settled.arrived & (settled.upload == Upload.TRAINED)
    return np.where(honest, settled.samples, 0).astype(np.float64)


def dismiss(world: World, settled: Settled, tick: int) -> None:
    """Who refused its bill or could not pay it leaves, with the best model that it has had."""
    for owners, kind in ((settled.quitting, ExitKind.QUIT), (settled.bankrupt, ExitKind.BANKRUPT)):
        for owner in settled.owner[owners].tolist():
            if world.population.status[owner] == Status.ACTIVE:
                leave(world, owner, kind, tick)
