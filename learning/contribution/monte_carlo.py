"""Shapley values by truncated Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.contribution.game import Game
from learning.contribution.method import CONTRIBUTION
from learning.contribution.orders import marginal_gains
from learning.contribution.result import Contribution, mean_and_error
from learning.contribution.sampling import ALL, Draws, Effort, Sampler, run


@CONTRIBUTION.register("truncated_monte_carlo")
@dataclass(frozen=True)
class TruncatedMonteCarlo:
    """Shapley values as the mean gain along random orders, each cut off near its end.

    Ghorbani and Zou 2019 ("Data Shapley", algorithm 1): along each of ``permutations`` orders a player gets the worth
    it adds, and nothing once the coalition's worth is closer than ``tolerance`` to that of all. So the values sum to
    worth(all) - worth(none), up to ``tolerance``.
    Raises ``ValueError`` for fewer than 2 permutations or a negative tolerance.
    """

    permutations: int = 200
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if self.permutations < 2:
            raise ValueError(f"permutations must be at least 2 to sample Shapley values, got {self.permutations}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance}")

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]; a sample is one order."""
        return run(_Orders(self, game, draws), game, effort, begun, np.zeros((0, game.players)))


class _Orders(Sampler):
    """Sample i is one random order, its measurement the gains [K] along it."""

    name = "gains"
    rows = 1
    least = 30
    at_once = 64

    def __init__(self, method: TruncatedMonteCarlo, game: Game, draws: Draws) -> None:
        self._game, self._draws, self._tolerance = game, draws, method.tolerance
        self.most = method.permutations
        self.cost = max(1, game.players)

    def measure(self, samples: IntColumn) -> FloatColumn:
        drawn = self._draws.uniform("shapley order", samples, self._game.players)
        return marginal_gains(self._game, np.argsort(drawn, axis=1, kind="stable"), self._tolerance)

    def summary(self, measured: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        return mean_and_error(measured)
