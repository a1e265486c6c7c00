"""GTG-Shapley: guided orders, truncated within a round and between rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.contribution.game import Game
from learning.contribution.method import CONTRIBUTION
from learning.contribution.orders import marginal_gains
from learning.contribution.result import Contribution, mean_and_error
from learning.contribution.sampling import ALL, Draws, Effort, Sampler, run

NEGLIGIBLE = 1e-12
"""Values below this do not count as changes."""


ORDERS_AT_ONCE = 64
"""Orders that advance together, in whole sweeps: a large batch of coalitions is cheaper."""


@CONTRIBUTION.register("gtg_shapley")
@dataclass(frozen=True)
class GTGShapley:
    """Shapley values from orders in which everybody is first equally often, cut off early (Liu et al. 2022).

    "GTG-Shapley: Efficient and Accurate Participant Contribution Evaluation in Federated Learning", algorithm 1.
    Between rounds: if all uploads together change the worth by at most ``round_tolerance``, everybody gets 0.
    Within a round: an order is left once its worth is closer than ``tolerance`` to that of all.
    Guided: orders come in sweeps of K, in each of which every player is first once and the others follow at random. A
    sweep is a stratified sample of all orders, so its mean gain is unbiased, and sweeps are independent: the standard
    errors come from them. Work stops after whole sweeps only.
    Convergence: at least ``least_orders`` orders, and over the ``window`` last ones the running means differed from
    the present ones by at most ``change``, relatively and on average over the players. At most ``sweeps`` sweeps.
    """

    tolerance: float = 0.001
    round_tolerance: float = 0.001
    least_orders: int = 30
    window: int = 10
    change: float = 0.05
    sweeps: int = 100

    def __post_init__(self) -> None:
        if not min(self.tolerance, self.round_tolerance, self.change) >= 0:
            raise ValueError("tolerance, round_tolerance and change must be at least 0")
        if self.sweeps < 2 or self.window < 1:
            raise ValueError(f"sweeps must be at least 2, window at least 1, got {self.sweeps} and {self.window}")
        if self.least_orders < 0:
            raise ValueError(f"least_orders must be at least 0, got {self.least_orders}")

    def measure(
        self, game: Game, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution:
        """Values [K]; a sample is one sweep of K orders."""
        return run(_Sweeps(self, game, draws), game, effort, begun, np.zeros((0, game.players)))


class _Sweeps(Sampler):
    """Sample i is K orders with a different player in front, its measurement the gains [K, K] along them."""

    name = "gains"

    def __init__(self, method: GTGShapley, game: Game, draws: Draws) -> None:
        self._method, self._game, self._draws = method, game, draws
        self.rows = count = game.players
        self.least = math.ceil(method.least_orders / max(1, count))
        self.most = method.sweeps
        self.at_once = math.ceil(ORDERS_AT_ONCE / max(1, count))
        self.cost = max(1, count * (count - 1))

    def nothing_to_measure(self) -> bool:
        nobody, everybody = self._game.ends()
        return self.rows == 0 or abs(everybody - nobody) <= self._method.round_tolerance

    def measure(self, samples: IntColumn) -> FloatColumn:
        return marginal_gains(self._game, guided_orders(self._draws, samples, self.rows), self._method.tolerance)

    def summary(self, measured: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        return mean_and_error(measured.reshape(-1, self.rows, self.rows).mean(axis=1))

    def converged(self, measured: FloatColumn) -> bool:
        window = self._method.window
        running = np.cumsum(measured, axis=0) / np.arange(1, len(measured) + 1)[:, None]
        recent, now = running[-window - 1 : -1], running[-1]
        drift = np.abs(recent - now) / np.maximum(np.abs(now), NEGLIGIBLE)
        return bool(drift.mean(axis=1).max() <= self._method.change)


def guided_orders(draws: Draws, sweeps: IntColumn, count: int) -> IntColumn:
    """Orders [R * K, K] of R sweeps: in order i of a sweep player i is first, the others follow at random."""
    numbers = (sweeps[:, None] * count + np.arange(count)).ravel()
    drawn = draws.uniform("guided order", numbers, count)
    drawn[np.arange(len(numbers)), numbers % count] = -1.0
    return np.argsort(drawn, axis=1, kind="stable")
