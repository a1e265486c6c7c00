"""Shards along the groups that the data itself has."""

from __future__ import annotations

import heapq

import numpy as np

from learning.columns import IntColumn
from learning.partition.dealing import PARTITIONS
from learning.partition.pieces import check_counts, check_positive, dirichlet_split, repair
from learning.streams import Streams


@PARTITIONS.register("natural")
def natural(
    labels: IntColumn,
    shards: int,
    streams: Streams,
    *,
    groups: IntColumn | None = None,
    shards_of: list[int] | None = None,
    min_samples: int = 2,
) -> list[IntColumn]:
    """Along the data's own groups (authors, modules): whole groups per shard, or pieces of one where shards are more.

    With fewer shards than groups, the shuffled groups are dealt out in turn. With more, the shards are handed out one
    by one to the group that has most samples per shard so far (as seats by D'Hondt's rule); the shards of a group
    are equal and neighbours in the list. ``shards_of`` says instead how many shards each group gets, and the groups
    then keep their order. Shards that are still too small are topped up from the largest. ``groups``: int64 [n].
    Raises ``ValueError`` also if it is None, and for numbers of shards that do not fit.
    """
    members = _members("natural", labels, shards, groups, min_samples)
    chance = streams.generator("partition/natural")
    if shards_of is not None:
        _check_shards_of(shards_of, len(members), shards)
    else:
        members = [members[place] for place in chance.permutation(len(members))]
    if shards_of is None and shards <= len(members):
        parts = [np.concatenate(members[shard::shards]) for shard in range(shards)]
    else:
        each = _seats([len(part) for part in members], shards) if shards_of is None else shards_of
        parts = [
            piece
            for part, count in zip(members, each, strict=True)
            for piece in np.array_split(chance.permutation(part), count)
        ]
    return repair(parts, np.full(shards, min_samples), streams.generator("partition/natural/repair"))


@PARTITIONS.register("natural_dirichlet")
def natural_dirichlet(
    labels: IntColumn,
    shards: int,
    streams: Streams,
    *,
    groups: IntColumn | None = None,
    alpha: float = 0.5,
    min_samples: int = 2,
) -> list[IntColumn]:
    """Pieces of the data's own groups with label skew: a Dirichlet(alpha) split inside each group (domain, hospital).

    The shards are handed out to the groups as in ``natural``; the shards of a group are neighbours in the list, the
    groups stand in the order of their numbers. With fewer shards than groups, each has whole groups. ``groups``:
    int64 [n]. Raises ``ValueError`` also if it is None.
    """
    members = _members("natural_dirichlet", labels, shards, groups, min_samples)
    check_positive(alpha=alpha)
    if shards < len(members):
        members = [np.sort(np.concatenate(members[shard::shards])) for shard in range(shards)]
    parts: list[IntColumn] = []
    for group, (part, count) in enumerate(zip(members, _seats([len(part) for part in members], shards), strict=True)):
        floor = np.full(count, min(min_samples, len(part) // count))
        parts += dirichlet_split(part, labels, floor, alpha, streams, "partition/natural_dirichlet", group)
    return repair(parts, np.full(shards, min_samples), streams.generator("partition/natural_dirichlet/repair"))


def _members(name: str, labels: IntColumn, shards: int, groups: IntColumn | None, min_samples: int) -> list[IntColumn]:
    """The samples of each group, in the order of the groups' numbers."""
    if groups is None:
        raise ValueError(f"the partition '{name}' needs data with natural groups, this data set has none")
    check_counts(len(labels), shards, min_samples)
    if len(groups) != len(labels):
        raise ValueError(f"{len(labels)} samples have {len(groups)} groups")
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]


def _check_shards_of(shards_of: list[int], groups: int, shards: int) -> None:
    if len(shards_of) != groups or min(shards_of) < 1:
        raise ValueError(f"shards_of must be {groups} numbers of at least 1, one for each group, got {shards_of}")
    if sum(shards_of) != shards:
        raise ValueError(f"shards_of adds up to {sum(shards_of)} shards, there are {shards}")


def _seats(sizes: list[int], seats: int) -> list[int]:
    """How many of ``seats`` each size gets: one at least, further ones where most is left per seat."""
    given = [1] * len(sizes)
    queue = [(-float(size), place) for place, size in enumerate(sizes)]
    heapq.heapify(queue)
    for _ in range(seats - len(sizes)):
        _, place = queue[0]
        given[place] += 1
        heapq.heapreplace(queue, (-sizes[place] / given[place], place))
    return given
