"""Persons with several identities in the market at once (Sybils), and what these share.

A person is divided among its names, never multiplied. Each name holds a part of the data (no sample is in two of them),
of the device, of what a model earns among rivals and of the privacy sold in a round; the privacy of a lifetime is one
account. Each name has its own purse, deposit, reputation, claims, uploads and luck. Names trade with each other like
strangers. What a person can have only once, the worth of a model and its outside option, is shared out among the names
that are there. So the utility of a person is the sum of the utilities of its identities.

In a market where everybody has one name, nothing of this is computed and nothing is drawn.
"""

from __future__ import annotations

import numpy as np

from agents.population import ADAPTATION_MEMORY, MEMORY, Status
from agents.strategies.sybil import Sybil
from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import FURTHER_CLAIMS
from scenarios.engine.sub_shards import names_at_once
from scenarios.engine.world import World

APART = 2**41
"""Between the numbers that key the luck of a person's names; more than there are persons, or other keys."""
_OF_THE_PERSON = (
    *("region", "offline_until"),
    *("person", "luck", "decider", "identities", "shard", "data_size", "quality", "cost", "compute_rate", "link_time"),
    *("think_time", *FURTHER_CLAIMS, "privacy_cap", "lifetime_privacy", "epsilon_spent", "model_value"),
    *("outside_option", "strategy", "leaves_at", "region", *MEMORY, *ADAPTATION_MEMORY),
)


def another_name(world: World, owners: IntColumn) -> IntColumn:
    """Fresh rows, one for each of ``owners``: the same person, strategy and data, no history, no money yet."""
    population = world.population
    ids = population.grow(len(owners))
    if len(owners) == 0:
        return ids
    world.ledger.open_accounts(len(population))
    for name in _OF_THE_PERSON:
        getattr(population, name)[ids] = getattr(population, name)[owners]
    population.reputation[ids] = world.policy.initial_reputation
    if world.policy.ban.whole_person:
        population.banned_until[ids] = population.banned_until[owners]
    return ids


def take_names(world: World, owners: IntColumn, tick: int) -> IntColumn:
    """Further identities of persons that have just come, and everything divided among all of them; the new rows."""
    if not world.several:
        return np.zeros(0, dtype=np.int64)
    population = world.population
    names = names_at_once(world.strategies)[population.strategy[owners]]
    names = np.minimum(names, world.shard_sizes[population.shard[owners]])
    sybils, names = owners[names > 1], names[names > 1]
    fresh = another_name(world, np.repeat(sybils, names - 1))
    before = np.repeat(np.cumsum(names - 1) - (names - 1), names - 1)
    number = np.concatenate([np.zeros(len(sybils), dtype=np.int64), np.arange(len(fresh)) - before + 1])
    everybody = np.concatenate([sybils, fresh])
    count = np.concatenate([names, np.repeat(names, names - 1)])
    _divide(world, everybody, number, count)
    purse = world.ledger.wallet[sybils] // names
    world.post(tick, "new identity", np.repeat(sybils, names - 1), fresh, np.repeat(purse, names - 1))
    return fresh


def _divide(world: World, ids: IntColumn, number: IntColumn, count: IntColumn) -> None:
    """Make of these rows the names 0, 1, ... of ``count`` that their persons have."""
    population = world.population
    population.identities[ids] = count
    population.luck[ids] = population.person[ids] + APART * number
    together = np.array([not isinstance(one, Sybil) or one.leaving == "together" for one in world.strategies])
    chosen = population.strategy[ids]
    population.decider[ids] = np.where(together[chosen], population.person[ids], population.luck[ids])
    pairs = zip(population.shard[ids].tolist(), count.tolist(), strict=True)
    first = np.array([world.sub_shards.first[pair] for pair in pairs], dtype=np.int64)
    population.shard[ids] = first + number
    population.data_size[ids] = world.shard_sizes[population.shard[ids]]
    population.emd[ids] = world.shard_emd[population.shard[ids]]
    for name in ("compute_rate", "profitability", "privacy_cap", "privacy_budget"):
        getattr(population, name)[ids] /= count
    if world.privacy is not None:
        population.privacy_budget[ids] = world.privacy.left(population.person[ids], population.privacy_cap[ids], count)


# -- of one person ----------------------------------------------------------------------------------------------------


def siblings(world: World, owners: IntColumn) -> IntColumn:
    """All identities that the persons behind these have ever had, these included, in ascending order."""
    if not world.several:
        return owners
    person = world.population.person
    return np.flatnonzero(np.isin(person, person[owners]))


def share(world: World, owners: IntColumn) -> FloatColumn:
    """The part of its person that each stands for: one of its names in the market, or about to join (``owners``)."""
    if not world.several:
        return np.ones(len(owners))
    population = world.population
    there = population.status == Status.ACTIVE
    there[owners] = True
    persons, count = np.unique(population.person[there], return_counts=True)
    return np.asarray(1.0 / count[np.searchsorted(persons, population.person[owners])])


def counted_once(world: World, owners: IntColumn, worth: FloatColumn) -> FloatColumn:
    """Worth [K] of which a person has only the largest, however many of its identities (all here) have some."""
    if not world.several:
        return worth
    _, place = np.unique(world.population.person[owners], return_inverse=True)
    total = np.bincount(place, weights=worth)
    most = np.zeros(len(total))
    np.maximum.at(most, place, worth)
    return np.asarray(worth * np.divide(most, total, out=np.zeros(len(total)), where=total > 0)[place])


# -- of one mind ------------------------------------------------------------------------------------------------------


def in_sum(world: World, owners: IntColumn, column: FloatColumn) -> FloatColumn:
    """For each of these owners the sum over those that come and go with it."""
    if not world.several:
        return column
    _, place = np.unique(world.population.decider[owners], return_inverse=True)
    sums: FloatColumn = np.bincount(place, weights=column).astype(np.float64)
    return sums[place]


def if_all(world: World, owners: IntColumn, fits: BoolColumn) -> BoolColumn:
    """For each of these owners whether it holds of all that come and go with it."""
    if not world.several:
        return fits
    decider = world.population.decider[owners]
    return ~np.isin(decider, decider[~fits])


def with_partners(world: World, owners: IntColumn, status: tuple[Status, ...]) -> IntColumn:
    """These owners and all that come and go with them and stand so, in ascending order."""
    if not world.several:
        return owners
    population = world.population
    partners = np.isin(population.decider, population.decider[owners]) & np.isin(population.status, status)
    return np.union1d(owners, np.flatnonzero(partners))


def speakers(world: World, owners: IntColumn) -> IntColumn:
    """One of those that come and go together, and none where another of them is in the market still."""
    if not world.several:
        return owners
    decider = world.population.decider
    owners = owners[~np.isin(decider[owners], decider[world.population.active()])]
    _, first = np.unique(decider[owners], return_index=True)
    return np.sort(owners[first])
