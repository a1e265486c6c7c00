"""Newcomers: when they come, what they hear at the door, and who has to wait outside it."""

from __future__ import annotations

import numpy as np

from agents.participation import WordOfMouth
from agents.private_types import draw_types
from learning.columns import FloatColumn, IntColumn
from market.enforcement.bans import FOR_LIFE
from market.graph import choose_peers
from scenarios.engine.arrivals import visits
from scenarios.engine.clock import NOBODY, Kind
from scenarios.engine.world import World


def schedule_arrivals(world: World) -> None:
    """File everybody who is ever going to come by chance: the initial persons, the trace, the arrival processes."""
    kept, world.trace_ends = visits(world.scenario, world.streams)
    # Everybody's private type is drawn in one go; it is the same whenever and wherever the person turns up.
    world.private_types = draw_types(np.arange(len(kept)), world.types, world.streams)
    nobody = np.full(len(kept), NOBODY, dtype=np.int64)
    world.clock.schedule(Kind.ARRIVE, kept, nobody, np.zeros_like(kept), np.zeros_like(kept))


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
    owners = owners[world.population.banned_until[owners] < FOR_LIFE]
    left = world.population.banned_until[owners] - world.rounds_closed
    ticks = tick + left * world.window_ticks
    world.clock.schedule(Kind.ARRIVE, ticks, owners, world.population.stay[owners])
