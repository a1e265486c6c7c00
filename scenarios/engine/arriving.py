"""Newcomers: when they come, what they hear at the door, whom they meet inside, and who has to wait outside."""

from __future__ import annotations

from itertools import islice

import numpy as np

from agents.participation import WordOfMouth
from agents.private_types import draw_types
from learning.columns import FloatColumn, IntColumn
from market.enforcement.bans import FOR_LIFE
from market.graph import choose_peers
from scenarios.engine.arrivals import first_rates, visits
from scenarios.engine.clock import NOBODY, Kind, after
from scenarios.engine.identities import speakers
from scenarios.engine.world import World


def schedule_arrivals(world: World) -> None:
    """File everybody who is ever going to come by chance: the initial persons, the trace, the arrival processes."""
    world.arrival_rates = first_rates(world.scenario)
    _file_those_to_come(world)


def change_arrival_rate(world: World, tick: int) -> None:
    """The scenario has another arrival rate from ``tick`` on, at which everybody due has come."""
    # Moments round to ticks, so whoever comes up to half a tick later has come.
    world.arrival_rates.append((tick + 0.5, world.scenario.population.arrival_rate))
    reschedule_arrivals(world)


def reschedule_arrivals(world: World) -> None:
    """File anew who is going to come by chance, as the scenario now has it. Who has come stays who it is."""
    world.clock.drop(Kind.ARRIVE, lambda owners, refs: np.asarray((owners == NOBODY) & (refs == 0)))
    _file_those_to_come(world)


def _file_those_to_come(world: World) -> None:
    ticks, world.trace_ends = visits(world.scenario, world.streams, world.arrival_rates)
    # Everybody's private type is drawn in one go; it is the same whenever and wherever the person turns up.
    world.private_types = draw_types(np.arange(len(ticks)), world.types, world.streams)
    world.population.reserve(len(ticks))
    coming = ticks[world.persons :]
    nobody = np.full(len(coming), NOBODY, dtype=np.int64)
    world.clock.schedule(Kind.ARRIVE, coming, nobody, np.zeros_like(coming), np.zeros_like(coming))


def heard_at_the_door(world: World, ids: IntColumn) -> FloatColumn:
    """Mean belief of some members by lot, as each newcomer hears it; NaN where there are no members."""
    population, rule = world.population, world.participation
    members = population.active()
    if len(members) == 0 or not isinstance(rule, WordOfMouth):
        return np.full(len(ids), np.nan)
    keys = population.person[ids][:, None], population.stay[ids][:, None] + 4096 * world.board.round
    draws = world.streams.uniform("contacts", *keys, np.arange(min(rule.contacts, len(members)))).tolist()
    return np.array([population.believed_utility[choose_peers(members, draw)].mean() for draw in draws])


def choose_company(world: World, ids: IntColumn) -> list[list[int]]:
    """With whom newcomers [K] will share: each with some of those who are there, and of the newcomers before it.

    Nothing is listed where nobody shares at first.
    """
    population, neighbours = world.population, world.scenario.market.neighbours
    if neighbours == 0:
        return []
    there = population.count_active
    # Drawn at once for all newcomers: an identity and a stay have one row of draws.
    keys = population.luck[ids][:, None], population.stay[ids][:, None]
    draws = world.streams.uniform("peers", *keys, np.arange(min(neighbours, there + len(ids)))).tolist()
    # Places among those who are there, in ascending order, and the newcomers behind them.
    places = [choose_peers(range(there + number), draw) for number, draw in enumerate(draws)]
    chosen = np.array([place for each in places for place in each], dtype=np.int64)
    known = chosen < there
    chosen[known], chosen[~known] = population.nth_active(chosen[known]), ids[chosen[~known] - there]
    listed = iter(chosen.tolist())
    return [list(islice(listed, len(each))) for each in places]


def enter_graph(world: World, ids: IntColumn, company: list[list[int]]) -> None:
    """Newcomers share with their company, one after another."""
    reputation = world.population.reputation[ids]
    if world.scenario.market.neighbours == 0:
        world.graph.join_alone(ids, reputation)
    else:
        for owner, peers, standing in zip(ids.tolist(), company, reputation.tolist(), strict=True):
            world.graph.join(owner, peers, world.rounds_closed, standing)
    for owner in ids[world.population.restricted[ids]].tolist():
        world.graph.restrict(owner)  # probation does not end by leaving and coming back


def wait_out(world: World, owners: IntColumn, tick: int) -> None:
    """Who is banned for some rounds comes to the door again when they should be over."""
    owners = owners[world.population.banned_until[owners] < FOR_LIFE]
    left = world.population.banned_until[owners] - world.rounds_closed
    ticks = tick + left * world.window_ticks
    world.clock.schedule(Kind.ARRIVE, ticks, owners, world.population.stay[owners])


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
