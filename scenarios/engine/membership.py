"""Arriving, joining and leaving: the only ways into and out of the market."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from agents.participation import ExitCause
from agents.population import NEVER, Status
from learning.columns import BoolColumn, IntColumn
from market.ledger import DEPOSIT
from market.mechanism import DATA_SIZE
from market.money import from_micro, to_micro
from market.parties import REGULATOR, WORLD
from scenarios.buffers import Codes
from scenarios.engine.announcing import full_board
from scenarios.engine.arrivals import first_strategies
from scenarios.engine.arriving import choose_company, enter_graph, heard_at_the_door, wait_out
from scenarios.engine.center_places import give_back_places
from scenarios.engine.clock import NOBODY, Happening, Kind, after
from scenarios.engine.entry_money import admission_fee, required_deposit
from scenarios.engine.event_log import Event
from scenarios.engine.expecting import expected_round
from scenarios.engine.flights import Flights
from scenarios.engine.identities import (
    another_name,
    if_all,
    in_sum,
    share,
    speakers,
    take_names,
    with_partners,
)
from scenarios.engine.privacy import forfeit_privacy, further_valuation, may_enter
from scenarios.engine.rivals import feel_rivals
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


def arrive(world: World, happening: Happening) -> None:
    """Persons at the door: new ones, known ones that reconsider, and expelled ones under a new name."""
    for tick in np.unique(happening.ticks):
        here = happening.ticks == tick
        owners, old = happening.owners[here], happening.refs[here]
        new_persons = int(((owners == NOBODY) & (old == 0)).sum())
        renamed = old[(owners == NOBODY) & (old < 0)] * -1 - 1
        known = with_partners(world, owners[owners != NOBODY], (Status.OUTSIDE, Status.LEFT))
        fresh = np.concatenate([_new_persons(world, new_persons, int(tick)), _new_names(world, renamed, int(tick))])
        _consider(world, np.sort(np.concatenate([known, fresh])), int(tick))


def _new_persons(world: World, count: int, tick: int) -> IntColumn:
    """Rows for persons never seen before, with their private types and endowments, one for each of their names."""
    population = world.population
    ids = population.grow(count)
    if count == 0:
        return ids
    world.ledger.open_accounts(len(population))
    persons = np.arange(world.persons, world.persons + count)
    world.persons += count
    population.person[ids] = population.luck[ids] = population.decider[ids] = persons
    drawn = {name: column[persons] for name, column in world.private_types.items()}
    wealth = to_micro(drawn.pop("wealth"))
    for name, column in drawn.items():
        getattr(population, name)[ids] = column
    population.leaves_at[ids] = world.trace_ends[persons]
    if world.scenario.population.regions > 1:
        population.region[ids] = world.streams.integers("region", persons, world.scenario.population.regions)
    population.shard[ids] = persons % world.sub_shards.dealt
    population.data_size[ids] = world.shard_sizes[population.shard[ids]]
    population.quality[ids] = world.shard_quality[population.shard[ids]]
    population.privacy_cap[ids] = population.privacy_budget[ids]
    population.valuation[ids] += further_valuation(world, ids)
    population.privacy_budget[ids] = np.minimum(population.privacy_cap[ids], population.lifetime_privacy[ids])
    if world.accounts is not None:
        world.accounts.admit(population.lifetime_privacy[ids])
        population.privacy_budget[ids] = world.accounts.left(persons, population.privacy_cap[ids])
    population.emd[ids] = world.shard_emd[population.shard[ids]]
    population.reputation[ids] = world.policy.initial_reputation
    population.strategy[ids] = first_strategies(world.scenario, world.streams, persons)
    world.post(tick, "endowment", WORLD, ids, wealth)
    return np.concatenate([ids, take_names(world, ids, tick)])


def _new_names(world: World, owners: IntColumn, tick: int) -> IntColumn:
    """Rows for expelled persons that come back under a new identity, with the money they still have."""
    ids = another_name(world, owners)
    if len(owners) == 0:
        return ids
    world.post(tick, "new identity", owners, ids, world.ledger.wallet[owners])
    return ids


def _consider(world: World, ids: IntColumn, tick: int) -> None:
    """Join where the expected utility, from the public board, beats the outside option and the entry can be paid."""
    population, board = world.population, world.board
    feel_rivals(world, ids)
    terms = world.mechanism.announce(full_board(world))
    decisions, expected = expected_round(world, ids, terms)
    if world.participation.listens:
        expected = world.participation.hears(expected, heard_at_the_door(world, ids))
    outside = share(world, ids) * population.outside_option[ids]
    # A visit is told from the next by its round and by how often the owner has stayed before.
    draw = world.resolve("join", ids, board.round * 4096 + population.stay[ids])
    willing = world.participation.joins(in_sum(world, ids, expected), in_sum(world, ids, outside), draw)
    locked = required_deposit(world, ids, decisions.claims[DATA_SIZE])
    fee = admission_fee(world, ids)
    able = (world.ledger.wallet[ids] >= locked + fee) & may_enter(world, ids)
    banned = population.banned_until[ids] > board.round
    able &= ~banned & ((population.leaves_at[ids] == NEVER) | (population.leaves_at[ids] > tick))
    enters = if_all(world, ids, willing & able)
    surplus = expected - outside
    world.log.add(Event.ARRIVE, tick, world.rounds_closed, ids, surplus)
    declined = ids[~enters]
    world.log.add(Event.DECLINE, tick, world.rounds_closed, declined, surplus[~enters])
    schedule_return(world, ids[~enters & ~banned], tick)
    wait_out(world, ids[banned], tick)
    joining = ids[enters]
    for claim, column in decisions.claims.items():  # who joins registers with its claims
        getattr(population, f"reported_{claim}")[joining] = column[enters]
    if len(joining):
        population.believed_utility[joining] = expected[enters]
        _join(world, joining, locked[enters], fee[enters], tick)


def _join(world: World, ids: IntColumn, locked: IntColumn, fee: IntColumn, tick: int) -> None:
    """``locked`` and ``fee``: deposits and admission fees, in micro-units."""
    population, scenario = world.population, world.scenario
    population.stay[ids] += 1
    company = choose_company(world, ids)
    population.enter(ids)
    population.joined_tick[ids] = tick
    population.joined_round[ids] = world.rounds_closed
    first = world.rounds_closed + (world.round is not None)  # a round that is open already goes on without them
    population.first_round[ids] = first
    population.missed_rounds[ids] = first - population.rounds_taken[ids]
    for column in world.records.values():  # what a mechanism has on record belongs to a stay
        column[ids[ids < len(column)]] = np.nan
    population.strategy_joined[ids] = population.strategy[ids]
    for name in ("stay_rounds", "disappointed", "observations", "regret"):
        getattr(population, name)[ids] = 0
    paid = from_micro(fee)
    population.invested[ids] = paid
    count = len(ids)
    population.stay_utility[ids] = -paid
    population.utility_total[ids] -= paid
    world.tally.fees += float(paid.sum())
    world.post(tick, "admission fee", ids, REGULATOR, fee)
    world.post(tick, "deposit", ids, ids, locked, payee_book=DEPOSIT)
    enter_graph(world, ids, company)
    world.totals.joins += count
    world.log.add(Event.JOIN, tick, world.rounds_closed, ids, from_micro(locked))
    if scenario.population.departure_rate > 0:
        life = world.delay("departure", ids, population.stay[ids]) / scenario.population.departure_rate
        ticks = np.maximum(after(tick, life * scenario.window), tick + 1)
        cause = np.full(count, ExitCause.MOVED_AWAY, dtype=np.int64)
        world.clock.schedule(Kind.LEAVE, ticks, ids, population.stay[ids], cause)
    ending = ids[population.leaves_at[ids] != NEVER]
    cause = np.full(len(ending), ExitCause.END_OF_TRACE, dtype=np.int64)
    world.clock.schedule(Kind.LEAVE, population.leaves_at[ending], ending, population.stay[ending], cause)


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


def schedule_return(world: World, owners: IntColumn, tick: int) -> None:
    """Owners outside think again after a while, if the rule says that they do."""
    delay, owners = world.participation.return_delay, speakers(world, owners)
    if delay <= 0 or len(owners) == 0:
        return
    population = world.population
    counter = world.rounds_closed * 4096 + population.stay[owners]
    # Drawn anew within a round, too: the same short wait again and again would bring an owner back without end.
    wait = world.delay("return", owners, counter, population.returns[owners]) * delay
    population.returns[owners] += 1
    ticks = np.maximum(after(tick, wait), tick + 1)
    world.clock.schedule(Kind.ARRIVE, ticks, owners, population.stay[owners])


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
