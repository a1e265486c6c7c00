"""Owners that compete: what they feel of each other, what their models achieve, what rivals cost them."""

from __future__ import annotations

import dataclasses

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.competition import CompetitionMatrix
from market.cocogen.rivalry import Rivalry, too_many
from market.mechanism import Generating, LabelMixes, Types
from scenarios.engine.decisions import true_types
from scenarios.engine.settled import Settled
from scenarios.engine.world import World
from scenarios.errors import BadInput


def intensities(world: World, owners: IntColumn) -> CompetitionMatrix | None:
    """Competition among these owners, in this order; None where nobody competes."""
    if world.rivalry is None:
        return None
    return _felt(world, world.rivalry, owners)


def _felt(world: World, rivalry: Rivalry, owners: IntColumn) -> CompetitionMatrix:
    """Intensities among identities: each of several of a person feels its part of them, and nothing of the others.

    Raises ``BadInput`` where so many cannot compete at a time.
    """
    if rivalry.most_persons is not None and len(owners) > rivalry.most_persons:
        raise BadInput("", "market.competition", rivalry.name, problem=too_many(rivalry, len(owners)))
    population = world.population
    matrix = rivalry.among(population.person[owners], world.streams)
    if not world.several:
        return matrix
    person, count = population.person[owners], len(owners)
    whole = np.reshape([matrix @ column for column in np.eye(count)], (count, count)).T
    strangers = person[:, None] != person[None, :]
    return np.where(strangers, whole / population.identities[owners][:, None], 0.0)


def label_mixes(world: World, owners: IntColumn) -> LabelMixes | None:
    """Classes in the data of these owners and of everybody, where a mechanism works with them."""
    return None if world.labels is None else world.labels.take(world.population.shard[owners])


def feel_rivals(world: World, owners: IntColumn) -> None:
    """Owners look around: the pressure that each feels of who is in the market now."""
    if world.rivalry is None or len(owners) == 0:
        return
    population = world.population
    everybody = np.union1d(population.active(), owners)
    there = np.isin(everybody, population.active())
    matrix = _felt(world, world.rivalry, everybody)
    felt = np.asarray(matrix @ np.where(there, population.profitability[everybody], 0.0))
    population.competition_pressure[owners] = felt[np.searchsorted(everybody, owners)]


def own_performance(world: World, settled: Settled) -> FloatColumn:
    """What the new model achieves on each owner's own labels: measured, or what the curve says of what was done."""
    mechanism = world.mechanism
    assert isinstance(mechanism, Generating)
    if mechanism.pays_for == "measured" and world.federation is not None and world.evaluation is not None:
        shard = world.population.shard[settled.owner]
        return np.nan_to_num(world.federation.owner_mean(world.evaluation.class_accuracy, shard))
    found = np.zeros(len(settled.owner))
    came = np.flatnonzero(settled.arrived)
    found[came] = mechanism.performance(types_behind(world, settled, came), settled.synthetic[came].astype(np.float64))
    return found


def types_behind(world: World, settled: Settled, rows: IntColumn) -> Types:
    """True types behind some uploads of a round, with the samples really trained on: a forged upload has none."""
    types = true_types(world.population, settled.owner[rows], world.labels)
    return dataclasses.replace(types, data_size=settled.samples[rows].astype(np.float64))


def book_competition(world: World, settled: Settled) -> None:
    """What rivals' models cost each owner whose upload came, on true types."""
    mechanism = world.mechanism
    came = np.flatnonzero(settled.arrived)
    if not isinstance(mechanism, Generating) or len(came) == 0:
        return
    owners = settled.owner[came]
    competition = intensities(world, owners)
    if competition is None:
        return
    types = types_behind(world, settled, came)
    made = settled.synthetic[came].astype(np.float64)
    settled.competition_loss[came] = mechanism.competition_loss(types, made, settled.own_performance[came], competition)
