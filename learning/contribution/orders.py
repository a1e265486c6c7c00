"""What players add one after the other, along many orders at once."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.contribution.game import Game


def marginal_gains(game: Game, orders: IntColumn, tolerance: float) -> FloatColumn:
    """What each player adds [R, K] along R orders [R, K], all of which advance together, one batch per position.

    Once the worth reached is closer than ``tolerance`` to that of everybody, the rest of the order adds nothing.
    """
    rounds, count = orders.shape
    nobody, everybody = game.ends()
    gains = np.zeros((rounds, count))
    members = np.zeros((rounds, count), dtype=np.bool_)
    reached = np.full(rounds, nobody)
    for position in range(count):
        going = np.flatnonzero(np.abs(everybody - reached) >= tolerance)
        if len(going) == 0:
            break
        player = orders[going, position]
        members[going, player] = True
        worth = game.worth(members[going])
        gains[going, player] = worth - reached[going]
        reached[going] = worth
    return gains
