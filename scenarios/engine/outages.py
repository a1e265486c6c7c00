"""Faults that begin and end: they are told in the log, and an intervention may change them while the run goes on."""

from __future__ import annotations

import dataclasses

import numpy as np

from learning.columns import IntColumn
from market.mechanism import Reports
from scenarios.engine.center_places import give_back_places
from scenarios.engine.clock import FAR, NOBODY, Happening, Kind
from scenarios.engine.closing import close_round
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import Faults
from scenarios.engine.losses import forget
from scenarios.engine.world import Round, World
from scenarios.faults.outages import ServerRestart


def announce_faults(world: World) -> None:
    """File the beginnings of all faults that do not last for the whole run."""
    if world.faults is not None:
        for place in range(len(world.faults.listed)):
            _announce(world, place, 0)


def change_faults(world: World, tick: int) -> None:
    """The scenario lists other faults from ``tick`` on. What is on its way, or trains at a center, goes on as it was.

    A fault that stays as it was at its place in the list goes on acting, with the same draws.
    """
    before = () if world.faults is None else world.faults.listed
    world.faults = Faults.listed_in(world.scenario)
    after = world.faults.listed
    for place in range(max(len(before), len(after))):
        if before[place : place + 1] == after[place : place + 1]:
            continue
        if _told_to_end(world, place):
            world.log.add(Event.RECOVERY, tick, world.rounds_closed, NOBODY, place)
        _drop(world, place)
        if place < len(after):
            _announce(world, place, tick)


def prolong_faults(world: World, end: int) -> None:
    """The run ends at another tick than it was going to: file what begins or ends after the old one."""
    if world.faults is None:
        return
    last = world.faults.end
    world.faults = dataclasses.replace(world.faults, end=end)
    for place, fault in enumerate(world.faults.listed):
        if fault.duration is None or fault.windows.start >= FAR or _told(world, place).size:
            continue
        acts = bool(fault.windows.contain(np.array([last - 1]))[0])
        due = int(fault.windows.end(np.array([last - 1]))[0]) if acts else fault.windows.next_start(last)
        if due < end:
            world.clock.at(Kind.FAULT, due, ref=2 * place + acts)


def _announce(world: World, place: int, tick: int) -> None:
    """File the beginning of a fault's window, the present one or the next from ``tick`` on."""
    assert world.faults is not None
    fault = world.faults.listed[place]
    acts = bool(fault.windows.contain(np.array([tick]))[0])
    begin = tick if acts else fault.windows.next_start(tick)
    if fault.duration is not None and begin < world.faults.end:
        world.clock.at(Kind.FAULT, begin, ref=2 * place)


def _told(world: World, place: int) -> IntColumn:
    """References of the events that are pending for the fault at this place."""
    pending = [wave.refs[wave.cursor :] for wave in world.clock.pending() if wave.kind is Kind.FAULT]
    refs = np.concatenate([np.zeros(0, dtype=np.int64), *pending])
    return np.asarray(refs[refs // 2 == place])


def _drop(world: World, place: int) -> None:
    world.clock.drop(Kind.FAULT, lambda _, refs: np.asarray(refs // 2 == place))


def _told_to_end(world: World, place: int) -> bool:
    return bool((_told(world, place) % 2 == 1).any())


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
        due, ref = int(fault.windows.end(np.array([tick]))[0]), 2 * place + 1
    if due < world.faults.end:
        world.clock.at(Kind.FAULT, due, ref=ref)
    if not ends and isinstance(fault, ServerRestart) and fault.open_round == "abandoned":
        _abandon(world, tick)


def _abandon(world: World, tick: int) -> None:
    """The model owner forgets its round and all uploads that it has not settled; the round closes without any."""
    flights = world.flights
    world.log.add(Event.ABANDON, tick, world.rounds_closed, NOBODY, len(flights))
    give_back_places(world, flights.owner, flights.center)
    forget(world, np.arange(len(flights)), tick)
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
