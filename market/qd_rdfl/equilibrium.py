"""The whole market for one population: reward, contributions, payments, loads and matches, by backward induction.

Owners' columns are [N], centers' columns [M]. Contributions, caps and loads share one unit of data (the authors take
fractions of what an owner holds); money has the unit of the revenue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.qd_rdfl.centers import equilibrium_loads, target_loads
from market.qd_rdfl.contest import (
    contribution_rate,
    equilibrium_effort,
    first_order_effort,
    first_order_rate,
)
from market.qd_rdfl.leader import best_reward, capped_reward
from market.qd_rdfl.matching import ALONE, stable_match

OwnerSolver = Literal["active_set", "foc"]
CenterSolver = Literal["equilibrium", "authors"]


@dataclass(frozen=True)
class Centers:
    """Computing centers: a cost factor each (above 0), the cost of a unit of compute, and how they choose loads."""

    cost_factor: FloatColumn
    unit_cost: float = 1.0
    solver: CenterSolver = "equilibrium"

    @property
    def cost(self) -> FloatColumn:
        """Money per unit of data."""
        return self.unit_cost * self.cost_factor


@dataclass(frozen=True)
class Market:
    """What the game is played with.

    ``quality``: each owner's, as it is believed, at least 0 (0: its data are worth nothing, it stays out);
    ``cap``: its largest contribution, None for no caps; ``reward``: what the model owner pays, None for its best.
    The revenue is ``revenue_sensitivity * revenue_coefficient * ln(1 + effective total)``; owners pay
    ``market_factor * unit_price`` for training a unit of data. The solver ``foc`` is the authors': the root of
    unconstrained first-order conditions, in which contributions may be negative and caps have no place.
    """

    quality: FloatColumn
    cap: FloatColumn | None = None
    reward: float | None = None
    centers: Centers | None = None
    revenue_sensitivity: float = 5.0
    revenue_coefficient: float = 0.5
    market_factor: float = 1.0
    unit_price: float = 1.0
    owner_solver: OwnerSolver = "active_set"

    @property
    def revenue_scale(self) -> float:
        """A, in money."""
        return self.revenue_coefficient * self.revenue_sensitivity

    @property
    def fee(self) -> float:
        """What an owner pays for training a unit of its data, in money."""
        return self.market_factor * self.unit_price

    def effort_cost(self) -> FloatColumn:
        """Money per unit of effective contribution, [N]; infinite where quality is 0."""
        cost = np.full(len(self.quality), math.inf)
        with np.errstate(over="ignore"):
            np.divide(self.fee, self.quality, out=cost, where=self.quality > 0.0)
        return cost

    def largest_effort(self) -> FloatColumn | None:
        """The caps as effective contributions, [N]."""
        return None if self.cap is None else self.quality * self.cap


class CapsBind(ValueError):
    """The first-order mode was asked for a market in which ``owner`` would contribute more than its cap."""

    def __init__(self, owner: int) -> None:
        super().__init__(f"owner {owner} would exceed its cap, which first-order conditions do not know")
        self.owner = owner


@dataclass(frozen=True)
class Equilibrium:
    """The outcome. Without trade everything is 0 and nobody is matched.

    ``load`` and ``utility_center`` are [M], ``match`` is [N] with each owner's center or ``ALONE``; None without
    centers. The authors' centers have their target as load, and their utility from the owner that they are matched to.
    """

    trade: bool
    reward: float
    contribution: FloatColumn
    effective_contribution: FloatColumn
    payment: FloatColumn
    utility_model_owner: float
    utility_owner: FloatColumn
    load: FloatColumn | None
    utility_center: FloatColumn | None
    match: IntColumn | None

    @property
    def active(self) -> BoolColumn:
        """Who contributes, [N]."""
        return self.effective_contribution > 0.0


def solve(market: Market) -> Equilibrium:
    """The Stackelberg equilibrium, or the owners' and centers' answer where the reward is given. O(N log N).

    Raises ``CapsBind`` in mode ``foc``.
    """
    reward = announced_reward(market)
    effort = owners_answer(market, reward)
    total = float(effort.sum())
    if not total > 0.0:
        return _no_trade(market)
    contribution = np.divide(effort, market.quality, out=np.zeros(len(effort)), where=effort != 0.0)
    payment = reward * (effort / total)
    load, utility_center, match = _centers_answer(market, contribution)
    return Equilibrium(
        trade=True,
        reward=reward,
        contribution=contribution,
        effective_contribution=effort,
        payment=payment,
        utility_model_owner=model_owner_utility(market, contribution, reward, market.quality),
        utility_owner=payment - market.fee * contribution,
        load=load,
        utility_center=utility_center,
        match=match,
    )


def announced_reward(market: Market) -> float:
    """The given reward, or the best one for the model owner (money); 0 where none pays."""
    if market.reward is not None:
        return market.reward
    cost, largest = market.effort_cost(), market.largest_effort()
    if market.owner_solver == "foc":
        return best_reward(market.revenue_scale, first_order_rate(cost))
    if largest is None:
        return best_reward(market.revenue_scale, contribution_rate(cost))
    return capped_reward(market.revenue_scale, cost, largest)


def owners_answer(market: Market, reward: float) -> FloatColumn:
    """Effective contributions for a reward (money), [N]; all 0 where the owners have no contest."""
    cost = market.effort_cost()
    if market.owner_solver == "active_set":
        return equilibrium_effort(reward, cost, market.largest_effort())
    effort = first_order_effort(reward, cost)
    if market.cap is not None:
        above = np.flatnonzero(effort > market.quality * market.cap)
        if len(above):
            raise CapsBind(int(above[0]))
    return effort


def model_owner_utility(market: Market, contribution: FloatColumn, reward: float, true_quality: FloatColumn) -> float:
    """Revenue less reward (money), scored on the true quality of what was contributed, whatever was reported."""
    return market.revenue_scale * math.log1p(float((true_quality * contribution).sum())) - reward


def _centers_answer(
    market: Market, contribution: FloatColumn
) -> tuple[FloatColumn | None, FloatColumn | None, IntColumn | None]:
    """Loads and utilities of the centers, and the owners' match."""
    centers = market.centers
    if centers is None:
        return None, None, None
    if centers.solver == "authors":
        load = target_loads(contribution, centers.cost)
        match = stable_match(contribution, load, centers.cost_factor)
        utility = np.zeros(len(load))
        matched = match != ALONE
        utility[match[matched]] = contribution[matched] * (market.fee - centers.cost[match[matched]])
        return load, utility, match
    data = float(contribution.sum())
    load = equilibrium_loads(market.fee * data, data, centers.cost)
    taken = float(load.sum())  # 0 in mode foc, should its negative contributions prevail
    share = load / taken if taken > 0.0 else load
    utility = market.fee * data * share - centers.cost * load
    return load, utility, stable_match(contribution, load, centers.cost_factor)


def _no_trade(market: Market) -> Equilibrium:
    owners, count = np.zeros(len(market.quality)), None if market.centers is None else len(market.centers.cost_factor)
    return Equilibrium(
        trade=False,
        reward=0.0,
        contribution=owners,
        effective_contribution=owners.copy(),
        payment=owners.copy(),
        utility_model_owner=0.0,
        utility_owner=owners.copy(),
        load=None if count is None else np.zeros(count),
        utility_center=None if count is None else np.zeros(count),
        match=None if count is None else np.full(len(owners), ALONE, dtype=np.int64),
    )
