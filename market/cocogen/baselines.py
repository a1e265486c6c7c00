"""What CoCoGen is measured against: volumes [N] decided otherwise, to be paid by the real game.

Play them with ``market.cocogen.payoffs.play`` in the game itself. Welfare is told as the gain over ``vcfl``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.competition import nobody_competes
from market.cocogen.equilibrium import equilibrium
from market.cocogen.game import Game


def vcfl(game: Game) -> FloatColumn:
    """Vanilla cross-silo federated learning: nobody generates."""
    return np.zeros(len(game))


def without_competition(game: Game) -> Game:
    """The game as it would be if nobody competed and nothing were redistributed."""
    return replace(game, competition=nobody_competes(len(game)), redistribution_rate=0.0)


def wco(game: Game) -> FloatColumn:
    """Without competition: decided as if nobody competed and nothing were redistributed."""
    return equilibrium(without_competition(game)).synthetic_volume


def radg(game: Game, draw: FloatColumn) -> FloatColumn:
    """Random data generation, up to the cap; ``draw`` [..., N] from [0, 1)."""
    return draw * game.organisations.synthetic_volume_cap


def uniform(game: Game, volume: float) -> FloatColumn:
    """The same volume (samples) for all whose cap allows it."""
    return np.minimum(volume, game.organisations.synthetic_volume_cap)


def without_redistribution(game: Game) -> FloatColumn:
    """The equilibrium at rate 0. Raises ``WeightsNotPositive``."""
    return equilibrium(replace(game, redistribution_rate=0.0)).synthetic_volume
