"""Messages on their way from owners to the model owner: what the scenario's faults make of them.

A message that comes twice counts once, whatever the network does: the receiver knows what it has had.
"""

from __future__ import annotations

import numpy as np

from learning.columns import BoolColumn, IntColumn
from scenarios.engine.clock import FAR, TICKS_PER_SECOND, Happening, Kind, after
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import MOST_HOPS, Faults, over
from scenarios.engine.world import World
from scenarios.faults.base import Journey, Message, MessageFault
from scenarios.faults.messages import ClockSkew, NetworkPartition

_ROUND = 2**32  # a report is known by its round and its row in it


def in_time(world: World, owners: IntColumn, ticks: IntColumn, opened: int, deadline: int) -> BoolColumn:
    """Which reports, ready at these ticks, their owners send: those that are in time by the owner's own clock."""
    if world.faults is None:
        return np.asarray(ticks <= deadline)
    ahead = np.zeros(len(owners))
    for place, fault in enumerate(world.faults.listed):
        if isinstance(fault, ClockSkew):
            ahead += fault.ahead(opened, world.population.luck[owners], world.streams, place)
    shown = ticks + np.rint(np.clip(ahead * TICKS_PER_SECOND, -FAR, FAR)).astype(np.int64)
    misled = (shown <= deadline) != (ticks <= deadline)
    world.log.add(Event.SKEW, opened, world.rounds_closed, owners[misled], ahead[misled])
    return np.asarray(shown <= deadline)


def post_reports(world: World, owners: IntColumn, ticks: IntColumn, rows: IntColumn, number: int) -> None:
    """Send reports at these ticks; they refer to the round and to their rows in it."""
    rounds = np.full(len(owners), number)
    _post(world, Message.REPORT, owners, rounds, number * _ROUND + rows, ticks, ticks)


def post_uploads(world: World, owners: IntColumn, serials: IntColumn, sent: IntColumn, arrival: IntColumn) -> None:
    """Send the uploads of some flights, which would arrive at these ticks."""
    rounds = world.flights.round[world.flights.find(serials)]
    _post(world, Message.UPLOAD, owners, rounds, serials, sent, arrival)


def _post(
    world: World,
    message: Message,
    owners: IntColumn,
    rounds: IntColumn,
    refs: IntColumn,
    sent: IntColumn,
    arrival: IntColumn,
) -> None:
    kind, stays = (Kind.REPORT, Kind.UPDATE)[message], world.population.stay[owners]
    if world.faults is None or len(owners) == 0:
        world.clock.schedule(kind, arrival, owners, stays, refs)
        return
    luck, region = world.population.luck[owners], world.population.region[owners]
    journey = Journey(
        message,
        rounds,
        luck,
        region,
        sent,
        arrival.copy(),
        np.zeros(len(owners), np.bool_),
        [],
    )
    _travel(world, world.faults, journey)
    slower = ~journey.lost & (journey.arrival > arrival)
    further = (journey.arrival - arrival)[slower] / TICKS_PER_SECOND
    world.log.add(Event.DELAY, world.clock.now, world.rounds_closed, owners[slower], further)
    there, gone = ~journey.lost, journey.lost
    world.clock.schedule(kind, journey.arrival[there], owners[there], stays[there], refs[there])
    named = refs if message is Message.UPLOAD else ~refs
    world.clock.schedule(Kind.LOST, journey.arrival[gone], owners[gone], stays[gone], named[gone])
    for copies in journey.copies:
        twice = there & ~np.isnan(copies)
        again = np.maximum(after(journey.arrival[twice], copies[twice]), journey.arrival[twice] + 1)
        again = over(world.faults.restarts(), again)
        # A wave of its own: copies never split or delay the batches of what comes first. ~ref marks a copy.
        world.clock.schedule(kind, np.minimum(again, FAR), owners[twice], stays[twice], ~refs[twice])


def _travel(world: World, faults: Faults, journey: Journey) -> None:
    """Let every fault befall the messages; then hold them back until region and server are both within reach."""
    cuts = [(place, one) for place, one in enumerate(faults.listed) if isinstance(one, NetworkPartition)]
    for place, fault in enumerate(faults.listed):
        if isinstance(fault, MessageFault) and not isinstance(fault, NetworkPartition):
            fault.befall(journey, world.streams, place)
            np.minimum(journey.arrival, FAR, out=journey.arrival)
    for _ in range(MOST_HOPS):
        before = journey.arrival.copy()
        for place, cut in cuts:
            cut.befall(journey, world.streams, place)
        there = ~journey.lost
        journey.arrival[there] = over(faults.restarts(), journey.arrival[there])
        if ((journey.arrival == before) | journey.lost | (journey.arrival >= FAR)).all():
            break
    np.minimum(journey.arrival, FAR, out=journey.arrival)


def first_reports(world: World, happening: Happening) -> tuple[IntColumn, BoolColumn]:
    """Rows of the open round whose reports have come for the first time and in time, and which entries these are."""
    refs, current = happening.refs, world.round
    copies = refs < 0
    numbers, rows = np.divmod(np.where(copies, ~refs, refs), _ROUND)
    due = np.zeros(len(refs), dtype=np.bool_)
    if current is not None and not current.planned:
        due = numbers == current.number
    first = due.copy()
    if current is not None:
        first[due] = ~current.reported[rows[due]]
    again = copies & ~first
    world.log.add(
        Event.DUPLICATE, happening.ticks[again], world.rounds_closed, happening.owners[again], float(Message.REPORT)
    )
    overdue = ~due & ~copies
    if overdue.any():
        world.log.add(Event.OVERDUE, happening.ticks[overdue], world.rounds_closed, happening.owners[overdue])
    return rows[first], first


def first_copies(world: World, happening: Happening) -> tuple[IntColumn, IntColumn]:
    """Flights whose upload has come for the first time, by serial, and the ticks; further copies are only logged."""
    refs = happening.refs
    if world.faults is None:
        known = world.flights.knows(refs)
        return refs[known], happening.ticks[known]
    copies = refs < 0
    serials = np.where(copies, ~refs, refs)
    rows = world.flights.find(serials)
    first = rows >= 0
    first[first] = ~world.flights.received[rows[first]]
    again = ~first & (copies | (rows >= 0))
    world.log.add(
        Event.DUPLICATE, happening.ticks[again], world.rounds_closed, happening.owners[again], float(Message.UPLOAD)
    )
    world.flights.received[rows[first]] = True
    return serials[first], happening.ticks[first]
