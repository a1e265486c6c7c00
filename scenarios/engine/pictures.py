"""A few generated images beside real ones, kept once per run so that they can be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learning.columns import IntColumn
from scenarios.engine.world import World

if TYPE_CHECKING:
    from torch import Tensor

GENERATED, REAL = 9, 3
"""Images of a class, at most."""


def keep_pictures(world: World, rows: IntColumn) -> None:
    """Write what the owners of these flights have generated, if it is images and the first of the run.

    The samples are made again: they are a function of owner and round.
    """
    flights, federation = world.flights, world.federation
    if world.pictured or federation is None or federation.workbench is None or not flights.synthetic[rows].any():
        return
    world.pictured = True
    shards = federation.shards
    if shards.x.ndim != 4 or shards.x.shape[1] not in (1, 3):
        return
    low, high = float(shards.x.min()), float(shards.x.max())
    left: dict[tuple[bool, int], int] = {}
    for row in rows[flights.synthetic[rows] > 0].tolist():
        owner = int(flights.owner[row])
        luck, shard = int(world.population.luck[owner]), int(world.population.shard[owner])
        samples, volume = int(flights.samples[row]), int(flights.synthetic[row])
        made = federation.workbench.make(luck, shard, samples, volume, world.rounds_closed)
        begin = int(shards.offsets[shard])
        _write(
            world, owner, shards.x[begin : begin + samples], shards.y[begin : begin + samples], False, left, low, high
        )
        if made is not None:
            _write(world, owner, made.x, made.y, True, left, low, high)


def _write(
    world: World,
    owner: int,
    x: Tensor,
    y: Tensor,
    generated: bool,
    left: dict[tuple[bool, int], int],
    low: float,
    high: float,
) -> None:
    """The first images of each class that has not enough yet; grey levels from 0 to 255, as hexadecimal text."""
    scale = 255.0 / (high - low) if high > low else 0.0
    for label in np.unique(y.cpu().numpy()).tolist():
        room = left.setdefault((generated, label), GENERATED if generated else REAL)
        chosen = x[y == label][:room]
        left[(generated, label)] = room - len(chosen)
        levels = ((chosen - low) * scale).round().clamp(0, 255).byte().cpu().numpy()
        for image in levels:
            channels, height, width = image.shape
            world.write(
                "images",
                {
                    "round": world.rounds_closed,
                    "owner": owner,
                    "label": label,
                    "generated": generated,
                    "channels": channels,
                    "height": height,
                    "width": width,
                    "levels": image.tobytes().hex(),
                },
            )
