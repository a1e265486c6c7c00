"""Random model-sharing markets, and a buyer's part of the published algorithm written out plainly, to compare with."""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from learning.columns import FloatColumn
from market.ipfl import SharingTypes

PENALTY = 2.0


def random_market(
    seed: int, owners: int = 8, *, equal_sizes: bool = False, clusters: int = 3
) -> tuple[SharingTypes, NDArray[np.float64]]:
    """Types and model distances, as the published settings suggest them: models are near within a cluster."""
    chance = np.random.default_rng(seed)
    cluster = np.arange(owners) % clusters
    near, far = (chance.uniform(*bounds, (owners, owners)) for bounds in ((0.05, 0.4), (0.8, 1.1)))
    distance = np.triu(np.where(cluster[:, None] == cluster, near, far), 1)
    size = np.full(owners, 5000.0) if equal_sizes else chance.uniform(500, 12000, owners)
    types = SharingTypes(chance.uniform(2.5e5, 5e5, owners), size, chance.uniform(0.5, 1.5, owners))
    return types, distance + distance.T


class Buyer:
    """One buyer of a market, with every formula as it stands in the paper and no column in sight."""

    def __init__(self, types: SharingTypes, distance: NDArray[np.float64], buyer: int) -> None:
        self.scale, self.held = float(types.gain_scale[buyer]), float(types.data_size[buyer])
        self.size = dict(enumerate(types.data_size.tolist()))
        self.cost = dict(enumerate(types.sharing_cost.tolist()))
        self.penalty = {j: PENALTY * self.size[j] / self.held * float(distance[buyer, j]) for j in self.size}
        del self.size[buyer], self.cost[buyer], self.penalty[buyer]

    def gain(self, bought: float) -> float:
        return sqrt(self.scale / self.held) - sqrt(self.scale / (self.held + bought))

    def price(self, seller: int) -> float:
        return self.cost[seller] + self.penalty[seller]

    def objective(self, sellers: tuple[int, ...]) -> float:
        """phi of equation 10: what the buyer wants small."""
        bought = sum(self.size[j] for j in sellers)
        return sum(self.price(j) for j in sellers) - self.gain(bought)

    def threshold(self, seller: int) -> float:
        """x_j in total data: sqrt(K / (x - N_j)) - sqrt(K / x) = r_j, on x > N_j."""
        size, price = self.size[seller], self.price(seller)

        def excess(total: float) -> float:
            return sqrt(self.scale / (total - size)) - sqrt(self.scale / total) - price

        return float(brentq(excess, size * (1 + 1e-12), 1e12, xtol=1e-9))

    def bundle(self, stop_rule: str) -> set[int]:
        """Box 2."""
        chosen, total = set(), self.held
        for seller in sorted(self.size, key=lambda j: (-self.threshold(j), j)):
            if total + self.size[seller] < self.threshold(seller):
                chosen.add(seller)
                total += self.size[seller]
            elif stop_rule == "break":
                break
        return chosen

    def best_bundle(self, without: int | None = None) -> tuple[set[int], float]:
        """The bundle of the lowest objective among all, and what it saves."""
        sellers = [j for j in self.size if j != without]
        every = itertools.chain.from_iterable(itertools.combinations(sellers, k) for k in range(len(sellers) + 1))
        best = min(every, key=self.objective)
        return set(best), -self.objective(best)


def buyers_of(types: SharingTypes, distance: NDArray[np.float64]) -> list[Buyer]:
    return [Buyer(types, distance, buyer) for buyer in range(len(types))]


def with_cost(types: SharingTypes, owner: int, cost: float) -> SharingTypes:
    """The same owners, of whom one says another cost."""
    costs: FloatColumn = types.sharing_cost.copy()
    costs[owner] = cost
    return SharingTypes(types.gain_scale, types.data_size, costs)
