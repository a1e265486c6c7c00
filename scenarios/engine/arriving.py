"""Who is going to come and when, and what newcomers hear at the door."""

from __future__ import annotations

import numpy as np

from agents.arrivals import Draws, make_arrivals
from agents.participation import WordOfMouth
from agents.population import NEVER
from agents.private_types import draw_types
from learning.columns import FloatColumn, IntColumn
from market.graph import choose_peers
from scenarios.engine.clock import NOBODY, Kind, to_ticks
from scenarios.engine.world import World


def schedule_arrivals(world: World) -> None:
    """File everybody who is ever going to come by chance: the initial persons, the trace, the arrival processes."""
    scenario = world.scenario
    end = scenario.horizon * world.window_ticks
    ticks = [0] * scenario.population.initial
    ticks += [to_ticks(second) for second in scenario.population.arrival_times]
    if scenario.population.arrival_rate > 0:
        mean_gap, at, number = world.window_ticks / scenario.population.arrival_rate, 0.0, 0
        while at < end:
            at += mean_gap * float(world.streams.exponential("arrival gap", 0, number))
            number += 1
            ticks.append(round(at))
    further = [_visits(world, place, end) for place in range(len(scenario.population.arrivals))]
    arrive = np.concatenate([np.array(ticks, dtype=np.int64), *(visits[0] for visits in further)])
    leave = np.concatenate([np.full(len(ticks), NEVER), *(visits[1] for visits in further)])
    order = np.argsort(arrive, kind="stable")
    order = order[arrive[order] < end]
    kept, world.trace_ends = arrive[order], leave[order]
    # Everybody's private type is drawn in one go; it is the same whenever and wherever the person turns up.
    world.private_types = draw_types(np.arange(len(kept)), world.types, world.streams)
    nobody = np.full(len(kept), NOBODY, dtype=np.int64)
    world.clock.schedule(Kind.ARRIVE, kept, nobody, np.zeros_like(kept), np.zeros_like(kept))


def _visits(world: World, place: int, end: int) -> tuple[IntColumn, IntColumn]:
    """Ticks at which one of the scenario's processes has persons arrive, and at which it has them leave."""
    chosen = world.scenario.population.arrivals[place]
    process, window = make_arrivals(chosen.name, chosen.params), world.window_ticks
    visits = process.visits(end / window, world.scenario.window, Draws(world.streams, place + 1))
    leave = np.where(np.isnan(visits.leave), NEVER, np.rint(np.nan_to_num(visits.leave) * window))
    return np.rint(visits.arrive * window).astype(np.int64), leave.astype(np.int64)


def heard_at_the_door(world: World, ids: IntColumn) -> FloatColumn:
    """Mean belief of some members by lot, as each newcomer hears it; NaN where there are no members."""
    population, rule = world.population, world.participation
    members = population.active()
    if len(members) == 0 or not isinstance(rule, WordOfMouth):
        return np.full(len(ids), np.nan)
    keys = population.person[ids][:, None], population.stay[ids][:, None] + 4096 * world.board.round
    draws = world.streams.uniform("contacts", *keys, np.arange(min(rule.contacts, len(members)))).tolist()
    return np.array([population.believed_utility[choose_peers(members, draw)].mean() for draw in draws])


def wait_out(world: World, owners: IntColumn, tick: int) -> None:
    """Who is banned for some rounds comes to the door again when they should be over."""
    left = world.population.banned_until[owners] - world.rounds_closed
    ticks = tick + left * world.window_ticks
    world.clock.schedule(Kind.ARRIVE, ticks, owners, world.population.stay[owners])
