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
CLOSE      train, evaluate, settle, enforce, react (``scenarios.engine.closing``)
=========  =======================================================================================
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from agents.participation import ExitCause
from agents.population import Status
from learning.columns import BoolColumn, IntColumn
from learning.inspection_names import SIGNALS
from learning.uploads import copies, works
from market.mechanism import Allocation, Reports
from market.money import from_micro, to_micro
from market.parties import MODEL_OWNER, WORLD
from scenarios.engine.announcing import full_board
from scenarios.engine.center_places import give_back_places
from scenarios.engine.clock import NOBODY, Happening, Kind, after, to_ticks
from scenarios.engine.closing import close_round, close_when_complete
from scenarios.engine.decisions import Decisions, decide
from scenarios.engine.evaluation import aggregate_buffer
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import center_up, reachable, training_ends, when_up
from scenarios.engine.generating import generate
from scenarios.engine.intervening import intervene, tune
from scenarios.engine.leaving import ExitKind, leave, leave_for_good, leaves_no_trace
from scenarios.engine.losses import crash_at_the_door, send_or_crash
from scenarios.engine.messaging import first_copies, first_reports, in_time, post_reports, post_uploads
from scenarios.engine.privacy import promised, sold_privacy
from scenarios.engine.rivals import feel_rivals
from scenarios.engine.world import Round, World


def open_round(world: World, happening: Happening) -> None:
    """OPEN: turn due levers, publish the board and the terms, ask the invited owners, send their reports on the way."""
    tick = int(happening.ticks[0])
    world.clock.at(Kind.OPEN, tick + world.window_ticks)
    if world.round is not None or when_up(world, tick) > tick:
        return  # the last round still waits for its stragglers, or the model owner is away
    number = world.rounds_closed
    _end_probation(world, number)
    intervene(world, number, tick)
    tune(world, number)
    budget = world.model_owner.announce_budget(world.ledger.balance(MODEL_OWNER) - promised(world))
    world.board = dataclasses.replace(world.board, round=number, budget=budget)
    terms = world.terms = world.mechanism.announce(full_board(world))
    invited = _invite(world, number, tick)
    feel_rivals(world, world.population.active())
    decisions = decide(
        world.population,
        world.strategies,
        world.mechanism,
        world.policy,
        world.streams,
        world.board,
        terms,
        invited,
        world.labels,
    )
    decisions = decisions.take(_solvent(world, decisions, tick))
    invited = decisions.owner
    window = tick // world.window_ticks
    world.round = Round(
        number,
        tick,
        window,
        world.board,
        terms,
        invited,
        world.population.stay[invited].copy(),
        decisions,
        np.zeros(len(invited), dtype=np.bool_),
    )
    world.log.add(Event.OPEN, tick, number, NOBODY, budget)
    for claim, column in decisions.claims.items():
        getattr(world.population, f"reported_{claim}")[invited] = column
    _send_reports(world, world.round, tick)


def _end_probation(world: World, number: int) -> None:
    population = world.population
    over = np.flatnonzero(population.restricted & (population.probation_until <= number))
    population.restricted[over] = False
    for owner in over[population.status[over] == Status.ACTIVE].tolist():
        world.graph.restore(owner)


def _invite(world: World, number: int, tick: int) -> IntColumn:
    """All owners without an update on its way and with a device that works, or a random sample of them."""
    active = world.population.active()
    free = np.setdiff1d(active, world.flights.owner, assume_unique=True) if len(world.flights) else active
    free = reachable(world, free, tick)
    most = world.scenario.round.invited
    if most is None or len(free) <= most:
        return free
    order = np.argsort(world.uniform("invitation", free, number), kind="stable")
    return np.sort(free[order[:most]])


def _solvent(world: World, decisions: Decisions, tick: int) -> BoolColumn:
    """Owners that mean to train but cannot pay for it are bankrupt and leave."""
    owners = decisions.owner
    cost = _training_cost(world, owners, _worked_on(world, owners, _samples(world, decisions)))
    broke = decisions.takes_part & (world.ledger.wallet[owners] < cost)
    if broke.any():
        leave_for_good(world, owners[broke], ExitKind.BANKRUPT, tick)
    return np.asarray(~broke)


def _samples(world: World, decisions: Decisions) -> IntColumn:
    """Samples that owners really train on: whole ones, none for a forged upload."""
    share = np.where(works(decisions.upload), decisions.work_share, 0.0)
    return np.asarray(np.rint(share * world.population.data_size[decisions.owner]), dtype=np.int64)


def _worked_on(world: World, owners: IntColumn, samples: IntColumn) -> IntColumn:
    """Which of these samples cost work: not those that a method of personal models holds back to test on."""
    if world.personal is None:
        return samples
    return np.minimum(samples, world.personal.trainable(world.population.shard[owners]))


def _training_cost(world: World, owners: IntColumn, samples: IntColumn) -> IntColumn:
    """What training on so many samples costs, in micro-units."""
    return to_micro(world.population.cost[owners] * samples)


def _send_reports(world: World, opened: Round, tick: int) -> None:
    """Reports leave after each owner's thinking time; one that would miss the deadline is never sent."""
    answering = opened.decisions.takes_part
    owners = opened.invited[answering]
    delay = world.population.think_time[owners] * world.exponential("thinking", owners, opened.number)
    ticks = after(tick, delay)
    deadline = tick + to_ticks(world.scenario.round.report_deadline)
    sent = in_time(world, owners, ticks, tick, deadline)
    post_reports(world, owners[sent], ticks[sent], np.flatnonzero(answering)[sent], opened.number)
    world.clock.at(Kind.PLAN, when_up(world, deadline), ref=opened.number)


