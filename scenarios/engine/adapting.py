"""Owners change their strategy after a round, by the adaptation rule of the scenario."""

from __future__ import annotations

import numpy as np

from agents.adaptation import Experience
from agents.adaptation.company import Among, Company, Draws, Everybody, Neighbours
from agents.population import ADAPTATION_MEMORY
from agents.strategies.base import OwnRows
from learning.columns import FloatColumn, IntColumn
from scenarios.engine.event_log import Event
from scenarios.engine.expecting import prospects
from scenarios.engine.world import World


def adapt(world: World, who: IntColumn, tick: int) -> None:
    """These owners (ids, ascending) look back at the round and may play another strategy from now on."""
    population, number, rule = world.population, world.rounds_closed, world.adaptation
    seen = Experience(
        board=world.board,
        own=OwnRows(population, who),
        strategies=len(world.strategies),
        draw=lambda purpose: _luck(world, purpose, who, number),
        trait=lambda purpose: world.uniform(f"adaptation/trait/{purpose}", who, 0),
        company=lambda among: _company(world, among, who, number),
        prospects=lambda rows: prospects(world, who[rows]),
    )
    change = rule.adapt(seen)
    for name, values in change.memory.items():
        if name not in ADAPTATION_MEMORY:
            raise ValueError(f"the adaptation rule '{rule.name}' may not change '{name}'")
        getattr(population, name)[who] = values
    switched = change.strategy != population.strategy[who]
    population.strategy[who] = change.strategy
    world.log.add(Event.SWITCH, tick, number, who[switched], change.strategy[switched])


def _luck(world: World, purpose: str, who: IntColumn, number: int) -> FloatColumn:
    if purpose == "look":
        return world.uniform("look", who, number)
    if purpose == "switch":
        return world.uniform("switch", who, number)
    return world.uniform(f"adaptation/{purpose}", who, number)


def _company(world: World, among: Among, who: IntColumn, number: int) -> Company:
    population = world.population

    def draw(rows: IntColumn) -> FloatColumn:
        return world.uniform("neighbour", who[rows], number)

    meeting: Draws = draw
    if among == "neighbours":
        return Neighbours(world.graph, who, population.strategy, population.believed_utility, meeting)
    there = population.active()
    place = np.searchsorted(there, who)
    return Everybody(population.strategy[there], population.believed_utility[there], place, meeting)
