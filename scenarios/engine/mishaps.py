"""Faults at work: messages on their way, devices that break, centers that stand still, a server that is away.

Everything here is a function of the world, the scenario's faults and counter-based draws; what lasts (a device that is
broken, an upload that is lost or received) is a column of the population or of the flights. A market without faults
passes through ``post_reports``, ``post_uploads`` and ``first_copies`` only, which then draw nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, IntColumn
from market.mechanism import Reports
from scenarios.engine.clock import FAR, NOBODY, TICKS_PER_SECOND, Happening, Kind, after, to_ticks
from scenarios.engine.closing import close_round, close_when_complete
from scenarios.engine.event_log import Event
from scenarios.engine.membership import forfeit, unlock
from scenarios.engine.world import Round, World
from scenarios.faults.base import Fault, Journey, Message, MessageFault
from scenarios.faults.messages import ClockSkew, NetworkPartition
from scenarios.faults.outages import CenterOutage, ClientCrash, ServerRestart
from scenarios.registries import faults as registered
from scenarios.schema import Scenario

_ROUND = 2**32  # a report is known by its round and its row in it


@dataclass(frozen=True)
class Faults:
    """The faults of a run in the order of its scenario; a fault's place there is part of what its draws are keyed by.

    ``end`` is the tick at which the run ends.
    """

    listed: tuple[Fault, ...]
    end: int

    @classmethod
    def of(cls, scenario: Scenario) -> Faults | None:
        """Those of a scenario; None if there are none."""
        if not scenario.faults:
            return None
        built = tuple(registered()[one.name](**one.params) for one in scenario.faults)
        return cls(built, scenario.horizon * to_ticks(scenario.window))

    def outages(self, center: int) -> list[CenterOutage]:
        """Those of one computing center."""
        found = [one for one in self.listed if isinstance(one, CenterOutage)]
        return [one for one in found if one.center in (None, center)]

    def restarts(self) -> list[ServerRestart]:
        """Those of the model owner."""
        return [one for one in self.listed if isinstance(one, ServerRestart)]

    def over(self, causes: list[CenterOutage] | list[ServerRestart], ticks: IntColumn) -> IntColumn:
        """The first ticks, not before these, at which none of the causes acts (or one after the end of the run)."""
        while True:
            later = ticks
            for cause in causes:
                later = cause.windows.end(later)
            if ((later == ticks) | (later > self.end)).all():
                return later
            ticks = later

    def server_up(self, tick: int) -> int:
        """The first tick from this one on at which the model owner is there."""
        return int(self.over(self.restarts(), np.array([tick]))[0])


# -- the model owner's server -----------------------------------------------------------------------------------------


def when_up(world: World, tick: int) -> int:
    """The first tick from this one on at which the model owner can act."""
    return tick if world.faults is None else world.faults.server_up(tick)


def reachable(world: World, owners: IntColumn, tick: int) -> IntColumn:
    """Those of the owners whose device is not under repair."""
    return owners if world.faults is None else owners[world.population.offline_until[owners] <= tick]


# -- messages ---------------------------------------------------------------------------------------------------------


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
        np.full(len(owners), np.nan),
    )
    _travel(world, world.faults, journey)
    slower = ~journey.lost & (journey.arrival > arrival)
    further = (journey.arrival - arrival)[slower] / TICKS_PER_SECOND
    world.log.add(Event.DELAY, world.clock.now, world.rounds_closed, owners[slower], further)
    there, gone = ~journey.lost, journey.lost
    world.clock.schedule(kind, journey.arrival[there], owners[there], stays[there], refs[there])
    named = refs if message is Message.UPLOAD else ~refs
    world.clock.schedule(Kind.LOST, journey.arrival[gone], owners[gone], stays[gone], named[gone])
    twice = there & ~np.isnan(journey.copies)
    again = np.maximum(after(journey.arrival[twice], journey.copies[twice]), journey.arrival[twice] + 1)
    again = np.maximum(world.faults.over(world.faults.restarts(), again), journey.arrival[twice] + 1)
    # A wave of its own: copies never split or delay the batches of what comes first. ~ref marks a copy.
    world.clock.schedule(kind, np.minimum(again, FAR), owners[twice], stays[twice], ~refs[twice])


def _travel(world: World, faults: Faults, journey: Journey) -> None:
    """Let every fault befall the messages; then hold them back until region and server are both within reach."""
    cuts = [(place, one) for place, one in enumerate(faults.listed) if isinstance(one, NetworkPartition)]
    for place, fault in enumerate(faults.listed):
        if isinstance(fault, MessageFault) and not isinstance(fault, NetworkPartition):
            fault.befall(journey, world.streams, place)
            np.minimum(journey.arrival, FAR, out=journey.arrival)
    while True:
        before = journey.arrival.copy()
        for place, cut in cuts:
            cut.befall(journey, world.streams, place)
        there = ~journey.lost
        journey.arrival[there] = faults.over(faults.restarts(), journey.arrival[there])
        if ((journey.arrival == before) | journey.lost | (journey.arrival > faults.end)).all():
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
    """Flights whose upload has come for the first time, as rows, and the ticks; further copies are only logged."""
    refs = happening.refs
    if world.faults is None:
        rows = world.flights.find(refs)
        return rows[rows >= 0], happening.ticks[rows >= 0]
    copies = refs < 0
    rows = world.flights.find(np.where(copies, ~refs, refs))
    first = rows >= 0
    first[first] = ~world.flights.received[rows[first]]
    again = ~first & (copies | (rows >= 0))
    world.log.add(
        Event.DUPLICATE, happening.ticks[again], world.rounds_closed, happening.owners[again], float(Message.UPLOAD)
    )
    world.flights.received[rows[first]] = True
    return rows[first], happening.ticks[first]


# -- uploads that never come ------------------------------------------------------------------------------------------


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
            # The reference names the flight and the fault.
            refs = serials[fails] * len(world.faults.listed) + place if world.faults else serials[fails]
            moment = tick + (share * compute)[fails].astype(np.int64)
            world.clock.schedule(Kind.CRASH, moment, owners[fails], world.population.stay[owners[fails]], refs)
    post_uploads(world, owners[well], serials[well], sent[well], (sent + flights.link_ticks[rows])[well])


def crash_clients(world: World, happening: Happening) -> None:
    """CRASH: a device fails in training; its upload never comes, and its owner is away until it is repaired."""
    assert world.faults is not None
    serials, places = np.divmod(happening.refs, len(world.faults.listed))
    for place in np.unique(places).tolist():
        fault = world.faults.listed[place]
        assert isinstance(fault, ClientCrash)
        rows = world.flights.find(serials[places == place])
        rows = rows[rows >= 0]  # who was too late for its round has stopped training
        owners, tick = world.flights.owner[rows], int(happening.ticks[0])
        repair = fault.repairs(world.population.luck[owners], world.flights.round[rows], world.streams, place)
        world.population.offline_until[owners] = after(tick, repair)
        world.log.add(Event.CRASH, tick, world.rounds_closed, owners, repair)
        _give_up(world, world.flights.serial[rows], tick)


def lose_messages(world: World, happening: Happening) -> None:
    """LOST: a message is lost for good; the model owner does not wait for that upload any more."""
    uploads = happening.refs >= 0
    kinds = np.where(uploads, float(Message.UPLOAD), float(Message.REPORT))
    world.log.add(Event.LOST, happening.ticks, world.rounds_closed, happening.owners, kinds)
    _give_up(world, happening.refs[uploads], int(happening.ticks[-1]))


def _give_up(world: World, serials: IntColumn, tick: int) -> None:
    """The uploads of these flights never come: unpaid at the settlement, or forfeited where rounds do not wait."""
    flights = world.flights
    rows = flights.find(serials)
    rows = rows[rows >= 0]
    for owner, center in zip(flights.owner[rows].tolist(), flights.center[rows].tolist(), strict=True):
        if world.centers:
            world.centers[center].cancel(owner)
    flights.lost[rows] = True
    if world.scenario.round.late == "buffer":
        _forget(world, rows, tick)
    elif world.scenario.round.late == "wait":
        close_when_complete(world, when_up(world, tick))


def _forget(world: World, rows: IntColumn, tick: int) -> None:
    """Drop flights without a settlement: locked deposits go back, what was spent is lost, nothing is paid."""
    unlock(world, rows, tick)
    for owner in world.flights.owner[rows].tolist():
        forfeit(world, owner, world.flights.owner == owner)


# -- outages ----------------------------------------------------------------------------------------------------------


def announce_faults(world: World) -> None:
    """File the beginnings of all faults that do not last for the whole run."""
    if world.faults is not None:
        for place, fault in enumerate(world.faults.listed):
            if fault.duration is not None and fault.windows.start < world.faults.end:
                world.clock.at(Kind.FAULT, fault.windows.start, ref=2 * place)


def turn_fault(world: World, happening: Happening) -> None:
    """FAULT: a fault with a window begins (a server that restarts may abandon its round) or ends."""
    assert world.faults is not None
    tick, (place, ends) = int(happening.ticks[0]), divmod(int(happening.refs[0]), 2)
    fault = world.faults.listed[place]
    if ends:
        world.log.add(Event.RECOVERY, tick, world.rounds_closed, NOBODY, place)
        due, ref = fault.windows.next_start(tick), 2 * place
    else:
        world.log.add(Event.OUTAGE, tick, world.rounds_closed, NOBODY, place)
        due, ref = tick + fault.windows.length, 2 * place + 1
    if due < world.faults.end:
        world.clock.at(Kind.FAULT, due, ref=ref)
    if not ends and isinstance(fault, ServerRestart) and fault.open_round == "abandoned":
        _abandon(world, tick)


def _abandon(world: World, tick: int) -> None:
    """The model owner forgets its round and all uploads that it has not settled; the round closes without any."""
    flights = world.flights
    world.log.add(Event.ABANDON, tick, world.rounds_closed, NOBODY, len(flights))
    for center in world.centers:
        for owner in flights.owner.tolist():
            center.cancel(owner)
    _forget(world, np.arange(len(flights)), tick)
    if world.round is not None:
        if not world.round.planned:
            _plan_nobody(world, world.round)
        close_round(world, tick)


def _plan_nobody(world: World, current: Round) -> None:
    """A round that ends before its plan is settled as one for nobody, with the claims that its mechanism keeps."""
    nobody = current.decisions.take(np.zeros(0, dtype=np.int64))
    reports = Reports(nobody.owner, nobody.claims, nobody.offered_share, np.zeros(0), nobody.offered_volume)
    allocation = world.mechanism.plan(current.terms, reports)
    world.flights.add({"owner": nobody.owner}, allocation.claims)


def training_ends(world: World, center: int, tick: int, work: int) -> tuple[int, bool]:
    """When a training that a center begins at ``tick`` is done, and whether it is lost there and then instead.

    ``work`` in ticks. An outage in between pauses it, or it is lost when that begins.
    """
    if world.faults is None:
        return tick + work, False
    outages = world.faults.outages(center)
    while outages and tick <= world.faults.end:
        begin, first = min((one.windows.next_start(tick), place) for place, one in enumerate(outages))
        if tick + work <= begin:
            break
        if outages[first].work == "lost":
            return begin, True
        work, tick = work - (begin - tick), int(world.faults.over(outages, np.array([begin]))[0])
    return tick + work, False


def center_up(world: World, center: int, tick: int) -> int:
    """The first tick from this one on at which a center works."""
    if world.faults is None:
        return tick
    return int(world.faults.over(world.faults.outages(center), np.array([tick]))[0])
