"""What a simulation was built from, as one number: a checkpoint leaves that out, so it must be the same on return."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from scenarios.simulation import Simulation


def fingerprint(simulation: Simulation) -> str:
    """SHA-256 of the shards, and, where there is training, of all samples and of the initial model."""
    found = hashlib.sha256()
    for part in _parts(simulation):
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def _parts(simulation: Simulation) -> Iterator[np.ndarray]:
    world = simulation.world
    yield from (world.shard_sizes, world.shard_quality, world.shard_emd)
    if world.training is None:
        return
    shards, shop = world.training.shards, world.training.workshop
    for tensor in (shards.x, shards.y, shop.x_test, shop.y_test, shop.initial):
        yield tensor.cpu().numpy()
