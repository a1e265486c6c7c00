"""Devices that crash in training, messages that are lost for good, and what becomes of an upload that never comes."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.clock import Happening, Kind, after
from scenarios.engine.closing import close_when_complete
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import when_up
from scenarios.engine.leaving import forfeit, unlock
from scenarios.engine.messaging import post_uploads
from scenarios.engine.world import World
from scenarios.faults.base import Message
from scenarios.faults.outages import ClientCrash


def send_or_crash(world: World, owners: IntColumn, serials: IntColumn, tick: int) -> None:
    """Owners train on their own devices from ``tick`` on and send what comes of it, unless the device fails."""
    flights = world.flights
    rows = flights.find(serials)
    compute = flights.compute_ticks[rows]
    sent = tick + compute
    well = np.ones(len(owners), dtype=np.bool_)
    for place, fault in enumerate(() if world.faults is None else world.faults.listed):
        if isinstance(fault, ClientCrash):
            luck = world.population.luck[owners]
            fails, share = fault.strike(tick, luck, flights.round[rows], world.streams, place)
            fails &= well & (compute > 0)
            well &= ~fails
            flights.repair[rows[fails]] = fault.repairs(luck[fails], flights.round[rows[fails]], world.streams, place)
            moment, stay = tick + (share * compute)[fails].astype(np.int64), world.population.stay[owners[fails]]
            world.clock.schedule(Kind.CRASH, moment, owners[fails], stay, serials[fails])
    post_uploads(world, owners[well], serials[well], sent[well], (sent + flights.link_ticks[rows])[well])


def crash_at_the_door(world: World, owner: int, row: int, tick: int) -> bool:
    """Whether the device of an owner whose turn at a center has come fails before it has handed over its data.

    Its place there is given back then, and nothing is trained.
    """
    flights, one = world.flights, np.array([row])
    for place, fault in enumerate(() if world.faults is None else world.faults.listed):
        if isinstance(fault, ClientCrash):
            luck, number = world.population.luck[[owner]], flights.round[one]
            if fault.strike(tick, luck, number, world.streams, place)[0][0]:
                flights.repair[one] = fault.repairs(luck, number, world.streams, place)
                _crash(world, one, tick)
                return True
    return False


def crash_clients(world: World, happening: Happening) -> None:
    """CRASH: a device fails in training; its upload never comes, and its owner is away until it is repaired."""
    rows = world.flights.find(happening.refs)
    rows = rows[rows >= 0]  # who was too late for its round has stopped training
    _crash(world, rows, int(happening.ticks[0]))


def _crash(world: World, rows: IntColumn, tick: int) -> None:
    owners, repair = world.flights.owner[rows], world.flights.repair[rows]
    world.population.offline_until[owners] = after(tick, repair)
    world.log.add(Event.CRASH, tick, world.rounds_closed, owners, repair)
    give_up(world, world.flights.serial[rows], tick)


def lose_messages(world: World, happening: Happening) -> None:
    """LOST: a message is lost for good; the model owner does not wait for that upload any more."""
    uploads = happening.refs >= 0
    kinds = np.where(uploads, float(Message.UPLOAD), float(Message.REPORT))
    world.log.add(Event.LOST, happening.ticks, world.rounds_closed, happening.owners, kinds)
    give_up(world, happening.refs[uploads], int(happening.ticks[-1]))


def give_up(world: World, serials: IntColumn, tick: int) -> None:
    """The uploads of these flights never come: unpaid at the settlement, or forfeited where rounds do not wait."""
    flights = world.flights
    rows = flights.find(serials)
    rows = rows[rows >= 0]
    for owner, center in zip(flights.owner[rows].tolist(), flights.center[rows].tolist(), strict=True):
        if world.centers:
            world.centers[center].cancel(owner)
    flights.lost[rows] = True
    if world.scenario.round.late == "buffer":
        forget(world, rows, tick)
    elif world.scenario.round.late == "wait":
        close_when_complete(world, when_up(world, tick))


def forget(world: World, rows: IntColumn, tick: int) -> None:
    """Drop flights without a settlement: locked deposits go back, what was spent is lost, nothing is paid."""
    unlock(world, rows, tick)
    for owner in world.flights.owner[rows].tolist():
        forfeit(world, owner, world.flights.take_out(owner))
