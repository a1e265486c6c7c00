"""From what owners claim (or truly are) to the players of a round of CoCoGen+."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.cocogen.game import Game, Organisations
from market.cocogen.heterogeneity import ResidualEmd, filling, towards_global
from market.cocogen.readings import reading_of
from market.mechanism import DATA_SIZE, EMD, GENERATION_COST, PROFITABILITY, LabelMixes

LEAST = 1e-9
"""Samples that stand for none, next to those of others."""
FEWEST = 1e-3
"""Whoever claims fewer samples than this has none."""
FARTHEST = 2.0
"""The largest L1 distance of two label mixes."""


class Claimed(NamedTuple):
    """Columns [N] of what owners say, or are: real samples, EMD, money per synthetic sample and per performance."""

    data_size: FloatColumn
    emd: FloatColumn
    unit_cost: FloatColumn
    profitability: FloatColumn

    @staticmethod
    def of(column: Callable[[str], FloatColumn]) -> Claimed:
        """From columns by the name of the claim; what is no number, or out of range, counts as the nearest end."""
        size, emd, cost, profit = (
            np.maximum(np.nan_to_num(column(name)), 0.0) for name in (DATA_SIZE, EMD, GENERATION_COST, PROFITABILITY)
        )
        return Claimed(np.where(size < FEWEST, 0.0, size), np.minimum(emd, FARTHEST), cost, profit)

    def take(self, rows: IntColumn) -> Claimed:
        """Those of some of the owners."""
        return Claimed(*(column[rows] for column in self))


def residual_emd(emd: FloatColumn, labels: LabelMixes | None) -> ResidualEmd:
    """How EMD falls with synthetic data: by the global law, or with ``labels`` by filling up what is missing.

    A claimed distance that is not that of the label mix is read as the same lack of classes, more or less of it.
    """
    if labels is None:
        return towards_global(emd)
    apart = labels.own - labels.overall
    true = np.abs(apart).sum(axis=1)
    stretch = np.divide(emd, true, out=np.ones_like(emd), where=true > 0.0)
    mix = np.maximum(labels.overall + stretch[:, None] * apart, 0.0)
    return filling(mix / mix.sum(axis=1, keepdims=True), labels.overall)


def organisations(
    said: Claimed, labels: LabelMixes | None, quadratic_cost: float, synthetic_volume_cap: float
) -> Organisations:
    """The organisations behind claims that all are above 0 in data."""
    count = len(said.data_size)
    return Organisations(
        data_size=said.data_size,
        residual_emd=residual_emd(said.emd, labels),
        profitability=said.profitability,
        unit_cost=said.unit_cost,
        quadratic_cost=np.full(count, quadratic_cost),
        synthetic_volume_cap=np.full(count, synthetic_volume_cap),
    )


def players(said: Claimed, game_of: Callable[[Claimed], Game]) -> Game | None:
    """The game of all, where anybody has data; who has none generates nothing: its volume cap is 0.

    ``game_of(said)`` makes the game of claims that all are above 0 in data.
    """
    if not (said.data_size > 0.0).any():
        return None
    return _only(game_of(said._replace(data_size=np.maximum(said.data_size, LEAST))), said.data_size > 0.0)


def of_the_willing(game: Game) -> Game:
    """The same game, in which whoever would rather not strengthen anybody has a volume cap of 0.

    Those are the organisations with a potential weight of 0 or less: they earn nothing with a model, or under
    ``damage`` rivals' gains would harm them more than their own help. Their data, their distance and their rivalry
    count all the same, and the others' weights do not depend on their volumes. For rules by which organisations look
    to their own utility.
    """
    return _only(game, reading_of(game).weight(game) > 0.0)


def _only(game: Game, generating: BoolColumn) -> Game:
    if generating.all():
        return game
    own = game.organisations
    capped = replace(own, synthetic_volume_cap=np.where(generating, own.synthetic_volume_cap, 0.0))
    return replace(game, organisations=capped)


def places(known: IntColumn, owner: IntColumn) -> IntColumn:
    """Where each owner [K] stands among ``known`` ids (sorted), -1 for who does not."""
    if len(known) == 0:
        return np.full(len(owner), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, owner), len(known) - 1)
    return np.where(known[place] == owner, place, -1)
