"""What the regulator has of the flights of a round: standing, claims, and measurements of each upload."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.inspection_names import SIGNALS
from market.enforcement import Evidence
from market.mechanism import CONTRIBUTION, DATA_SIZE, MEASURED_QUALITY
from scenarios.engine.world import World


def gather_evidence(world: World, rows: IntColumn) -> Evidence:
    """Columns of these flights, as far as the rules of enforcement read them."""
    flights, population = world.flights, world.population
    owners = flights.owner[rows]
    measured = {name: getattr(flights, name)[rows].copy() for name in world.policy.needs.intersection(SIGNALS)}
    if CONTRIBUTION in world.policy.needs:
        measured[CONTRIBUTION] = flights.contribution[rows].copy()
    if MEASURED_QUALITY in world.policy.needs:
        measured[MEASURED_QUALITY] = np.where(flights.arrived[rows], flights.measured_quality[rows], np.nan)
    sizes = flights.claims.get(DATA_SIZE, population.reported_data_size[flights.owner])[rows]
    claimed = sizes * flights.data_share[rows] * population.reported_quality[owners]
    return Evidence(population.reputation[owners].copy(), claimed, measured)
