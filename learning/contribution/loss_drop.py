"""How much better an upload is, alone, than the model it started from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.contribution.method import CONTRIBUTION
from learning.contribution.result import Contribution, exactly
from learning.contribution.round_game import RoundGame
from learning.contribution.sampling import ALL, Draws, Effort


@CONTRIBUTION.register("loss_drop")
@dataclass(frozen=True)
class LossDrop:
    """Test loss of the round's base model less that of each upload alone, in nats: K + 1 models are evaluated.

    Aggregation weights play no part. An upload that repeats the base has the value 0. Where losses overflow, values are
    infinite or NaN.
    """

    def measure(
        self, game: RoundGame, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]. Raises ``ValueError`` if K + 1 evaluations are not allowed."""
        effort.require(game.players + 1, "loss_drop")
        losses = game.losses_alone()
        with np.errstate(invalid="ignore"):  # the drop from one infinite loss to another is no number
            return exactly(losses[-1] - losses[:-1], game.players + 1)
