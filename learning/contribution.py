"""What each upload of a round is worth: its Shapley value in the game of test accuracy.

The worth of a coalition is the accuracy of the weighted mean of its uploads (of the base model, if it is empty or has
no weight). Averaging is linear, so the models of many coalitions are one matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import finite
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.evaluation import utilities
from learning.models import FlatModel
from learning.streams import Streams

EXACT_UP_TO = 8
"""Players up to which all coalitions are enumerated: 256 models at most."""

NUMBERS_AT_ONCE = 2**26


@dataclass(frozen=True, eq=False)
class Contribution:
    """Shapley values [K] in accuracy, their standard errors [K] (0 when exact), and the models evaluated."""

    values: FloatColumn
    standard_error: FloatColumn
    evaluations: int


class RoundGame:
    """The worth of coalitions of one round's uploads; each coalition is evaluated once."""

    def __init__(
        self, model: FlatModel, base: Tensor, uploads: Tensor, weights: FloatColumn, x: Tensor, y: Tensor
    ) -> None:
        if len(weights) != len(uploads) or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("every upload needs a weight of at least 0")
        if not finite(uploads).all():
            raise ValueError("uploads with NaN or infinite weights have no Shapley value; leave them out")
        self._model, self._x, self._y = model, x, y
        # The base is one more player: it stands alone for coalitions without weight.
        self._rows = torch.cat([uploads, base.unsqueeze(0)])
        self._weights = np.asarray(weights, dtype=np.float64)
        self._known: dict[bytes, float] = {}

    @property
    def evaluations(self) -> int:
        """Distinct coalitions evaluated so far."""
        return len(self._known)

    def worth(self, members: BoolColumn) -> FloatColumn:
        """Accuracy [M] of coalitions given as membership [M, K]."""
        keys = [key.tobytes() for key in np.packbits(members, axis=1)] if members.shape[1] else [b""] * len(members)
        fresh = {key: row for row, key in enumerate(keys) if key not in self._known}
        if fresh:
            self._known.update(zip(fresh, self._evaluate(members[list(fresh.values())]), strict=True))
        return np.array([self._known[key] for key in keys])

    def _evaluate(self, members: BoolColumn) -> list[float]:
        held = members * self._weights
        total = held.sum(axis=1, keepdims=True)
        mix = np.hstack([held / np.where(total > 0, total, 1.0), total == 0])
        accuracy: list[float] = []
        at_once = max(1, NUMBERS_AT_ONCE // self._model.size)
        for begin in range(0, len(mix), at_once):
            some = torch.from_numpy(mix[begin : begin + at_once]).to(self._rows)
            accuracy += utilities(self._model, some @ self._rows, self._x, self._y).tolist()
        return accuracy


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

    Sampling is the truncated Monte Carlo of Ghorbani and Zou 2019 ("Data Shapley", algorithm 1): along each of
    ``permutations`` orders a player gets the worth it adds, and nothing once the coalition's worth is closer than
    ``tolerance`` to that of all. So the values sum to worth(all) - worth(none), up to ``tolerance``.
    Raises ``ValueError`` for uploads that are not finite, and for fewer than 2 permutations when sampling.
    """
    game = RoundGame(model, base, uploads, weights, x, y)
    count = len(uploads)
    if count <= EXACT_UP_TO:
        return Contribution(_exact(game, count), np.zeros(count), game.evaluations)
    if permutations < 2:
        raise ValueError(f"permutations must be at least 2 to sample Shapley values, got {permutations}")
    draws = streams.uniform("shapley order", np.arange(permutations)[:, None], counter, np.arange(count))
    gains = _marginal_gains(game, np.argsort(draws, axis=1, kind="stable"), tolerance)
    error = gains.std(axis=0, ddof=1) / math.sqrt(permutations)
    return Contribution(gains.mean(axis=0), error, game.evaluations)


def _exact(game: RoundGame, count: int) -> FloatColumn:
    """Sum over coalitions S without k of |S|! (K-|S|-1)! / K! * (worth(S + k) - worth(S))."""
    masks = np.arange(2**count)
    members = (masks[:, None] >> np.arange(count)) & 1 == 1
    worth = game.worth(members)
    size = members.sum(axis=1)
    chance = np.array([1 / (count * math.comb(count - 1, s)) for s in range(count)])
    values = np.zeros(count)
    for player in range(count):
        without = masks[~members[:, player]]
        values[player] = chance[size[without]] @ (worth[without | 1 << player] - worth[without])
    return values


def _marginal_gains(game: RoundGame, orders: IntColumn, tolerance: float) -> FloatColumn:
    """What each player adds [R, K] along R orders, all of which advance together, one batch per position."""
    rounds, count = orders.shape
    nobody, everybody = game.worth(np.array([[False], [True]]).repeat(count, axis=1))
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
