"""What is lost without a player."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.contribution.game import Game
from learning.contribution.method import CONTRIBUTION
from learning.contribution.result import Contribution, exactly
from learning.contribution.sampling import ALL, Draws, Effort


@CONTRIBUTION.register("leave_one_out")
@dataclass(frozen=True)
class LeaveOneOut:
    """What everybody is worth more than everybody but one: K + 1 evaluations. Two equal players get nothing each."""

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]: worth(all) - worth(all but k). Raises ``ValueError`` if K + 1 evaluations are not allowed."""
        effort.require(game.players + 1, "leave_one_out")
        everybody = np.ones((1, game.players), dtype=np.bool_)
        worth = game.worth(np.vstack([everybody, ~np.eye(game.players, dtype=np.bool_)]))
        return exactly(worth[0] - worth[1:], game.evaluations)
