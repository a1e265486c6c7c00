"""The begin of a round: terms, invitations, decisions, and the reports that come of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from agents.population import Status
from learning.columns import BoolColumn, IntColumn
from market.parties import MODEL_OWNER
from scenarios.engine.announcing import full_board
from scenarios.engine.clock import NOBODY, Happening, Kind, after, to_ticks
from scenarios.engine.decisions import Decisions, decide
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import reachable, when_up
from scenarios.engine.intervening import intervene, tune
from scenarios.engine.leaving import ExitKind, leave_for_good
from scenarios.engine.messaging import first_reports, in_time, post_reports
from scenarios.engine.privacy import promised
from scenarios.engine.rivals import feel_rivals
from scenarios.engine.work_due import samples_due, training_cost, worked_on
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
    cost = training_cost(world, owners, worked_on(world, owners, samples_due(world, decisions)))
    broke = decisions.takes_part & (world.ledger.wallet[owners] < cost)
    if broke.any():
        leave_for_good(world, owners[broke], ExitKind.BANKRUPT, tick)
    return np.asarray(~broke)


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
