"""Places at computing centers: given back by those who do not need them any more."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.world import World


def give_back_places(world: World, owners: IntColumn, centers: IntColumn) -> None:
    """Owners [K] leave the computing centers [K] that train for them, or their queues; who is not there does nothing.

    Center by center, and at each in the order of ``owners``: the next in line follow in that order.
    """
    if world.centers:
        order = np.argsort(centers, kind="stable")
        for owner, center in zip(owners[order].tolist(), centers[order].tolist(), strict=True):
            world.centers[center].cancel(owner)
