"""Shards that come in groups of alike ones, by their labels."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.partition.dealing import PARTITIONS
from learning.partition.pieces import check_counts, check_positive, dirichlet_split, repair
from learning.streams import Streams


@PARTITIONS.register("clustered")
def clustered(
    labels: IntColumn,
    shards: int,
    streams: Streams,
    *,
    clusters: int = 4,
    alpha_between: float = 0.2,
    alpha_within: float = 10.0,
    min_samples: int = 2,
) -> list[IntColumn]:
    """Groups of alike shards: a Dirichlet split over clusters, then another within each cluster.

    The shards of a cluster are neighbours in the list; clusters differ in size by at most one shard.
    """
    check_counts(len(labels), shards, min_samples)
    check_positive(alpha_between=alpha_between, alpha_within=alpha_within)
    if not 1 <= clusters <= shards:
        raise ValueError(f"clusters must be in 1..{shards} (the number of shards), got {clusters}")
    members = np.array([len(part) for part in np.array_split(np.arange(shards), clusters)])
    everyone = np.arange(len(labels))
    purpose = "partition/clustered"
    groups = dirichlet_split(everyone, labels, members * min_samples, alpha_between, streams, f"{purpose}/between", 0)
    parts: list[IntColumn] = []
    for cluster, (group, size) in enumerate(zip(groups, members, strict=True)):
        floor = np.full(size, min_samples)
        parts += dirichlet_split(group, labels, floor, alpha_within, streams, f"{purpose}/within", cluster)
    return parts


@PARTITIONS.register("class_clusters")
def class_clusters(
    labels: IntColumn, shards: int, streams: Streams, *, clusters: int = 2, min_samples: int = 2
) -> list[IntColumn]:
    """Groups of shards with classes of their own: the classes are dealt to clusters, equal sizes within a cluster.

    The "skew" of the experiments of pFedGraph and iPFL (2 clusters x 5 classes). The shards of a cluster are neighbours
    in the list and alike; clusters differ in size by at most one shard. With fewer classes than clusters, some clusters
    share a class. Shards that are still too small are topped up from the largest.
    """
    check_counts(len(labels), shards, min_samples)
    if not 1 <= clusters <= shards:
        raise ValueError(f"clusters must be in 1..{shards} (the number of shards), got {clusters}")
    purpose = "partition/class_clusters"
    chance = streams.generator(purpose)
    classes = chance.permutation(np.unique(labels))
    home = np.arange(max(clusters, len(classes)))
    received: list[list[IntColumn]] = [[] for _ in range(clusters)]
    for place, label in enumerate(classes):
        takers = np.unique(home[home % len(classes) == place] % clusters)
        pieces = np.array_split(chance.permutation(np.flatnonzero(labels == label)), len(takers))
        for taker, piece in zip(takers, pieces, strict=True):
            received[taker].append(piece)
    members = [len(part) for part in np.array_split(np.arange(shards), clusters)]
    parts = [
        part
        for pieces, count in zip(received, members, strict=True)
        for part in np.array_split(chance.permutation(np.concatenate(pieces)), count)
    ]
    return repair(parts, np.full(shards, min_samples), streams.generator(f"{purpose}/repair"))
