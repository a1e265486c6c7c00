"""How much work owners have before them when they train, and what it costs."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.uploads import works
from market.money import to_micro
from scenarios.engine.decisions import Decisions
from scenarios.engine.world import World


def samples_due(world: World, decisions: Decisions) -> IntColumn:
    """Samples that owners really train on: whole ones, none for a forged upload."""
    share = np.where(works(decisions.upload), decisions.work_share, 0.0)
    return np.asarray(np.rint(share * world.population.data_size[decisions.owner]), dtype=np.int64)


def worked_on(world: World, owners: IntColumn, samples: IntColumn) -> IntColumn:
    """Which of these samples cost work: not those that a method of personal models holds back to test on."""
    if world.personal is None:
        return samples
    return np.minimum(samples, world.personal.trainable(world.population.shard[owners]))


def training_cost(world: World, owners: IntColumn, samples: IntColumn) -> IntColumn:
    """What training on so many samples costs, in micro-units."""
    return to_micro(world.population.cost[owners] * samples)
