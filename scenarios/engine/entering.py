"""Coming to the door and joining: the only way into the market."""

from __future__ import annotations

import numpy as np

from agents.participation import ExitCause
from agents.population import NEVER, Status
from learning.columns import IntColumn
from market.ledger import DEPOSIT
from market.mechanism import DATA_SIZE
from market.money import from_micro, to_micro
from market.parties import REGULATOR, WORLD
from scenarios.engine.announcing import full_board
from scenarios.engine.arrivals import first_strategies
from scenarios.engine.arriving import choose_company, enter_graph, heard_at_the_door, schedule_return, wait_out
from scenarios.engine.clock import NOBODY, Happening, Kind, after
from scenarios.engine.entry_money import admission_fee, required_deposit
from scenarios.engine.event_log import Event
from scenarios.engine.expecting import expected_round
from scenarios.engine.identities import another_name, if_all, in_sum, share, take_names, with_partners
from scenarios.engine.privacy import further_valuation, may_enter
from scenarios.engine.rivals import feel_rivals
from scenarios.engine.world import World


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
