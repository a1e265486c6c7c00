"""Train everybody whose update has arrived, aggregate, test, and measure what the mechanism asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.inspection_names import SIGNALS
from learning.uploads import plants
from market.mechanism import CONTRIBUTION, DATA_SIZE, MEASURED_QUALITY
from scenarios.engine.clock import NOBODY
from scenarios.engine.cohort import cohort_work, sound
from scenarios.engine.event_log import Event
from scenarios.engine.evidence import gather_evidence
from scenarios.engine.learning_rules import blamed_on, effort_of, method_of
from scenarios.engine.personal import train_personal
from scenarios.engine.privacy import price_privacy, spend_privacy
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

if TYPE_CHECKING:
    from torch import Tensor

    from learning.federation import CohortWork


def _aggregation_weight(world: World, rows: IntColumn) -> FloatColumn:
    """The server knows only what was claimed: data size times offered share, and the synthetic samples asked for.

    And the privacy that it bought, where it buys any.
    """
    flights = world.flights
    sizes = np.asarray(flights.claims[DATA_SIZE][rows] * flights.data_share[rows] + flights.told_volume[rows])
    return sizes if world.privacy is None else world.privacy.weights(flights.epsilon[rows], sizes)


def aggregate_buffer(world: World, rows: IntColumn, tick: int) -> None:
    """Asynchronous rounds: train the owners whose updates are in and merge them, discounted by staleness."""
    world.flights.used[rows] = True
    spend_privacy(world, rows, tick)
    rows = rows[world.flights.arrived[rows]]
    if world.federation is not None:
        _merge(world, rows, tick, world.federation.aggregate_buffered)


def _merge(
    world: World, rows: IntColumn, tick: int, aggregate: Callable[[Tensor, CohortWork, FloatColumn], None]
) -> None:
    """Train the owners of these flights in one call, measure, and make the next version of what they send.

    Updates with NaN or infinite weights never reach the model: they count as not arrived. So do those that diverged,
    where the scenario bounds them. Where even the aggregate of the others overflows, the model stays as it is.
    """
    flights, federation = world.flights, world.federation
    assert federation is not None
    rows = _trained_sample(world, rows)
    work = cohort_work(world, rows)
    uploads = federation.uploads(work, world.rounds_closed, world.uploads_norm)
    norms = federation.norms(uploads, work)
    good = sound(world, rows, federation.finite(uploads), norms, tick)
    merged = rows[good]
    weights = _aggregation_weight(world, merged)
    if not weights.sum() > 0:
        return
    flights.weight[merged] = weights / weights.sum()
    world.tally.staleness.append((federation.version - flights.base_version[merged]).astype(np.float64))
    world.uploads_norm = float(np.median(norms[good]))
    uploads, work = uploads[good], cohort_work(world, merged)
    _measure(world, merged, uploads, work, weights)
    _measure_quality(world, merged, work)
    _inspect(world, merged, uploads, work)
    from learning.server import Overflow  # torch comes with the federation

    try:
        aggregate(uploads, work, weights)
    except Overflow:
        world.log.add(Event.OVERFLOW, tick, world.rounds_closed, NOBODY, len(merged))
        return
    world.log.add(Event.AGGREGATE, tick, world.rounds_closed, NOBODY, federation.version)


def _trained_sample(world: World, rows: IntColumn) -> IntColumn:
    """All of these flights, or as many by lot as the scenario really trains."""
    most = world.scenario.learning.trained_sample
    if most is None or len(rows) <= most:
        return rows
    lots = world.uniform("trained sample", world.flights.owner[rows], world.rounds_closed)
    return np.sort(rows[np.argsort(lots, kind="stable")[:most]])


def train_and_evaluate(world: World, rows: IntColumn, tick: int) -> Settled:
    """Train everybody whose update has arrived in one call, aggregate, test, and measure what the mechanism asked."""
    flights, federation, previous = world.flights, world.federation, world.accuracy
    in_time = rows[flights.arrived[rows]]
    if world.scenario.round.late != "buffer":
        spend_privacy(world, in_time, tick)
        in_time = in_time[flights.arrived[in_time]]
    elif len(rows):
        # Each aggregate had weights of its own; together they are the round's.
        flights.weight[rows] /= max(float(flights.weight[rows].sum()), 1e-300)
    if world.personal is not None:
        train_personal(world, rows, tick)
    elif federation is None:
        weights = _aggregation_weight(world, in_time)
        flights.weight[in_time] = weights / max(weights.sum(), 1e-300)
    elif world.scenario.round.late != "buffer" and len(in_time):
        _merge(world, in_time, tick, federation.aggregate)
    if federation is not None:
        world.evaluation = federation.evaluate()
    if world.training is not None and any(plants(list(strategy.sends())).any() for strategy in world.strategies):
        _measure_backdoor(world)
    none = np.zeros(len(rows))
    settled = Settled(
        owner=flights.owner[rows].copy(),
        arrived=flights.arrived[rows].copy(),
        upload=flights.upload[rows].astype(np.int64),
        violation=flights.violation[rows].copy(),
        lie=flights.lie[rows].copy(),
        weight=flights.weight[rows].copy(),
        contribution=flights.contribution[rows].copy(),
        contribution_error=flights.contribution_error[rows].copy(),
        evidence=gather_evidence(world, rows),
        spent=flights.spent[rows].copy(),
        samples=flights.samples[rows].copy(),
        synthetic=flights.synthetic[rows].copy(),
        told_volume=flights.told_volume[rows].copy(),
        generation_spent=flights.generation_spent[rows].copy(),
        previous_accuracy=previous,
        payment=none.copy(),
        audited=np.zeros(len(rows), dtype=np.bool_),
        flagged=np.zeros(len(rows), dtype=np.bool_),
        penalty=none.copy(),
        strategy=world.population.strategy.astype(np.int64),
    )
    price_privacy(world, rows, settled)
    return settled


def _measure_backdoor(world: World) -> None:
    """How often the trigger works: on the global model, or on average on those that owners use."""
    if world.federation is not None:
        world.backdoor_success = world.federation.backdoor_success()
    elif world.personal is not None:
        persons = world.population.person[world.population.active()]
        world.backdoor_success = world.personal.backdoor_success(persons)


def _wanted(world: World, measure: str) -> bool:
    """Whether the mechanism asked for this measurement, by the terms that were announced last."""
    now = None if world.terms is None else world.terms.measure
    return measure in world.mechanism.measures and (now is None or measure in now)


def _measure_quality(world: World, rows: IntColumn, work: CohortWork) -> None:
    """Measure the quality of the data behind these flights in training, if this round's terms say so.

    Nothing is learnt from data that nobody trains on: their quality is 0, and so is that of a training that diverges.
    """
    federation = world.federation
    if federation is None or not _wanted(world, MEASURED_QUALITY):
        return
    found = np.nan_to_num(federation.data_quality(work, world.rounds_closed), posinf=0.0, neginf=0.0)
    world.flights.measured_quality[rows] = found
    world.population.measured_quality[world.flights.owner[rows]] = found


def _measure(world: World, rows: IntColumn, uploads: Tensor, work: CohortWork, weights: FloatColumn) -> None:
    """Measure what the mechanism asked for, and nothing else, before the uploads are merged.

    Raises ``BadInput`` if the method that the scenario names cannot value so many uploads.
    """
    federation, spec = world.federation, world.scenario.learning
    if federation is None or not _wanted(world, CONTRIBUTION):
        return
    with blamed_on("learning.contribution", spec.contribution.name):
        found = federation.contribution(
            uploads,
            work,
            weights,
            method_of(spec),
            counter=federation.version,
            effort=effort_of(spec),
            worth=spec.measurement.worth,
        )
    world.flights.contribution[rows] = found.values
    world.flights.contribution_error[rows] = found.standard_error


def _inspect(world: World, rows: IntColumn, uploads: Tensor, work: CohortWork) -> None:
    """Note what training shows of these uploads, as far as the rules of enforcement read it."""
    wanted = world.policy.needs.intersection(SIGNALS)
    if world.federation is not None and wanted:
        for name, column in world.federation.signals(uploads, work, wanted).items():
            getattr(world.flights, name)[rows] = column


def forget_absent(world: World) -> None:
    """What training remembers of persons that have left goes with them, unless somebody is about to copy it."""
    if world.training is not None:
        population, peers = world.population, world.flights.peer
        needed = np.concatenate([population.active(), peers[peers >= 0]])
        rule = world.participation
        returns = rule.return_delay > 0 or rule.whitewash > 0 or any(one.renaming for one in world.strategies)
        if world.personal is not None and returns:
            needed = np.arange(len(population))  # whoever comes back brings its own model along
        world.training.retain(population.luck[needed])