def receive_reports(world: World, happening: Happening) -> None:
    """REPORT: note who has answered."""
    rows, first = first_reports(world, happening)
    if len(rows):
        assert world.round is not None
        world.round.reported[rows] = True
        sizes = world.round.decisions.claims["data_size"][rows]
        world.log.add(Event.REPORT, happening.ticks[first], world.round.number, happening.owners[first], sizes)


def plan_round(world: World, happening: Happening) -> None:
    """PLAN: allocate, pay for training, put the updates on their way."""
    current, population, tick = world.round, world.population, int(happening.ticks[0])
    if current is None or current.number != happening.refs[0]:
        return  # abandoned meanwhile
    present = current.reported & world.still_invited()
    chosen = current.decisions.take(present)
    current.planned, current.reported = True, present
    reports = Reports(
        chosen.owner,
        chosen.claims,
        chosen.offered_share,
        population.reputation[chosen.owner],
        chosen.offered_volume,
    )
    allocation = world.mechanism.plan(current.terms, reports)
    selected = np.flatnonzero(allocation.selected)
    current.selected = len(selected)
    world.log.add(Event.PLAN, tick, current.number, NOBODY, len(selected))
    serials = _start(world, chosen.take(selected), allocation, selected, tick)
    owners = chosen.owner[selected]
    if world.centers:
        _queue_at_centers(world, serials, owners, tick)
    else:
        send_or_crash(world, owners, serials, tick)
    if world.scenario.round.late == "wait":
        close_when_complete(world, tick)
    else:
        deadline = tick + to_ticks(world.scenario.round.train_deadline)
        world.clock.at(Kind.CLOSE, when_up(world, deadline), ref=current.number)


def _start(world: World, chosen: Decisions, allocation: Allocation, selected: IntColumn, tick: int) -> IntColumn:
    """Book the true costs and open a flight per selected owner."""
    population, owners = world.population, chosen.owner
    current = world.round
    assert current is not None
    samples = _samples(world, chosen)
    worked_on = _worked_on(world, owners, samples)
    spent = _training_cost(world, owners, worked_on)
    world.post(tick, "training cost", owners, WORLD, spent)
    made = generate(world, chosen, allocation, selected, tick)
    peer = np.full(len(owners), -1, dtype=np.int64)
    copying = copies(chosen.upload)
    peer[copying] = world.graph.open_neighbour(owners[copying], world.uniform("peer", owners[copying], current.number))
    if world.personal is not None:
        peer[copying] = world.graph.used(
            owners[copying], peer[copying]
        )  # of personal models only those that it has had can be copied
    version = 0
    if world.federation is not None:
        version = world.federation.version
        world.federation.hold(version, len(owners))
    center = _centers(world, owners, allocation, selected)
    speed = world.center_types["rate"][center] if world.centers else population.compute_rate[owners]
    compute = (worked_on + made.synthetic) * world.scenario.learning.epochs / speed + made.seconds
    link = population.link_time[owners] * world.exponential("link", owners, current.number)
    return world.flights.add(
        {
            "owner": owners,
            "round": np.full(len(owners), current.number),
            "samples": samples,
            "base_version": np.full(len(owners), version),
            "upload": chosen.upload,
            "scale": chosen.scale,
            "peer": peer,
            "center": center,
            "violation": chosen.violation & ~(chosen.only_shirks & (made.wanted >= made.told)),
            "lie": chosen.lie,
            "data_share": allocation.data_share[selected],
            "promised": allocation.promised[selected],
            **sold_privacy(world, chosen, allocation, selected),
            "spent": from_micro(spent) + made.spent,
            "generation_spent": made.spent,
            "told_volume": made.told,
            "synthetic": made.synthetic,
            "locked": made.locked,
            "compute_ticks": after(0, compute),
            "link_ticks": after(0, link),
            "contribution": np.full(len(owners), np.nan),
            "contribution_error": np.full(len(owners), np.nan),
            **{name: np.full(len(owners), np.nan) for name in SIGNALS},
        },
        {name: column[selected] for name, column in allocation.claims.items()},
    )


def _centers(world: World, owners: IntColumn, allocation: Allocation, selected: IntColumn) -> IntColumn:
    """The center of each owner that trains: its match, which is kept, or one by its number."""
    if allocation.center is None:
        return np.asarray(world.population.person[owners] % max(1, len(world.centers)))
    matched = allocation.center[selected]
    world.population.center[owners] = matched
    return matched


def _queue_at_centers(world: World, serials: IntColumn, owners: IntColumn, tick: int) -> None:
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
    for tick, owner, serial in _entries(happening):
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
    for tick, owner, serial in _entries(happening):
        row = int(world.flights.find(np.array([serial]))[0])
        if row < 0:
            continue  # dropped at the deadline, and its slot given back then
        world.centers[int(world.flights.center[row])].cancel(owner)
        due = tick + int(world.flights.link_ticks[row])
        post_uploads(world, *(np.array([value]) for value in (owner, serial, tick, due)))


def _entries(happening: Happening) -> list[tuple[int, int, int]]:
    return list(zip(happening.ticks.tolist(), happening.owners.tolist(), happening.refs.tolist(), strict=True))


def receive_updates(world: World, happening: Happening) -> None:
    """UPDATE: note arrivals; asynchronous rounds aggregate whenever the buffer is full."""
    serials, ticks = first_copies(world, happening)
    if len(serials) == 0:
        return
    if world.scenario.round.late == "buffer":
        size = world.scenario.round.buffer_size
        room = size - len(_waiting(world))
        for first, last in itertools.pairwise([0, *range(room, len(serials), size), len(serials)]):
            _note_arrivals(world, serials[first:last], ticks[first:last])
            if len(_waiting(world)) == size:
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
    for tick, owner, cause in _entries(happening):
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
