"""Expulsion: whom it keeps out, for how long, and who comes back under another name."""

from __future__ import annotations

import numpy as np

from agents.participation import ExitCause
from agents.population import Status
from scenarios.engine.arriving import wait_out
from scenarios.engine.clock import Kind, after
from scenarios.engine.leaving import ExitKind, leave
from scenarios.engine.world import World


def expel(world: World, owner: int, tick: int) -> int:
    """Throw an owner out, as the ban of the rules in force says; it may come back under another name, or later.

    A banned person goes under all of its names, and those that are outside stay there. Returns how many stays ended.
    """
    population = world.population
    if not world.policy.ban.whole_person:
        _throw_out(world, owner, tick)
        return 1
    names = np.flatnonzero(population.person == population.person[owner])
    here = names[population.status[names] == Status.ACTIVE]
    population.banned_until[names] = world.policy.ban.until(world.rounds_closed)
    for name in here.tolist():
        _throw_out(world, name, tick)
    return len(here)


def _throw_out(world: World, owner: int, tick: int) -> None:
    population, ban = world.population, world.policy.ban
    leave(world, owner, ExitKind.EXPELLED, tick, ExitCause.BANNED if ban.rounds or ban.whole_person else None)
    population.banned_until[owner] = ban.until(world.rounds_closed)
    renamed = not ban.whole_person and _whitewashes(world, owner, tick)
    if ban.rounds and not renamed:
        population.status[owner] = Status.LEFT
        wait_out(world, np.array([owner]), tick)


def _whitewashes(world: World, owner: int, tick: int) -> bool:
    """Whether an expelled person comes back under a new identity (Friedman & Resnick 2001, cheap pseudonyms)."""
    rule, who, population = world.participation, np.array([owner]), world.population
    names = int((population.person == population.person[owner]).sum())  # identities that this person has used
    if world.uniform("whitewash", who, names)[0] >= rule.whitewash:
        return False
    back = after(tick, world.exponential("whitewash delay", who, names) * rule.return_delay)
    world.clock.at(Kind.ARRIVE, max(int(back[0]), tick + 1), ref=-owner - 1)
    return True
