"""How the training samples are dealt out to shards: one function per method, filed in ``PARTITIONS``.

Every method takes the labels [n] (int64, from 0), the number of shards, the random streams and its own keyword
parameters, and returns one ascending index array per shard: disjoint, together all samples, at least ``min_samples``
each. All raise ``ValueError`` with one line for parameters that cannot be met.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry
from learning.streams import Streams

PARTITIONS: Registry[Callable[..., list[IntColumn]]] = Registry("partition")

ATTEMPTS = 10
"""Fresh draws before samples are moved by hand: at strong skew a shard with too few samples is the rule."""


@PARTITIONS.register("iid")
def iid(labels: IntColumn, shards: int, streams: Streams, *, min_samples: int = 2) -> list[IntColumn]:
    """Equal shares of the shuffled samples."""
    _check_counts(len(labels), shards, min_samples)
    order = streams.generator("partition/iid").permutation(len(labels))
    return [np.sort(part) for part in np.array_split(order, shards)]


@PARTITIONS.register("dirichlet")
def dirichlet(
    labels: IntColumn, shards: int, streams: Streams, *, alpha: float = 0.5, min_samples: int = 2
) -> list[IntColumn]:
    """Label and quantity skew: each class is split over the shards by a Dirichlet(alpha) draw (Li et al. 2022).

    Small ``alpha`` is strong skew (Yurochkin et al. 2019; Li et al., "Federated learning on non-IID data silos").
    """
    _check_counts(len(labels), shards, min_samples)
    _check_positive(alpha=alpha)
    everyone = np.arange(len(labels))
    floor = np.full(shards, min_samples)
    return _dirichlet_split(everyone, labels, floor, alpha, streams, "partition/dirichlet", 0)


@PARTITIONS.register("label_shards")
def label_shards(
    labels: IntColumn, shards: int, streams: Streams, *, labels_per_owner: int = 2, min_samples: int = 2
) -> list[IntColumn]:
    """Few labels each: samples sorted by label, cut into slices, ``labels_per_owner`` slices per shard.

    The pathological split of McMahan et al. 2017 ("Communication-efficient learning of deep networks").
    """
    if labels_per_owner < 1:
        raise ValueError(f"labels_per_owner must be at least 1, got {labels_per_owner}")
    _check_counts(len(labels), shards, max(min_samples, labels_per_owner))
    by_label = np.argsort(labels, kind="stable")
    pieces = np.array_split(by_label, shards * labels_per_owner)
    dealt = streams.generator("partition/label_shards").permutation(len(pieces)).reshape(shards, labels_per_owner)
    parts = [np.concatenate([pieces[piece] for piece in hand]) for hand in dealt]
    return _repair(parts, np.full(shards, min_samples), streams.generator("partition/label_shards/repair"))


@PARTITIONS.register("quantity_skew")
def quantity_skew(
    labels: IntColumn, shards: int, streams: Streams, *, sigma: float = 1.0, min_samples: int = 2
) -> list[IntColumn]:
    """Shards of log-normal size exp(sigma * z), with the same mix of labels."""
    _check_counts(len(labels), shards, min_samples)
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be a number of at least 0, got {sigma}")
    exponent = sigma * streams.normal("partition/quantity_skew/size", np.arange(shards))
    share = np.exp(exponent - exponent.max())
    sizes = min_samples + _whole_parts(share / share.sum(), len(labels) - shards * min_samples)
    order = streams.generator("partition/quantity_skew").permutation(len(labels))
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes)[:-1])]


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
    _check_counts(len(labels), shards, min_samples)
    _check_positive(alpha_between=alpha_between, alpha_within=alpha_within)
    if not 1 <= clusters <= shards:
        raise ValueError(f"clusters must be in 1..{shards} (the number of shards), got {clusters}")
    members = np.array([len(part) for part in np.array_split(np.arange(shards), clusters)])
    everyone = np.arange(len(labels))
    purpose = "partition/clustered"
    groups = _dirichlet_split(everyone, labels, members * min_samples, alpha_between, streams, f"{purpose}/between", 0)
    parts: list[IntColumn] = []
    for cluster, (group, size) in enumerate(zip(groups, members, strict=True)):
        floor = np.full(size, min_samples)
        parts += _dirichlet_split(group, labels, floor, alpha_within, streams, f"{purpose}/within", cluster)
    return parts


def _dirichlet_split(
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
    return _repair(parts, floor, streams.generator(f"{purpose}/repair", owner))


def _dirichlet_draw(
    by_class: list[IntColumn], parts: int, alpha: float, chance: np.random.Generator
) -> list[IntColumn]:
    received: list[list[IntColumn]] = [[] for _ in range(parts)]
    for members in by_class:
        share = chance.dirichlet(np.full(parts, alpha))
        cuts = np.cumsum(_whole_parts(share, len(members)))[:-1]
        for part, piece in zip(received, np.split(chance.permutation(members), cuts), strict=True):
            part.append(piece)
    return [np.concatenate(pieces) for pieces in received]


def _repair(parts: list[IntColumn], floor: IntColumn, chance: np.random.Generator) -> list[IntColumn]:
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


def _whole_parts(share: FloatColumn, total: int) -> IntColumn:
    """Whole numbers that sum to ``total``, nearest to ``share * total`` by largest remainder."""
    exact = share * total
    whole = np.floor(exact).astype(np.int64)
    left = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole


def _check_counts(samples: int, shards: int, least: int) -> None:
    if shards < 1:
        raise ValueError(f"there must be at least 1 shard, got {shards}")
    if least < 1:
        raise ValueError(f"min_samples must be at least 1, got {least}")
    if shards * least > samples:
        raise ValueError(f"{shards} shards of at least {least} samples need {shards * least}, there are {samples}")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, got {value}")
