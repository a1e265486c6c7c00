"""What owners expect of a round before they join, in money, from the public board."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import BoolColumn, FloatColumn
from market.mechanism import Advice, Board

PRIOR_SKILL = 0.5
"""What an owner expects of a model whose accuracy was never published."""


def skill(accuracy: ArrayLike, chance: float) -> FloatColumn:
    """How far ``accuracy`` is from guessing (0) to perfect (1): max(0, (accuracy - chance) / (1 - chance)).

    ``chance`` in [0, 1) is the accuracy of guessing. NaN stays NaN.
    """
    return np.maximum(0.0, (np.asarray(accuracy, dtype=np.float64) - chance) / (1.0 - chance))


def expected_utility(
    board: Board,
    advice_for_claims: Advice,
    own_cost: FloatColumn,
    model_value: FloatColumn,
    violates: BoolColumn,
    fine: FloatColumn | None = None,
) -> FloatColumn:
    """What owners expect of a round, in money, from the public board and what they know of themselves.

    Expected payment for what they will claim - cost of what they will really train (``own_cost``, money) + worth of
    the model at its published skill - expected loss of the deposit for those that violate the rules (``violates``).
    ``fine``: what a verdict would take from each (money), where that differs from the ``fine`` on the board.
    """
    published = PRIOR_SKILL if np.isnan(board.accuracy) else skill(board.accuracy, board.chance)
    expected_loss = board.audit_rate * board.detection_rate * (board.fine if fine is None else fine)
    return advice_for_claims.expected_payment - own_cost + model_value * published - violates * expected_loss
