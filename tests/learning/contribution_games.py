"""Games whose values are known in closed form, and values by brute force over all orders."""

from collections.abc import Callable
from itertools import permutations

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from learning.contribution import Draws, Game
from learning.streams import Streams

DRAWS = Draws(Streams(11), counter=3)


class Rule(Game):
    """A game given by a function of the coalitions [M, K]; counts how many coalitions it was asked for."""

    def __init__(self, players: int, rule: Callable[[BoolColumn], FloatColumn]) -> None:
        super().__init__(players)
        self._rule = rule
        self.asked = 0

    def evaluate(self, members: BoolColumn) -> FloatColumn:
        self.asked += len(members)
        return np.asarray(self._rule(members), dtype=np.float64)


def table(worth: FloatColumn) -> Rule:
    """The game whose coalition with bit mask i is worth worth[i]."""
    players = int(np.log2(len(worth)))
    return Rule(players, lambda members: worth[members @ (1 << np.arange(players))])


def random_table(players: int, seed: int = 0) -> FloatColumn:
    return np.random.default_rng(seed).normal(size=2**players)


def airport(costs: FloatColumn) -> Rule:
    """A coalition must build the runway of its largest plane (Littlechild and Owen 1973)."""
    return Rule(len(costs), lambda members: (members * costs).max(axis=1, initial=0.0))


def airport_values(costs: FloatColumn) -> FloatColumn:
    """Everybody who needs a stretch of runway bears an equal part of it."""
    order = np.argsort(costs, kind="stable")
    steps = np.diff(costs[order], prepend=0.0) / np.arange(len(costs), 0, -1)
    values = np.empty(len(costs))
    values[order] = np.cumsum(steps)
    return values


def gloves(left: int, right: int) -> Rule:
    """Each of the first ``left`` players has a left glove, the others a right one; pairs are worth 1."""
    return Rule(left + right, lambda members: np.minimum(members[:, :left].sum(1), members[:, left:].sum(1)))


def voting(weights: FloatColumn, quota: float) -> Rule:
    """A coalition wins 1 if its weight exceeds the quota."""
    return Rule(len(weights), lambda members: (members @ weights > quota).astype(float))


def saturating(players: int, seed: int = 0) -> Rule:
    """Like accuracy: worth rises with the sum of skills and levels off. One player (number 1) adds nothing."""
    skills = np.random.default_rng(seed).uniform(0.2, 1.0, size=players)
    skills[1] = 0.0
    return Rule(players, lambda members: 1 - np.exp(-(members * skills).sum(axis=1)))


def shapley_by_orders(game: Game) -> FloatColumn:
    """Mean gain over every order of joining: the definition, without the formula over coalitions."""
    orders = list(permutations(range(game.players)))
    values = np.zeros(game.players)
    for order in orders:
        members = np.zeros((1, game.players), dtype=bool)
        before = game.worth(members)[0]
        for player in order:
            members[0, player] = True
            after = game.worth(members)[0]
            values[player] += (after - before) / len(orders)
            before = after
    return values


def banzhaf_by_coalitions(game: Game) -> FloatColumn:
    """Mean gain over every coalition of the others."""
    values = np.zeros(game.players)
    for mask in range(2**game.players):
        members = np.array([[mask >> k & 1 == 1 for k in range(game.players)]])
        for player in np.flatnonzero(~members[0]):
            more = members.copy()
            more[0, player] = True
            values[player] += (game.worth(more) - game.worth(members))[0] / 2 ** (game.players - 1)
    return values
