"""Shapley values of one round: exact for few uploads, sampled for many."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from learning.columns import FloatColumn
from learning.contribution.exact_shapley import ExactShapley
from learning.contribution.game import Game
from learning.contribution.method import CONTRIBUTION
from learning.contribution.monte_carlo import TruncatedMonteCarlo
from learning.contribution.result import Contribution
from learning.contribution.round_game import RoundGame
from learning.contribution.sampling import ALL, Draws, Effort
from learning.models import FlatModel
from learning.streams import Streams

EXACT_UP_TO = 8
"""Players up to which all coalitions are enumerated: 256 models at most."""


@CONTRIBUTION.register("shapley")
@dataclass(frozen=True)
class Shapley:
    """Shapley values: exact up to 8 players, by truncated Monte Carlo above (see there for the parameters)."""

    permutations: int = 200
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        TruncatedMonteCarlo(self.permutations, self.tolerance)  # which refuses what has no meaning

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]."""
        if game.players <= EXACT_UP_TO:
            return ExactShapley().measure(game, draws, effort)
        return TruncatedMonteCarlo(self.permutations, self.tolerance).measure(game, draws, effort, begun)


def shapley(
    model: FlatModel,
    base: Tensor,
    uploads: Tensor,
    weights: FloatColumn,
    x: Tensor,
    y: Tensor,
    *,
    permutations: int,
    tolerance: float,
    streams: Streams,
    counter: int,
) -> Contribution:
    """Shapley values of uploads [K, P] with aggregation weights [K]: exact up to 8, sampled above.

    The game is the accuracy of the coalitions' weighted means on samples x [n, *shape] with labels y [n]. Raises
    ``ValueError`` for uploads that are not finite, and for fewer than 2 permutations.
    """
    game = RoundGame(model, base, uploads, weights, x, y)
    return Shapley(permutations, tolerance).measure(game, Draws(streams, counter))
