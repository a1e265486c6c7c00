"""The best bundle of sellers for one buyer, exactly: what greedy thresholds approximate and Clarke payments rest on.

The problem is NP-hard (Zhang et al. 2025, problem 10). Sellers are gone through from the cheapest per sample on, with
every combination kept that is not dominated (no more data at no lower price) and that could still beat the best one
known if fractions of the remaining sellers could be bought. In markets met in practice a handful of combinations is
alive at any time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn

_ALIVE_AT_MOST = 2**20


class BundleTooHard(ValueError):
    """More combinations would have to be kept than memory allows; ``str()`` of it is one line."""

    def __init__(self, sellers: int) -> None:
        super().__init__(sellers)

    def __str__(self) -> str:
        return f"the best bundle of {self.args[0]} sellers cannot be found exactly: too many are equally good"


class Bundle(NamedTuple):
    """Sellers chosen [M], and what they are worth to the buyer less their prices (at least 0)."""

    chosen: BoolColumn
    surplus: float


class _Sellers(NamedTuple):
    """Sellers by rising price per sample, and what tells how far a buyer of fractions would go.

    ``until`` is the total data at which the next sample is worth the seller's price per sample; ``sizes_before`` and
    ``prices_before`` sum over the earlier sellers and have one entry more; ``reach`` is ``until`` less
    ``sizes_before``, which falls.
    """

    place: NDArray[np.int64]
    size: FloatColumn
    price: FloatColumn
    until: FloatColumn
    sizes_before: FloatColumn
    prices_before: FloatColumn
    reach: FloatColumn


def best_bundle(gain_scale: float, held: float, size: FloatColumn, price: FloatColumn, available: BoolColumn) -> Bundle:
    """The bundle S with the largest surplus sqrt(K / N) - sqrt(K / (N + sum of N_j)) - sum of prices.

    Columns [M] as in ``Offers``. Raises ``BundleTooHard`` where an exact answer needs too much memory.
    """
    chosen = np.zeros(len(size), dtype=np.bool_)
    root = float(np.sqrt(gain_scale))
    alone = root / float(np.sqrt(held))
    worth_it = available & (price < alone - root / np.sqrt(held + size))
    sellers = _sorted(root, np.flatnonzero(worth_it), size[worth_it], price[worth_it])
    total, paid = np.array([held]), np.zeros(1)
    history: list[NDArray[np.int64]] = []
    best, best_stage, best_state = 0.0, 0, 0
    for stage in range(len(sellers.size)):
        hope = _relaxed(root, alone, sellers, stage, total, paid)
        alive = np.flatnonzero(hope > best)
        if len(alive) == 0:
            break
        total, paid, origin = _extended(total[alive], paid[alive], sellers.size[stage], sellers.price[stage])
        if len(total) > _ALIVE_AT_MOST:
            raise BundleTooHard(len(sellers.size))
        history.append(np.where(origin >= 0, alive[origin], ~alive[~origin]))
        surplus = alone - root / np.sqrt(total) - paid
        top = int(surplus.argmax())
        if surplus[top] > best:
            best, best_stage, best_state = float(surplus[top]), stage + 1, top
    for stage in reversed(range(best_stage)):
        origin_of_state = int(history[stage][best_state])
        chosen[sellers.place[stage]] = origin_of_state < 0
        best_state = ~origin_of_state if origin_of_state < 0 else origin_of_state
    return Bundle(chosen, best)


def _sorted(root: float, place: NDArray[np.int64], size: FloatColumn, price: FloatColumn) -> _Sellers:
    order = np.argsort(price / size, kind="stable")
    size, price = size[order], price[order]
    with np.errstate(divide="ignore"):
        until = (root * size / (2 * price)) ** (2 / 3)
    sizes_before = np.concatenate(([0.0], size.cumsum()))
    prices_before = np.concatenate(([0.0], price.cumsum()))
    return _Sellers(place[order], size, price, until, sizes_before, prices_before, until - sizes_before[:-1])


def _relaxed(
    root: float, alone: float, sellers: _Sellers, stage: int, total: FloatColumn, paid: FloatColumn
) -> FloatColumn:
    """The best surplus from each state on, if fractions of the sellers from ``stage`` on could be bought."""
    base = total - sellers.sizes_before[stage]
    # The first seller of which nothing would be bought: data is bought while the total is below ``until``.
    end = stage + np.searchsorted(-sellers.reach[stage:], -base)
    last = np.maximum(end - 1, stage)
    full = base + sellers.sizes_before[last]
    part = np.where(end > stage, np.minimum(sellers.size[last], sellers.until[last] - full), 0.0)
    spent = sellers.prices_before[last] - sellers.prices_before[stage]
    spent = spent + part * sellers.price[last] / sellers.size[last]
    return np.asarray(alone - root / np.sqrt(full + part) - paid - spent)


def _extended(
    total: FloatColumn, paid: FloatColumn, size: float, price: float
) -> tuple[FloatColumn, FloatColumn, NDArray[np.int64]]:
    """All states without and with one more seller, the dominated left out; ``~k`` is state k with the seller."""
    states = np.arange(len(total))
    totals, bills = np.concatenate((total, total + size)), np.concatenate((paid, paid + price))
    origins = np.concatenate((states, ~states))
    order = np.lexsort((bills, -totals))  # most data first; each must then be cheaper than all before it
    cheapest = np.minimum.accumulate(bills[order])
    kept = order[np.concatenate(([True], cheapest[1:] < cheapest[:-1]))]
    return totals[kept], bills[kept], origins[kept]
