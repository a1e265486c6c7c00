"""The data of persons with several identities: which shards are divided, and where their parts lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.strategies import make_strategy
from agents.strategies.base import Strategy
from agents.strategies.sybil import Sybil
from learning.columns import IntColumn
from learning.splitting import Split
from learning.streams import Streams
from scenarios.engine.arrivals import first_rates, first_strategies, visits
from scenarios.schema import Scenario


@dataclass(frozen=True)
class SubShards:
    """Rows of the shards: ``dealt`` whole ones, then parts. ``first``: where (a shard, in so many parts) begins."""

    dealt: int
    first: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, dealt: int, split: Sequence[Split]) -> SubShards:
        """The rows that ``learning.splitting.pieces_of`` gives the parts."""
        before = np.cumsum([dealt, *(one.parts for one in split)])
        return cls(dealt, {(one.shard, one.parts): int(row) for one, row in zip(split, before[:-1], strict=True)})


def names_at_once(strategies: Sequence[Strategy]) -> IntColumn:
    """How many identities a person takes that arrives with each of these strategies."""
    names = [strategy.identities if isinstance(strategy, Sybil) else 1 for strategy in strategies]
    return np.array(names, dtype=np.int64)


def splits(scenario: Scenario, streams: Streams, sizes: IntColumn) -> tuple[Split, ...]:
    """What is divided of shards with so many samples, each in at most as many parts: nothing where nobody is a Sybil.

    ``sizes``: samples of the dealt shards; person k holds shard k modulo their number.
    """
    wanted = names_at_once([make_strategy(share.name, share.params) for share in scenario.population.strategies])
    if (wanted == 1).all():
        return ()
    persons = np.arange(len(visits(scenario, streams, first_rates(scenario))[0]))
    shard = persons % len(sizes)
    parts = np.minimum(wanted[first_strategies(scenario, streams, persons)], sizes[shard])
    pairs = np.unique(np.stack([shard, parts])[:, parts > 1], axis=1)
    return tuple(Split(one, count) for one, count in zip(*pairs.tolist(), strict=True))
