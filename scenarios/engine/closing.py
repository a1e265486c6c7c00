"""The end of a round, phase by phase: train and evaluate, settle, enforce, react; then write it down."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.bookkeeping import write_round
from scenarios.engine.clock import NOBODY, Kind
from scenarios.engine.confirming import dismiss
from scenarios.engine.enforcing import enforce
from scenarios.engine.evaluation import forget_absent, train_and_evaluate
from scenarios.engine.event_log import Event
from scenarios.engine.fees import charge_fees
from scenarios.engine.leaving import forget_flights
from scenarios.engine.pictures import keep_pictures
from scenarios.engine.privacy import wear_privacy
from scenarios.engine.reacting import react
from scenarios.engine.settlement import settle
from scenarios.engine.world import World


def close_round(world: World, tick: int) -> None:
    """CLOSE: the four phases, in order; then the round is written and the next one can open."""
    rows = _due(world)
    keep_pictures(world, rows)
    settled = train_and_evaluate(world, rows, tick)
    settle(world, rows, settled, tick)
    charge_fees(world, settled, tick)
    done = np.zeros(len(world.flights), dtype=np.bool_)
    done[rows] = True
    forget_flights(world, done)  # before anybody is expelled: who leaves now forfeits nothing that is settled
    enforce(world, settled, tick)
    dismiss(world, settled, tick)
    wear_privacy(world, settled, tick)
    react(world, settled, tick)
    forget_absent(world)
    world.log.add(Event.CLOSE, tick, world.rounds_closed, NOBODY, world.accuracy)
    write_round(world, settled, tick)
    world.rounds_closed += 1
    world.population.returns[:] = 0
    world.round = None


def close_when_complete(world: World, tick: int) -> None:
    """A waiting round closes as soon as nobody's update is outstanding."""
    if world.round is not None and world.round.planned and world.flights.complete:
        world.clock.at(Kind.CLOSE, tick, ref=world.round.number)


def _due(world: World) -> IntColumn:
    """Flights settled now: all of this round, or, in asynchronous rounds, those that have been aggregated."""
    if world.scenario.round.late == "buffer":
        return np.flatnonzero(world.flights.used)
    return np.arange(len(world.flights))
