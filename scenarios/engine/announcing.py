"""What a mechanism sees before it announces: the public board, with public columns where it asks for them."""

from __future__ import annotations

import dataclasses

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.mechanism import CLAIMS, Board, Members
from scenarios.engine.rivals import intensities, label_mixes
from scenarios.engine.world import World


def full_board(world: World) -> Board:
    """The board with the owners that are in the market now, the centers and a lot, if the mechanism watches them."""
    if not world.mechanism.watches_members:
        return world.board
    population, number = world.population, world.board.round
    active = population.active()
    claims = {claim: getattr(population, f"reported_{claim}")[active] for claim in CLAIMS}
    members = Members(
        active,
        claims,
        {"quality": population.measured_quality[active]},
        population.center[active].copy(),
        population.first_round[active],
        population.missed_rounds[active],
        {name: _of(column, active) for name, column in world.records.items()},
        intensities(world, active),
        label_mixes(world, active),
    )
    lot = float(world.streams.uniform("lot", 0, number))
    return dataclasses.replace(
        world.board,
        members=members,
        center_cost=world.center_types["cost_factor"],
        lot=lot,
        remembered=dict(world.remembered),
    )


def _of(record: FloatColumn, owners: IntColumn) -> FloatColumn:
    """A record of these owners; NaN for who came after it was last written."""
    known = owners < len(record)
    values = np.full(len(owners), np.nan)
    values[known] = record[owners[known]]
    return values
