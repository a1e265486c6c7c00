"""What owners decide when a round opens (or before they join): every strategy is asked once, for all its owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.population import Population
from agents.strategies.base import Observation, OwnRows, Strategy, own_luck
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.streams import Streams
from learning.uploads import Upload
from market.enforcement import EnforcementPolicy, violations
from market.mechanism import CLAIMS, Board, LabelMixes, Mechanism, Terms, Types


@dataclass(frozen=True)
class Decisions:
    """Aligned columns, one entry per deciding owner: claims and offers (seen), work and violations (truth).

    ``volume_share`` of the synthetic data that the mechanism asks for is really generated.
    """

    owner: IntColumn
    takes_part: BoolColumn
    claims: Mapping[str, FloatColumn]
    offered_share: FloatColumn
    work_share: FloatColumn
    upload: NDArray[np.int8]
    scale: FloatColumn
    lie: BoolColumn
    violation: BoolColumn
    offered_volume: FloatColumn
    volume_share: FloatColumn
    only_shirks: BoolColumn  # a violation only if any synthetic data is asked for

    def take(self, rows: NDArray[np.int64] | BoolColumn) -> Decisions:
        """The decisions of some of the owners."""
        return Decisions(
            self.owner[rows],
            self.takes_part[rows],
            {name: column[rows] for name, column in self.claims.items()},
            self.offered_share[rows],
            self.work_share[rows],
            self.upload[rows],
            self.scale[rows],
            self.lie[rows],
            self.violation[rows],
            self.offered_volume[rows],
            self.volume_share[rows],
            self.only_shirks[rows],
        )


def true_types(population: Population, owners: IntColumn, labels: LabelMixes | None = None) -> Types:
    """True types of some owners; ``labels`` are those of all shards, where they matter."""
    types = Types.of({claim: getattr(population, claim)[owners] for claim in CLAIMS}, owners)
    mixes = None if labels is None else labels.take(population.shard[owners])
    return replace(types, competition_pressure=population.competition_pressure[owners], labels=mixes)


def decide(
    population: Population,
    strategies: Sequence[Strategy],
    mechanism: Mechanism,
    policy: EnforcementPolicy,
    streams: Streams,
    board: Board,
    terms: Terms,
    owners: IntColumn,
    labels: LabelMixes | None = None,
    playing: IntColumn | None = None,
) -> Decisions:
    """Ask each strategy that is present; an owner's decision depends on its own row and on the public board only.

    ``playing`` says which strategy each owner is to be asked for, if not for its own.
    """
    count = len(owners)
    takes_part, claims = np.zeros(count, dtype=np.bool_), {name: np.zeros(count) for name in CLAIMS}
    offered, work_share, scale = np.zeros(count), np.zeros(count), np.ones(count)
    volume, volume_share = np.zeros(count), np.ones(count)
    upload = np.zeros(count, dtype=np.int8)
    chosen = population.strategy[owners] if playing is None else playing
    for index in np.unique(chosen):
        rows = np.flatnonzero(chosen == index)
        who, strategy = owners[rows], strategies[index]
        advice = mechanism.recommend(terms, true_types(population, who, labels))
        luck = own_luck(streams, population.luck[who], board.round)
        seen = Observation(board, terms, advice, OwnRows(population, who), luck)
        takes_part[rows] = strategy.takes_part(seen)
        for name, column in strategy.report(seen).items():
            claims[name][rows] = column
        work = strategy.train(seen)
        offered[rows], work_share[rows] = strategy.offer(seen), work.data_share
        upload[rows], scale[rows] = work.upload, work.scale
        volume[rows] = strategy.volume(seen)
        if work.volume_share is not None and advice.synthetic_volume is not None:  # else nobody asks for any
            volume_share[rows] = work.volume_share
    truth = {claim: getattr(population, claim)[owners] for claim in CLAIMS}
    worked = (upload == Upload.TRAINED) & (work_share >= offered)
    lie = violations(policy, claims, truth, np.ones(count, dtype=np.bool_))
    guilty = lie | ~(worked & (volume_share >= 1.0))
    only_shirks = guilty & ~(lie | ~worked)
    return Decisions(
        *(owners, takes_part, claims, offered, work_share, upload, scale, lie, guilty, volume, volume_share),
        only_shirks=only_shirks,
    )
