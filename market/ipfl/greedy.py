"""The collaboration graph by greedy thresholds: every buyer takes sellers in order of threshold while they fit.

Zhang et al. 2025, Box 2. The printed rule stops at the first seller that does not fit (``break``). Where data sizes
differ, a smaller seller further down may still be worth its price; ``skip`` goes on to it. Thresholds are roots in
total data, of which there is one for every finite price: so under ``break`` a buyer can also be stopped by a large
seller that was never worth its price.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from market.ipfl.gain import selection_threshold
from market.ipfl.offers import BoolMatrix, FloatMatrix, Offers

StopRule = Literal["break", "skip"]

_NUMBERS_AT_ONCE = 2**16
"""Thresholds found together; few enough to stay in a processor's cache."""


class Ranking(NamedTuple):
    """Sellers of each buyer by falling threshold (in total data), lower numbers first among equals; all [R, W].

    W is the largest number of sellers that a buyer looks at. Rows that have fewer end in thresholds of -infinity.
    """

    seller: NDArray[np.int64]
    size: FloatMatrix
    threshold: FloatMatrix


class Walk(NamedTuple):
    """What became of each place of a ranking: taken or not, and the total data before it; both [R, W].

    ``before`` is infinite for places that were not looked at any more.
    """

    taken: BoolMatrix
    before: FloatMatrix


def rank(offers: Offers, stop_rule: StopRule) -> Ranking:
    """Sellers in the order in which Box 2 looks at them.

    Under ``skip`` those that are not acceptable change nothing and are left out. Under ``break`` they stop the buyer
    when their turn comes; those at an infinite cost have no threshold and no turn.
    """
    wanted = offers.acceptable() if stop_rule == "skip" else offers.available & np.isfinite(offers.cost)
    price, threshold = offers.price, np.full(wanted.shape, -np.inf)
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, wanted.shape[1]))
    for begin in range(0, len(wanted), at_once):
        row, seller = np.nonzero(wanted[begin : begin + at_once])
        row += begin
        threshold[row, seller] = selection_threshold(
            offers.gain_scale[row], offers.size[row, seller], price[row, seller]
        )
    width = int(wanted.sum(axis=1).max(initial=0))
    order = np.argsort(-threshold, axis=1, kind="stable")[:, :width]
    return Ranking(order, np.take_along_axis(offers.size, order, axis=1), np.take_along_axis(threshold, order, axis=1))


def walk(held: NDArray[np.float64], ranking: Ranking, stop_rule: StopRule) -> Walk:
    """Go down the rankings: take seller k if n + N_k < T_k, all in total data, starting at ``held`` [R]."""
    taken = np.zeros(ranking.size.shape, dtype=np.bool_)
    before = np.full(ranking.size.shape, np.inf)
    total, looking = held.astype(np.float64), np.ones(len(held), dtype=np.bool_)
    for place in range(ranking.size.shape[1]):
        before[looking, place] = total[looking]
        more = total + ranking.size[:, place]
        fits = looking & (more < ranking.threshold[:, place])
        taken[:, place] = fits
        total = np.where(fits, more, total)
        if stop_rule == "break":
            looking = fits
            if not looking.any():
                break
    return Walk(taken, before)


def greedy_purchases(offers: Offers, stop_rule: StopRule) -> BoolMatrix:
    """Who buys from whom, [R, M]: Box 2 for every row."""
    ranking = rank(offers, stop_rule)
    chosen = np.zeros(offers.available.shape, dtype=np.bool_)
    np.put_along_axis(chosen, ranking.seller, walk(offers.held, ranking, stop_rule).taken, axis=1)
    return chosen
