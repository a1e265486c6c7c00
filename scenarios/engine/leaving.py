"""Leaving the market, the only way out; what becomes of updates that are dropped on the way."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from agents.participation import ExitCause
from agents.population import Status
from learning.columns import BoolColumn, IntColumn
from market.ledger import DEPOSIT
from scenarios.buffers import Codes
from scenarios.engine.arriving import schedule_return
from scenarios.engine.center_places import give_back_places
from scenarios.engine.clock import Kind, after
from scenarios.engine.event_log import Event
from scenarios.engine.flights import Flights
from scenarios.engine.privacy import forfeit_privacy
from scenarios.engine.world import World


class ExitKind(IntEnum):
    """Why a stay ended; the number is logged."""

    VOLUNTARY = 0
    EXPELLED = 1
    BANKRUPT = 2
    CENSORED = 3
    QUIT = 4


_STATUS = {
    ExitKind.VOLUNTARY: Status.LEFT,
    ExitKind.EXPELLED: Status.EXPELLED,
    ExitKind.BANKRUPT: Status.BANKRUPT,
    ExitKind.CENSORED: Status.ACTIVE,
    ExitKind.QUIT: Status.LEFT,
}


_CAUSE = {
    ExitKind.VOLUNTARY: ExitCause.DISAPPOINTED,
    ExitKind.EXPELLED: ExitCause.EXPELLED,
    ExitKind.BANKRUPT: ExitCause.BROKE,
    ExitKind.CENSORED: ExitCause.END_OF_RUN,
    ExitKind.QUIT: ExitCause.REFUSED_BILL,
}
"""What a way out usually comes of."""
_CAUSES = [cause.name.lower() for cause in ExitCause]


def leave(world: World, owner: int, kind: ExitKind, tick: int, cause: ExitCause | None = None) -> None:
    """An owner leaves, and comes to the door again if it means to.

    ``cause``: what it came of, if not the usual thing. Who leaves for a new name is back at the door under it as soon
    as it has thought about it.
    """
    who = np.array([owner])
    leave_for_good(world, who, kind, tick, None if cause is None else np.array([cause]))
    population = world.population
    if cause is ExitCause.NEW_NAME:
        back = after(tick, population.think_time[who] * world.exponential("new name", who, world.rounds_closed))
        world.clock.at(Kind.ARRIVE, max(int(back[0]), tick + 1), ref=-owner - 1)
    elif kind in (ExitKind.VOLUNTARY, ExitKind.QUIT):
        schedule_return(world, who, tick)


def leaves_no_trace(world: World) -> bool:
    """Whether nothing is set in motion when owners leave, whoever they are: no return, no free slot, no closing round.

    Departures with nothing else between them can then be handled together.
    """
    rule = world.participation
    return (
        rule.return_delay <= 0
        and not world.centers
        and world.scenario.round.late != "wait"
        and not any(strategy.renaming for strategy in world.strategies)
    )


def leave_for_good(
    world: World, who: IntColumn, kind: ExitKind, tick: int | IntColumn, causes: IntColumn | None = None
) -> None:
    """The one way out: settle the deposit, drop what is pending, cut the edges, close the episode.

    Owners [K] go one after another, each at its ``tick``; ``causes``: what it came of, if not the usual thing.
    """
    population = world.population
    population.leave(who, _STATUS[kind])
    population.center[who] = -1
    world.post(tick, "deposit back", who, who, world.ledger.deposit[who], payer_book=DEPOSIT)
    for owner in who.tolist():
        dropped = world.flights.take_out(owner)
        if len(dropped):
            # Who leaves before the settlement forfeits it: the update is not used any more and nothing is paid. What
            # it has cost is lost, and so is the privacy in what has been merged already.
            world.tally.left_midway += len(dropped)
            forfeit(world, owner, dropped)
            give_back_places(world, dropped.owner, dropped.center)
    if world.personal is not None:  # whoever goes keeps the best model that it has had
        luck = population.luck[who]
        world.personal.restore_best(luck)
        population.held_accuracy[who] = np.fmax(population.held_accuracy[who], world.personal.best_accuracy(luck))
    for owner in who.tolist():
        world.graph.leave(owner)
    write_episode(world, who, kind, tick, causes)
    world.log.add(Event.LEAVE, tick, world.rounds_closed, who, int(kind))
    for owner in who.tolist():
        world.on_leave(owner)
    totals = world.totals
    totals.exits += len(who)
    totals.expulsions += len(who) * (kind is ExitKind.EXPELLED)
    totals.bankruptcies += len(who) * (kind is ExitKind.BANKRUPT)


def forfeit(world: World, owner: int, dropped: Flights) -> None:
    """Flights of an owner are not settled any more: what they have cost it is lost."""
    population = world.population
    spent = float(dropped.spent.sum()) + forfeit_privacy(world, dropped)
    world.tally.forfeited += spent
    population.utility_total[owner] -= spent
    population.stay_utility[owner] -= spent
    _release(world, dropped.base_version)


def unlock(world: World, rows: IntColumn, tick: int) -> None:
    """Give back what these flights have locked as a deposit."""
    flights = world.flights
    if flights.locked[rows].any():
        owners = flights.owner[rows]
        world.post(tick, "redistribution deposit back", owners, owners, flights.locked[rows], payer_book=DEPOSIT)
        flights.locked[rows] = 0


def forget_flights(world: World, rows: BoolColumn) -> None:
    """Drop flights, and the model versions that were kept for them."""
    _release(world, world.flights.base_version[rows])
    world.flights.keep(~rows)


def _release(world: World, versions: IntColumn) -> None:
    if world.federation is not None:
        for version, times in zip(*np.unique(versions, return_counts=True), strict=True):
            world.federation.release(int(version), int(times))


def write_episode(
    world: World, owner: int | IntColumn, kind: ExitKind, tick: int | IntColumn, causes: IntColumn | None = None
) -> None:
    """One row per stay that ends, of one owner or of several: when, and what it came of, if not the usual thing."""
    population, names = world.population, world.strategy_names
    world.write(
        "episodes",
        {
            "owner": owner,
            "person": population.person[owner],
            "stay": population.stay[owner],
            "strategy_joined": Codes(population.strategy_joined[owner], names),
            "strategy_left": Codes(population.strategy[owner], names),
            "joined_tick": population.joined_tick[owner],
            "joined_round": population.joined_round[owner],
            "left_tick": tick,
            "left_round": world.rounds_closed,
            "exit_kind": kind.name.lower(),
            "exit_cause": _CAUSE[kind].name.lower() if causes is None else Codes(causes, _CAUSES),
            "rounds_taken": population.stay_rounds[owner],
            "utility": population.stay_utility[owner],
        },
    )
