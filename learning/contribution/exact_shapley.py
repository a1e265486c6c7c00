"""Shapley values from all coalitions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.contribution.game import Game, all_coalitions
from learning.contribution.method import CONTRIBUTION
from learning.contribution.result import Contribution, exactly
from learning.contribution.sampling import ALL, Draws, Effort


@CONTRIBUTION.register("exact_shapley")
@dataclass(frozen=True)
class ExactShapley:
    """Exact Shapley values from all 2^K coalitions, for at most 20 players.

    Sum over coalitions S without k of |S|! (K-|S|-1)! / K! * (worth(S + k) - worth(S)) (Shapley 1953).
    """

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]. Raises ``ValueError`` for more than 20 players, or if 2^K evaluations are not allowed."""
        count = game.players
        members = all_coalitions(count)
        effort.require(len(members), "exact_shapley")
        worth = game.worth(members)
        masks, size = np.arange(2**count), members.sum(axis=1)
        chance = np.array([1 / (count * math.comb(count - 1, s)) for s in range(count)])
        values = np.zeros(count)
        for player in range(count):
            without = masks[~members[:, player]]
            values[player] = chance[size[without]] @ (worth[without | 1 << player] - worth[without])
        return exactly(values, game.evaluations)
