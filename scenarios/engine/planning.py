"""The plan of a round: an allocation from the reports that are in, and a flight for each owner that trains."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.inspection_names import SIGNALS
from learning.uploads import copies
from market.mechanism import Allocation, Reports
from market.money import from_micro
from market.parties import WORLD
from scenarios.engine.center_queues import queue_at_centers
from scenarios.engine.clock import NOBODY, Happening, Kind, after, to_ticks
from scenarios.engine.closing import close_when_complete
from scenarios.engine.decisions import Decisions
from scenarios.engine.event_log import Event
from scenarios.engine.fault_list import when_up
from scenarios.engine.generating import generate
from scenarios.engine.losses import send_or_crash
from scenarios.engine.privacy import sold_privacy
from scenarios.engine.work_due import samples_due, training_cost, worked_on
from scenarios.engine.world import World


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
        queue_at_centers(world, serials, owners, tick)
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
    samples = samples_due(world, chosen)
    worked = worked_on(world, owners, samples)
    spent = training_cost(world, owners, worked)
    world.post(tick, "training cost", owners, WORLD, spent)
    made = generate(world, chosen, allocation, selected, tick)
    peer = np.full(len(owners), -1, dtype=np.int64)
    copying = copies(chosen.upload)
    peer[copying] = world.graph.open_neighbour(owners[copying], world.uniform("peer", owners[copying], current.number))
    if world.personal is not None:  # of personal models only those that it has had can be copied
        peer[copying] = world.graph.used(owners[copying], peer[copying])
    version = 0
    if world.federation is not None:
        version = world.federation.version
        world.federation.hold(version, len(owners))
    center = _centers(world, owners, allocation, selected)
    speed = world.center_types["rate"][center] if world.centers else population.compute_rate[owners]
    compute = (worked + made.synthetic) * world.scenario.learning.epochs / speed + made.seconds
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
