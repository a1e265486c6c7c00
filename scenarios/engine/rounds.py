"""A round, from the announcement to the reaction, in event order.

=========  =======================================================================================
moment     what happens
=========  =======================================================================================
OPEN       turn due levers, announce the terms; every invited owner decides, its report leaves after its delay
REPORT     a report reaches the model owner
PLAN       the mechanism turns the reports that are in into an allocation; training begins
START      a computing center has a free slot for an owner
TRAINED    a computing center is done with an owner's training
UPDATE     an update reaches the model owner (asynchronous rounds aggregate as soon as enough are in)
CRASH      a device fails in training
LOST       a message is lost for good
FAULT      a fault with a window begins or ends
CLOSE      train, evaluate, settle, enforce, react
=========  =======================================================================================

Here are the updates and the end; beside it stand ``opening``, ``planning``, ``center_queues``, ``losses``, ``outages``
and ``closing``.
"""

from __future__ import annotations

import itertools

import numpy as np

from agents.participation import ExitCause
from learning.columns import IntColumn
from scenarios.engine.center_places import give_back_places
from scenarios.engine.clock import Happening
from scenarios.engine.closing import close_round, close_when_complete
from scenarios.engine.evaluation import aggregate_buffer
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import when_up
from scenarios.engine.leaving import ExitKind, leave, leave_for_good, leaves_no_trace
from scenarios.engine.messaging import first_copies
from scenarios.engine.world import World


def receive_updates(world: World, happening: Happening) -> None:
    """UPDATE: note arrivals; asynchronous rounds aggregate whenever the buffer is full."""
    serials, ticks = first_copies(world, happening)
    if len(serials) == 0:
        return
    if world.scenario.round.late == "buffer":
        size = world.scenario.round.buffer_size
        # A buffer that has been made smaller than what waits in it is aggregated with the next update.
        room = max(1, size - len(_waiting(world)))
        for first, last in itertools.pairwise([0, *range(room, len(serials), size), len(serials)]):
            _note_arrivals(world, serials[first:last], ticks[first:last])
            if len(_waiting(world)) >= size:
                aggregate_buffer(world, _waiting(world), int(ticks[last - 1]))
    else:
        _note_arrivals(world, serials, ticks)
        if world.scenario.round.late == "wait":
            close_when_complete(world, int(ticks[-1]))


def _note_arrivals(world: World, serials: IntColumn, ticks: IntColumn) -> None:
    owners, uploads = world.flights.arrive(serials)
    world.log.add(Event.UPDATE, ticks, world.rounds_closed, owners, uploads)


def _waiting(world: World) -> IntColumn:
    """Updates in the buffer: arrived and not aggregated yet."""
    return np.flatnonzero(world.flights.arrived & ~world.flights.used)


def leave_now(world: World, happening: Happening) -> None:
    """LEAVE: owners that decided to go, or whose time has come."""
    if leaves_no_trace(world):
        leave_for_good(world, happening.owners, ExitKind.VOLUNTARY, happening.ticks, happening.refs)
        return
    for tick, owner, cause in happening.entries():
        leave(world, owner, ExitKind.VOLUNTARY, tick, ExitCause(cause))
        if world.scenario.round.late == "wait":
            close_when_complete(world, when_up(world, tick))


def finish_round(world: World, happening: Happening) -> None:
    """CLOSE: settle what is due."""
    if world.round is None or world.round.number != happening.refs[0]:
        return
    tick = int(happening.ticks[0])
    if world.scenario.round.late == "drop":
        late = ~world.flights.arrived & ~world.flights.lost
        gone = world.flights.owner[late]
        world.log.add(Event.LATE, tick, world.round.number, gone, world.flights.upload[late])
        world.tally.late = int(late.sum())
        give_back_places(world, gone, world.flights.center[late])
    close_round(world, tick)
