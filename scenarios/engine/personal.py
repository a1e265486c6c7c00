"""Personal models in a round: train everybody's own, measure what the market asks, and exchange what was bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.population import Status
from learning.columns import FloatColumn, IntColumn
from learning.inspection_names import SIGNALS
from market.mechanism import COLLABORATION, DATA_SIZE, MODEL_DISTANCE, Edges, Settlement
from scenarios.engine.cohort import cohort_work, sound
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

if TYPE_CHECKING:
    from torch import Tensor

    from learning.cohort_work import CohortWork
    from learning.personal_federation import PersonalFederation


@dataclass(frozen=True, eq=False)
class Uploaded:
    """The uploads of a round between training and exchange; columns [K] and matrices [K, K] align.

    ``owner``: identities; ``work``: the same owners as the trainer sees them; ``weights``: samples claimed.
    """

    owner: IntColumn
    work: CohortWork
    uploads: Tensor
    weights: FloatColumn
    measured: dict[str, FloatColumn]


def train_personal(world: World, rows: IntColumn, tick: int) -> None:
    """Train the models of these flights in one call and measure what the mechanism asks; nothing is exchanged yet.

    Whose upload is late trains its own model all the same, and is not in the market. Uploads with NaN or infinite
    weights never reach anybody: they count as not arrived. So do those that diverged, where the scenario bounds them.
    """
    if len(rows) == 0:
        return
    federation = personal(world)
    work = cohort_work(world, rows)
    uploads = federation.uploads(work, world.rounds_closed, world.uploads_norm)
    norms = federation.norms(uploads, work)
    good = sound(world, rows, federation.finite(uploads), norms, tick)
    if not good.any():
        return
    world.uploads_norm = float(np.median(norms[good]))
    there = rows[good]
    uploads, work = uploads[good], cohort_work(world, there)
    weights = world.flights.claims[DATA_SIZE][there] * world.flights.data_share[there]
    counted = weights * world.flights.arrived[there]
    world.flights.weight[there] = counted / max(float(counted.sum()), 1e-300)
    measured = _measured(world, uploads, work, weights)
    wanted = world.policy.needs.intersection(SIGNALS)
    if wanted:
        for name, column in federation.signals(uploads, work, wanted).items():
            getattr(world.flights, name)[there] = column
    world.uploaded = Uploaded(world.flights.owner[there], work, uploads, weights, measured)


def _measured(world: World, uploads: Tensor, work: CohortWork, weights: FloatColumn) -> dict[str, FloatColumn]:
    federation, found = personal(world), {}
    if MODEL_DISTANCE in world.mechanism.measures:
        found[MODEL_DISTANCE] = federation.distances(uploads, work)
    if COLLABORATION in world.mechanism.measures:
        found[COLLABORATION] = federation.collaboration(uploads, work, weights, world.rounds_closed)
    return found


def pairwise(world: World, name: str, owners: IntColumn) -> FloatColumn:
    """A measured matrix for these owners, 0 where one of the two has sent nothing."""
    whole = np.zeros((len(owners), len(owners)))
    if world.uploaded is not None:
        at = np.flatnonzero(np.isin(owners, world.uploaded.owner))
        place = np.searchsorted(world.uploaded.owner, owners[at])
        whole[np.ix_(at, at)] = world.uploaded.measured[name][np.ix_(place, place)]
    return whole


def exchange_models(world: World, settled: Settled, result: Settlement) -> None:
    """Give everybody what it is entitled to, test all personal models, and take them back from who quits.

    On probation an owner is not given anything. Whoever quits keeps the best model that it ever had.
    """
    uploaded, population = world.uploaded, world.population
    if uploaded is None:
        return
    federation = personal(world)
    entitled = settled.owner[result.delivered & ~population.restricted[settled.owner]]
    bought = between(result.edges, entitled)
    allowed = np.zeros((len(uploaded.owner), len(uploaded.owner)), dtype=np.bool_)
    place = np.searchsorted(uploaded.owner, np.stack([bought.user, bought.source]))
    allowed[place[0], place[1]] = True
    federation.exchange(uploaded.uploads, uploaded.work, uploaded.weights, allowed, world.rounds_closed)
    persons = uploaded.work.owner
    accuracy, loss = federation.evaluate(persons)
    own = world.population.shard[uploaded.owner]
    population.model_version[uploaded.owner] = federation.version
    population.held_accuracy[uploaded.owner] = federation.owner_mean(accuracy, own)
    population.held_loss[uploaded.owner] = federation.owner_mean(loss, own)
    federation.keep_best(persons, population.held_accuracy[uploaded.owner])
    world.evaluation = _overall(world, accuracy, loss, uploaded.owner)
    world.uploaded = None


def between(edges: Edges, entitled: IntColumn) -> Edges:
    """The edges between owners of which the user is entitled to what it uses."""
    return edges.take((edges.source >= 0) & np.isin(edges.user, entitled))


def _overall(world: World, accuracy: FloatColumn, loss: FloatColumn, owners: IntColumn):  # type: ignore[no-untyped-def]
    """The mean over the personal models, each on its owner's own mix of classes."""
    from learning.evaluation import Evaluation

    population = world.population
    there = owners[population.status[owners] == Status.ACTIVE]
    if len(there) == 0:
        return world.evaluation
    mean = float(population.held_accuracy[there].mean())
    return Evaluation(mean, float(population.held_loss[there].mean()), accuracy.mean(axis=0), loss.mean(axis=0))


def personal(world: World) -> PersonalFederation:
    """The training of a scenario with personal models."""
    assert world.personal is not None
    return world.personal
