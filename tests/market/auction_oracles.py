"""The rules of the privacy auction written out owner by owner, and random markets to try them on."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from market.privacy_auction import Bids

FACTORS = (0.2, 0.5, 1.0, 2.0)


def uniform_bids(owners, seed=0, *, sizes=False):
    """v ~ U[0, 1], eps ~ U[0.1, 5], and sizes ~ U[10, 500] where asked for."""
    chance = np.random.default_rng([owners, seed])
    valuation, cap = chance.uniform(0, 1, owners), chance.uniform(0.1, 5, owners)
    return Bids(valuation, cap, chance.uniform(10, 500, owners) if sizes else np.ones(owners))


def tied_bids(owners, seed=0):
    """Few different values, zeros among them."""
    chance = np.random.default_rng([owners, seed])
    return Bids(
        chance.integers(0, 4, owners) / 4.0, chance.integers(1, 5, owners) / 4.0, chance.integers(1, 4, owners) * 1.0
    )


def total_cost(bids):
    return float(bids.valuation @ bids.privacy_budget)


def cheapest(values):
    """Owners by value, the earlier one first where equal."""
    return sorted(range(len(values)), key=lambda i: (values[i], i))


def plain_pac(bids, budget):
    n, v = len(bids), bids.valuation
    order = cheapest(v)
    epsilon, payment = [0.0] * n, [0.0] * n
    for k in range(n - 1, 0, -1):
        if v[order[k - 1]] / (n - k) <= budget / k:
            for i in order[:k]:
                epsilon[i], payment[i] = 1 / (n - k), min(budget / k, v[order[k]] / (n - k))
            break
    return epsilon, payment


def plain_pac_capped(bids, budget):
    n, v = len(bids), bids.valuation
    epsilon, payment = [0.0] * n, [0.0] * n
    for k in range(n - 1, 0, -1):
        level = 1 / (n - k)
        kept = [i for i in cheapest(v) if bids.privacy_budget[i] >= level]
        if len(kept) >= k + 1 and v[kept[k - 1]] * level <= budget / k:
            for i in kept[:k]:
                epsilon[i], payment[i] = level, min(budget / k, v[kept[k]] * level)
            break
    return epsilon, payment


def plain_vcg(bids, budget):
    n, v = len(bids), bids.valuation
    order = cheapest(v)
    epsilon, payment = [0.0] * n, [0.0] * n
    for k in range(n - 1, 0, -1):
        if k * v[order[k]] / (n - k) <= budget:
            for i in order[:k]:
                epsilon[i], payment[i] = 1 / (n - k), v[order[k]] / (n - k)
            break
    return epsilon, payment


def plain_csra(bids, budget, allocation="as_coded"):
    n = len(bids)
    eps, size = bids.privacy_budget, bids.data_size
    quality = [eps[i] / sum(eps) * size[i] / sum(size) for i in range(n)]
    cost = [bids.valuation[i] * eps[i] / quality[i] for i in range(n)]
    order = cheapest(bids.valuation / size)  # b / q up to a common factor and rounding
    epsilon, payment = [0.0] * n, [0.0] * n
    for k in range(n - 1, 0, -1):
        price = cost[order[k]]
        if price * sum(quality[i] for i in order[:k]) <= budget:
            for i in order[:k]:
                epsilon[i] = eps[i] if allocation == "declared" else 1 / (n - k)
                payment[i] = price * quality[i]
            break
    return epsilon, payment


def plain_all_in(bids, budget):
    n = len(bids)
    volume = bids.data_size * bids.privacy_budget
    winners, total = [], 0.0
    for i in cheapest(bids.valuation):
        if bids.valuation[i] <= budget / (total + volume[i]):
            winners.append(i)
            total += volume[i]
    epsilon, payment = [0.0] * n, [0.0] * n
    for i in winners:
        epsilon[i], payment[i] = bids.privacy_budget[i], volume[i] * budget / total
    return epsilon, payment


def plain_mfg_pricing(bids, budget):
    whole = sum(bids.privacy_budget)
    return list(bids.privacy_budget), [budget * cap / whole for cap in bids.privacy_budget]


def most_epsilon(bids, budget):
    """The most epsilon that the budget buys at true cost, by linear programming."""
    bounds = [(0.0, cap) for cap in bids.privacy_budget]
    found = linprog(-np.ones(len(bids)), A_ub=bids.valuation[None], b_ub=[budget], bounds=bounds)
    assert found.success
    return -found.fun
