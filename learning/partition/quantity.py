"""Shards that differ in size only: each has the same mix of labels, but for chance."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.partition.dealing import PARTITIONS
from learning.partition.pieces import check_counts, check_not_negative, log_normal_sizes, sizes_by_share
from learning.streams import Streams


@PARTITIONS.register("log_normal")
@PARTITIONS.register("quantity_skew")
def log_normal(
    labels: IntColumn, shards: int, streams: Streams, *, sigma: float = 1.0, min_samples: int = 2
) -> list[IntColumn]:
    """Shards of log-normal size exp(sigma * z), with the same mix of labels."""
    check_counts(len(labels), shards, min_samples)
    check_not_negative(sigma=sigma)
    purpose = "partition/quantity_skew"
    sizes = log_normal_sizes(len(labels), shards, sigma, min_samples, streams, f"{purpose}/size")
    return _cut(len(labels), sizes, streams, purpose)


@PARTITIONS.register("geometric")
def geometric(
    labels: IntColumn, shards: int, streams: Streams, *, ratio: float = 0.9, min_samples: int = 2
) -> list[IntColumn]:
    """Shards of geometrically falling size, the next ``ratio`` times the last, with the same mix of labels.

    Which shard has which size is drawn by lot. What the least size allows for each comes first; the rest is shared.
    """
    check_counts(len(labels), shards, min_samples)
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio must be above 0 and at most 1, got {ratio}")
    share = np.float64(ratio) ** np.arange(shards, dtype=np.float64)
    return _by_rank(labels, shards, share, streams, "partition/geometric", min_samples)


@PARTITIONS.register("power_law")
def power_law(
    labels: IntColumn, shards: int, streams: Streams, *, exponent: float = 1.0, min_samples: int = 2
) -> list[IntColumn]:
    """Shards of power-law size, the k-th largest as k^-exponent (Zipf for 1), with the same mix of labels.

    Which shard has which size is drawn by lot. What the least size allows for each comes first; the rest is shared.
    """
    check_counts(len(labels), shards, min_samples)
    check_not_negative(exponent=exponent)
    share = np.arange(1, shards + 1, dtype=np.float64) ** -exponent
    return _by_rank(labels, shards, share, streams, "partition/power_law", min_samples)


def _by_rank(
    labels: IntColumn, shards: int, share: FloatColumn, streams: Streams, purpose: str, min_samples: int
) -> list[IntColumn]:
    """Shards with ``share`` [S], in an order drawn by lot."""
    lot = streams.generator(f"{purpose}/size").permutation(shards)
    return _cut(len(labels), sizes_by_share(len(labels), share, min_samples)[lot], streams, purpose)


def _cut(samples: int, sizes: IntColumn, streams: Streams, purpose: str) -> list[IntColumn]:
    """The shuffled samples, cut into parts of the given sizes."""
    order = streams.generator(purpose).permutation(samples)
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes)[:-1])]
