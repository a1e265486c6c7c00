"""Shards divided among several holders: parts that have no sample in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learning.columns import IntColumn
from learning.streams import Streams


@dataclass(frozen=True)
class Split:
    """A shard to be divided: its number, and into how many parts (1 up to the number of its samples)."""

    shard: int
    parts: int


def in_order(samples: IntColumn, shard: int, streams: Streams) -> IntColumn:
    """The samples [n] dealt to a shard in the order in which they lie in it, which is by lot."""
    return streams.generator("shard order", shard).permutation(samples)


def parts_of(ordered: IntColumn, parts: int) -> list[IntColumn]:
    """The samples [n] of a shard dealt out one by one, in the order in which they lie: sizes differ by one at most."""
    return [ordered[_taken(part, parts)] for part in range(parts)]


def pieces_of(split: Sequence[Split], dealt: int) -> tuple[dict[int, list[tuple[int, slice]]], IntColumn]:
    """Rows for the parts of shards, behind those of the ``dealt`` ones, in the order of ``split``.

    Returns for each shard that is split the rows of its parts, each with the samples that it takes of those in order;
    and the shard behind each row.
    """
    pieces: dict[int, list[tuple[int, slice]]] = {}
    parents = list(range(dealt))
    for wanted in split:
        for part in range(wanted.parts):
            pieces.setdefault(wanted.shard, []).append((len(parents), _taken(part, wanted.parts)))
            parents.append(wanted.shard)
    return pieces, np.array(parents, dtype=np.int64)


def sizes_of(indices: Sequence[IntColumn], split: Sequence[Split]) -> IntColumn:
    """Samples of the dealt shards, and of the parts behind them. Raises ``ValueError`` for a part without any."""
    dealt = [len(part) for part in indices]
    parts = [len(range(part, dealt[one.shard], one.parts)) for one in split for part in range(one.parts)]
    if 0 in parts:
        raise ValueError("a part of a shard must hold at least one sample")
    return np.array([*dealt, *parts], dtype=np.int64)


def _taken(part: int, parts: int) -> slice:
    return slice(part, None, parts)
