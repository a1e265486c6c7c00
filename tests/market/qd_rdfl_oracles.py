"""QD-RDFL solved again in other ways, with scipy and by brute force: slow, and sharing no code with the market."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq


def owners_numerically(reward, cost, largest=None):
    """Efforts in the owners' Nash equilibrium: the total at which the best responses to it sum to it."""
    largest = np.full(len(cost), np.inf) if largest is None else largest

    def response(total):
        return np.clip(total - cost * total**2 / reward, 0.0, largest)

    smallest = 1e-9 * min(reward / cost.max(), np.sort(largest)[-2])
    total = brentq(lambda total: response(total).sum() / total - 1.0, smallest, reward / cost.min(), xtol=1e-300)
    return response(total)


def first_order_numerically(reward, cost):
    """The root of all first-order conditions without any bounds, one equation in the total effort."""
    total = brentq(
        lambda total: (total - cost * total**2 / reward).sum() - total, 1e-9, 10 * reward / cost.min(), xtol=1e-300
    )
    return total - cost * total**2 / reward


def deferred_acceptance(owner_rank, center_rank):
    """Textbook Gale and Shapley, owners propose: ``owner_rank[n]`` lists centers from the best, ``center_rank[m][n]``
    is the place of owner n with center m. Owners without a center get -1."""
    match = [-1] * len(owner_rank)
    holds = {}
    waiting = [(owner, 0) for owner in range(len(owner_rank))]
    while waiting:
        owner, tried = waiting.pop()
        if tried == len(owner_rank[owner]):
            continue
        center = owner_rank[owner][tried]
        rival = holds.get(center)
        if rival is None or center_rank[center][owner] < center_rank[center][rival[0]]:
            holds[center] = (owner, tried)
            owner, tried = rival if rival else (None, None)
        if owner is not None:
            waiting.append((owner, tried + 1))
    for center, (owner, _) in holds.items():
        match[owner] = center
    return match
