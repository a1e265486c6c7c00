"""How much an update points where all of them point together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from learning.contribution.method import CONTRIBUTION
from learning.contribution.result import Contribution, exactly
from learning.contribution.round_game import RoundGame
from learning.contribution.sampling import ALL, Draws, Effort


@CONTRIBUTION.register("cosine")
@dataclass(frozen=True)
class Cosine:
    """Cosine between an owner's update and the aggregate of all updates, in [-1, 1]; no test data are needed.

    The cosine gradient Shapley value of Xu et al. 2021 ("Gradient driven rewards to guarantee fairness in
    collaborative machine learning", section 4): updates are scaled to length 1, the aggregate is their weighted sum
    with the round's weights as importance. No update, or an aggregate of length 0, has the value 0.
    """

    def measure(
        self, game: RoundGame, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K] without a unit."""
        updates = game.updates().double()  # in float32 the square of a large update overflows
        tiny = torch.finfo(updates.dtype).tiny
        unit = updates / updates.norm(dim=1, keepdim=True).clamp_min(tiny)
        together = torch.from_numpy(game.weights).to(unit) @ unit
        cosines = (unit @ together) / together.norm().clamp_min(tiny)
        return exactly(np.clip(cosines.double().cpu().numpy(), -1.0, 1.0), game.evaluations)
