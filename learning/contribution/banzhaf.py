"""Banzhaf values: gains to all coalitions alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.contribution.game import Game, all_coalitions
from learning.contribution.method import CONTRIBUTION
from learning.contribution.result import Contribution, exactly
from learning.contribution.sampling import ALL, Draws, Effort, Sampler, run

LISTED_UP_TO = 8
"""Players up to which all coalitions are evaluated: 256 at most."""


@CONTRIBUTION.register("banzhaf")
@dataclass(frozen=True)
class Banzhaf:
    """Banzhaf values: the mean gain over all coalitions of the others; robust against noise in the worth.

    Up to 8 players from all coalitions (Banzhaf 1965). Above, by maximum sample reuse (Wang and Jia 2023, "Data
    Banzhaf", section 4.2): of ``coalitions`` random ones, each player in with chance 1/2, the mean worth with a
    player less the mean worth without it; every coalition serves every player. The values need not sum to the worth.
    Raises ``ValueError`` for fewer than 2 coalitions.
    """

    coalitions: int = 2000

    def __post_init__(self) -> None:
        if self.coalitions < 2:
            raise ValueError(f"coalitions must be at least 2, got {self.coalitions}")

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]; a sample is one coalition. A player that was never in, or never out, has an infinite error."""
        if game.players > LISTED_UP_TO:
            return run(_Coalitions(self, game, draws), game, effort, begun, np.zeros(0))
        members = all_coalitions(game.players)
        effort.require(len(members), f"banzhaf of {game.players} players")
        return exactly(_contrast(game.worth(members), members)[0], game.evaluations)


class _Coalitions(Sampler):
    """Sample i is one random coalition, its measurement the worth."""

    name = "worth"
    rows = 1
    least = 100
    at_once = 256
    cost = 1

    def __init__(self, method: Banzhaf, game: Game, draws: Draws) -> None:
        self._game, self._draws = game, draws
        self.most = method.coalitions

    def _members(self, samples: IntColumn) -> BoolColumn:
        return self._draws.uniform("banzhaf coalition", samples, self._game.players) < 0.5

    def measure(self, samples: IntColumn) -> FloatColumn:
        return self._game.worth(self._members(samples))

    def summary(self, measured: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        return _contrast(measured, self._members(np.arange(len(measured))))


def _contrast(worth: FloatColumn, members: BoolColumn) -> tuple[FloatColumn, FloatColumn]:
    """Mean worth [K] with less without each player, and its standard error [K] (Welch 1947), of coalitions [M, K]."""
    values, errors = np.zeros(members.shape[1]), np.full(members.shape[1], math.inf)
    for player, within in enumerate(members.T):
        groups = worth[within], worth[~within]
        if min(map(len, groups)) > 0:
            values[player] = groups[0].mean() - groups[1].mean()
        if min(map(len, groups)) > 1:
            errors[player] = math.sqrt(sum(group.var(ddof=1) / len(group) for group in groups))
    return values, errors
