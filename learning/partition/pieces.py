"""What the partition methods share: whole shares, Dirichlet splits, topping up of short shards, checks."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams

ATTEMPTS = 10
"""Fresh draws before samples are moved by hand: at strong skew a shard with too few samples is the rule."""


def dirichlet_split(
    samples: IntColumn,
    labels: IntColumn,
    floor: IntColumn,
    alpha: float,
    streams: Streams,
    purpose: str,
    owner: int,
) -> list[IntColumn]:
    """Split ``samples`` over ``len(floor)`` parts of at least ``floor`` samples, class by class."""
    by_class = [samples[labels[samples] == label] for label in np.unique(labels[samples])]
    parts: list[IntColumn] = []
    for attempt in range(ATTEMPTS):
        chance = streams.generator(purpose, owner, attempt)
        parts = _dirichlet_draw(by_class, len(floor), alpha, chance)
        if all(len(part) >= least for part, least in zip(parts, floor, strict=True)):
            break
    return repair(parts, floor, streams.generator(f"{purpose}/repair", owner))


def _dirichlet_draw(
    by_class: list[IntColumn], parts: int, alpha: float, chance: np.random.Generator
) -> list[IntColumn]:
    """One draw: each class is cut in shares of its own, so some parts may stay empty."""
    received: list[list[IntColumn]] = [[] for _ in range(parts)]
    for members in by_class:
        share = chance.dirichlet(np.full(parts, alpha))
        cuts = np.cumsum(whole_parts(share, len(members)))[:-1]
        for part, piece in zip(received, np.split(chance.permutation(members), cuts), strict=True):
            part.append(piece)
    return [np.concatenate(pieces) for pieces in received]


def repair(parts: list[IntColumn], floor: IntColumn, chance: np.random.Generator) -> list[IntColumn]:
    """Top up short parts with random samples of the part that has most to spare; ends because each move fills one."""
    parts = list(parts)
    spare = np.array([len(part) for part in parts]) - floor
    for short in np.flatnonzero(spare < 0):
        while spare[short] < 0:
            donor = int(np.argmax(spare))
            moved = min(-int(spare[short]), max(1, int(spare[donor]) // 2))
            shuffled = chance.permutation(parts[donor])
            parts[donor], parts[short] = shuffled[moved:], np.concatenate([parts[short], shuffled[:moved]])
            spare[donor] -= moved
            spare[short] += moved
    return [np.sort(part) for part in parts]


def whole_parts(share: FloatColumn, total: int) -> IntColumn:
    """Whole numbers that sum to ``total``, nearest to ``share * total`` by largest remainder."""
    exact = share * total
    whole = np.floor(exact).astype(np.int64)
    left = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole


def sizes_by_share(samples: int, share: FloatColumn, min_samples: int) -> IntColumn:
    """Sizes that sum to ``samples``: ``min_samples`` each, the rest in proportion to ``share`` [S] (any scale)."""
    return min_samples + whole_parts(share / share.sum(), samples - len(share) * min_samples)


def log_normal_sizes(
    samples: int, shards: int, sigma: float, min_samples: int, streams: Streams, purpose: str
) -> IntColumn:
    """Sizes in proportion to exp(sigma * z), one standard normal z per shard; see ``sizes_by_share``."""
    exponent = sigma * streams.normal(purpose, np.arange(shards))
    return sizes_by_share(samples, np.exp(exponent - exponent.max()), min_samples)


def check_counts(samples: int, shards: int, least: int) -> None:
    """Raise ``ValueError`` unless ``samples`` are enough for ``shards`` with ``least`` each."""
    if shards < 1:
        raise ValueError(f"there must be at least 1 shard, got {shards}")
    if least < 1:
        raise ValueError(f"min_samples must be at least 1, got {least}")
    if shards * least > samples:
        raise ValueError(f"{shards} shards of at least {least} samples need {shards * least}, there are {samples}")


def check_positive(**values: float) -> None:
    """Raise ``ValueError`` that names the first value which is no finite number above 0."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, got {value}")


def check_not_negative(**values: float) -> None:
    """Raise ``ValueError`` that names the first value which is no finite number of at least 0."""
    for name, value in values.items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a number of at least 0, got {value}")
