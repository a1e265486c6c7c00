"""Owners at computing centers: they line up, train when a slot is free, and send what came of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.clock import Happening, Kind
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import center_up, training_ends
from scenarios.engine.losses import crash_at_the_door
from scenarios.engine.messaging import post_uploads
from scenarios.engine.world import World


def queue_at_centers(world: World, serials: IntColumn, owners: IntColumn, tick: int) -> None:
    """Each owner lines up at its center; forged uploads need none and only travel."""
    flights = world.flights
    rows = flights.find(serials)
    idle = flights.compute_ticks[rows] == 0
    due = tick + flights.link_ticks[rows[idle]]
    post_uploads(world, owners[idle], serials[idle], np.full(len(due), tick), due)
    working = zip(serials[~idle].tolist(), owners[~idle].tolist(), flights.center[rows[~idle]].tolist(), strict=True)
    for serial, owner, center in working:
        world.centers[center].request(owner).callbacks.append(SlotGranted(world, owner, serial))


@dataclasses.dataclass(eq=False)
class SlotGranted:
    """What follows when an owner's turn at a center has come; data, not a closure, so that a checkpoint can hold it."""

    world: World
    owner: int
    serial: int

    def __call__(self, _event: object) -> None:
        clock, stay = self.world.clock, int(self.world.population.stay[self.owner])
        clock.at(Kind.START, clock.now, self.owner, stay, self.serial)


def start_at_center(world: World, happening: Happening) -> None:
    """START: training begins at a center; it ends after the service time."""
    for tick, owner, serial in happening.entries():
        row = int(world.flights.find(np.array([serial]))[0])
        if row < 0:
            continue  # the round went on without it
        center, stay = int(world.flights.center[row]), int(world.population.stay[owner])
        if (later := center_up(world, center, tick)) > tick:  # it keeps its slot meanwhile
            world.clock.at(Kind.START, later, owner, stay, serial)
            continue
        if crash_at_the_door(world, owner, row, tick):
            continue
        world.log.add(Event.START, tick, int(world.flights.round[row]), owner, center)
        due, lost = training_ends(world, center, tick, int(world.flights.compute_ticks[row]))
        world.clock.at(Kind.LOST if lost else Kind.TRAINED, due, owner, stay, serial)


def finish_at_center(world: World, happening: Happening) -> None:
    """TRAINED: the slot is free again and the update travels."""
    for tick, owner, serial in happening.entries():
        row = int(world.flights.find(np.array([serial]))[0])
        if row < 0:
            continue  # dropped at the deadline, and its slot given back then
        world.centers[int(world.flights.center[row])].cancel(owner)
        due = tick + int(world.flights.link_ticks[row])
        post_uploads(world, *(np.array([value]) for value in (owner, serial, tick, due)))
