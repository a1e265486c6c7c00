"""Shards that differ in their mix of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.partition.dealing import PARTITIONS
from learning.partition.pieces import (
    check_counts,
    check_not_negative,
    check_positive,
    dirichlet_split,
    log_normal_sizes,
    repair,
)
from learning.streams import Streams


@PARTITIONS.register("dirichlet")
def dirichlet(
    labels: IntColumn, shards: int, streams: Streams, *, alpha: float = 0.5, min_samples: int = 2
) -> list[IntColumn]:
    """Label and quantity skew: each class is split over the shards by a Dirichlet(alpha) draw (Li et al. 2022).

    Small ``alpha`` is strong skew (Yurochkin et al. 2019; Li et al., "Federated learning on non-IID data silos").
    """
    check_counts(len(labels), shards, min_samples)
    check_positive(alpha=alpha)
    everyone = np.arange(len(labels))
    floor = np.full(shards, min_samples)
    return dirichlet_split(everyone, labels, floor, alpha, streams, "partition/dirichlet", 0)


@PARTITIONS.register("label_shards")
def label_shards(
    labels: IntColumn, shards: int, streams: Streams, *, labels_per_owner: int = 2, min_samples: int = 2
) -> list[IntColumn]:
    """Few labels each: samples sorted by label, cut into slices, ``labels_per_owner`` slices per shard.

    The pathological split of McMahan et al. 2017 ("Communication-efficient learning of deep networks").
    """
    if labels_per_owner < 1:
        raise ValueError(f"labels_per_owner must be at least 1, got {labels_per_owner}")
    check_counts(len(labels), shards, max(min_samples, labels_per_owner))
    by_label = np.argsort(labels, kind="stable")
    pieces = np.array_split(by_label, shards * labels_per_owner)
    dealt = streams.generator("partition/label_shards").permutation(len(pieces)).reshape(shards, labels_per_owner)
    parts = [np.concatenate([pieces[piece] for piece in hand]) for hand in dealt]
    return repair(parts, np.full(shards, min_samples), streams.generator("partition/label_shards/repair"))


@PARTITIONS.register("inner_dirichlet")
def inner_dirichlet(
    labels: IntColumn,
    shards: int,
    streams: Streams,
    *,
    alpha: float = 0.5,
    sigma: float = 0.0,
    min_samples: int = 2,
) -> list[IntColumn]:
    """Label skew at given sizes: each shard draws its own mix of classes from a Dirichlet(alpha) (Acar et al. 2021).

    The sizes are equal, or log-normal as in ``log_normal`` for ``sigma`` above 0. Shards draw the class of each of
    their samples from their own mix; where a class has run out, from what that mix says of the others (the split of
    FedDyn; also known as InnerDirichlet).
    """
    check_counts(len(labels), shards, min_samples)
    check_positive(alpha=alpha)
    check_not_negative(sigma=sigma)
    purpose = "partition/inner_dirichlet"
    sizes = log_normal_sizes(len(labels), shards, sigma, min_samples, streams, f"{purpose}/size")
    classes, stock = np.unique(labels, return_counts=True)
    mixes = [
        streams.generator(f"{purpose}/mix", shard).dirichlet(np.full(len(classes), alpha)) for shard in range(shards)
    ]
    counts = _drawn_counts(np.array(mixes), sizes, stock, streams.generator(f"{purpose}/draw"))
    order = streams.generator(purpose)
    received: list[list[IntColumn]] = [[] for _ in range(shards)]
    for label, wanted in zip(classes, counts.T, strict=True):
        members = order.permutation(np.flatnonzero(labels == label))
        for hand, piece in zip(received, np.split(members, np.cumsum(wanted)[:-1]), strict=True):
            hand.append(piece)
    return [np.sort(np.concatenate(pieces)) for pieces in received]


def _drawn_counts(
    mixes: NDArray[np.float64], sizes: IntColumn, stock: IntColumn, chance: np.random.Generator
) -> NDArray[np.int64]:
    """Samples [S, C] of each class in each shard: rows sum to ``sizes``, columns to ``stock``.

    All open places draw a class. If more want a class than there are samples left, as many as there are get one, by
    lot. Each round ends either the drawing or a class, so there are at most C rounds.
    """
    counts = np.zeros(mixes.shape, dtype=np.int64)
    left, open_places = stock.copy(), sizes.copy()
    while open_places.any():
        weights = mixes * (left > 0)
        hopeless = weights.sum(axis=1) <= 0
        weights[hopeless] = left
        wanted = chance.multinomial(open_places, weights / weights.sum(axis=1, keepdims=True))
        for label in np.flatnonzero(wanted.sum(axis=0) > left):
            wanted[:, label] = chance.multivariate_hypergeometric(wanted[:, label], left[label])
        counts += wanted
        left = left - wanted.sum(axis=0)
        open_places = open_places - wanted.sum(axis=1)
    return counts
