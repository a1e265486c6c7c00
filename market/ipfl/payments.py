"""Who buys from whom and at what payment: three payment rules over rows of offers.

``ipfl`` is the published rule (Zhang et al. 2025, equation 12); with it sellers gain by shading their cost.
``critical`` pays each seller the highest cost at which it would still have been chosen. ``vcg`` buys the best bundle
instead of the greedy one and pays the Clarke pivot. No rule lets a seller's own reported cost enter its payment other
than through who is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn
from market.ipfl.bundle import best_bundle
from market.ipfl.gain import collaboration_gain
from market.ipfl.greedy import Ranking, StopRule, greedy_purchases, rank, walk
from market.ipfl.offers import BoolMatrix, FloatMatrix, Offers

PaymentRule = Literal["ipfl", "critical", "vcg"]

_NUMBERS_AT_ONCE = 2**22


class Purchases(NamedTuple):
    """``chosen`` [R, M]: who buys from whom; ``payment`` [R, M] in money, 0 where nothing is bought."""

    chosen: BoolMatrix
    payment: FloatMatrix


def purchases(offers: Offers, payment_rule: PaymentRule, stop_rule: StopRule) -> Purchases:
    """What every buyer buys and pays; ``vcg`` has no use for the stop rule.

    Raises ``bundle.BundleTooHard`` under ``vcg`` where the best bundle cannot be found.
    """
    return _RULES[payment_rule](offers, stop_rule)


def ipfl_purchases(offers: Offers, stop_rule: StopRule) -> Purchases:
    """Greedy graph; r_ij = G_i(a_i) - G_i(a_i - e_j) - lambda (N_j / N_i) d_ij, equation 12."""
    chosen = greedy_purchases(offers, stop_rule)
    bought = (offers.size * chosen).sum(axis=1)
    buyer, seller = np.nonzero(chosen)
    size = offers.size[buyer, seller]
    payment = np.zeros(chosen.shape)
    others = offers.held[buyer] + np.maximum(bought[buyer] - size, 0.0)
    gain = collaboration_gain(offers.gain_scale[buyer], others, size)
    payment[buyer, seller] = _no_less_than_cost(gain - offers.penalty[buyer, seller], offers.cost[buyer, seller])
    return Purchases(chosen, payment)


def critical_purchases(offers: Offers, stop_rule: StopRule) -> Purchases:
    """Greedy graph; r_ij = the supremum of the costs that j can report and still be chosen by i."""
    ranking = rank(offers, stop_rule)
    taken = walk(offers.held, ranking, stop_rule).taken
    row, place = np.nonzero(taken)
    seller = ranking.seller[row, place]
    payment = np.zeros(offers.available.shape)
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, ranking.size.shape[1]))
    for begin in range(0, len(row), at_once):
        some = slice(begin, begin + at_once)
        before = _least_before(offers, ranking, row[some], place[some], stop_rule)
        size = offers.size[row[some], seller[some]]
        reserve = collaboration_gain(offers.gain_scale[row[some]], before, size)
        highest = reserve - offers.penalty[row[some], seller[some]]
        payment[row[some], seller[some]] = _no_less_than_cost(highest, offers.cost[row[some], seller[some]])
    chosen = np.zeros(offers.available.shape, dtype=np.bool_)
    chosen[row, seller] = True
    return Purchases(chosen, payment)


def vcg_purchases(offers: Offers, stop_rule: StopRule) -> Purchases:
    """Best bundles S*; r_ij = c_j + W(S*) - W(S*_-j), where S*_-j is the best bundle without j."""
    del stop_rule  # no greedy pass
    chosen = np.zeros(offers.available.shape, dtype=np.bool_)
    payment = np.zeros(offers.available.shape)
    price, acceptable = offers.price, offers.acceptable()
    for row in np.flatnonzero(acceptable.any(axis=1)):
        worth = float(offers.gain_scale[row]), float(offers.held[row]), offers.size[row], price[row]
        best = best_bundle(*worth, acceptable[row])
        chosen[row] = best.chosen
        for seller in np.flatnonzero(best.chosen):
            others = acceptable[row].copy()
            others[seller] = False
            pivot = max(0.0, best.surplus - best_bundle(*worth, others).surplus)
            payment[row, seller] = offers.cost[row, seller] + pivot
    return Purchases(chosen, payment)


def exactly_summable(payment: FloatMatrix) -> FloatMatrix:
    """Payments rounded to multiples of a power of two so small that every sum of them, in any order, is exact.

    The unit is at most 2^-51 of the sum of all. So what owners pay less what they receive adds up to exactly 0, as it
    does in the whole micro-units of the ledger.
    """
    total = float(np.abs(payment).sum())
    if total == 0.0:
        return payment
    unit = math.ldexp(1.0, max(math.frexp(total)[1] - 52, -1074))
    return np.round(payment / unit) * unit


def _no_less_than_cost(payment: FloatColumn, cost: FloatColumn) -> FloatColumn:
    """Who is chosen is paid its reported cost at least; a last bit of rounding must not make that less."""
    return np.maximum(payment, cost)


def _least_before(
    offers: Offers,
    ranking: Ranking,
    row: NDArray[np.int64],
    place: NDArray[np.int64],
    stop_rule: StopRule,
) -> FloatColumn:
    """The total data on top of which the seller at each (row, place) is worth the highest cost it could report.

    Without that seller j, the buyer passes thresholds t_1 >= t_2 >= ... with n_k held and bought before the k-th. With
    a threshold T in (t_k, t_k-1], j is looked at just before the k-th and taken if n_k + N_j < T. So the infimum of the
    thresholds with which it is taken is the least max(t_k, n_k + N_j): t_k falls and n_k rises, so a k whose range is
    empty never gives the least. At T, what j adds comes on top of T - N_j.
    """
    width = ranking.size.shape[1]
    rest = np.arange(width - 1) + (np.arange(width - 1) >= place[:, None])
    others = Ranking(
        np.take_along_axis(ranking.seller[row], rest, axis=1),
        np.take_along_axis(ranking.size[row], rest, axis=1),
        np.take_along_axis(ranking.threshold[row], rest, axis=1),
    )
    held, size = offers.held[row], ranking.size[row, place]
    passed = walk(held, others, stop_rule)
    at_the_end = held + (passed.taken * others.size).sum(axis=1)
    if stop_rule == "break" and width > 1:
        # Beyond the first seller that does not fit nobody is looked at, so also not at the end of the list. Places that
        # only fill a row up have no threshold and stop nobody.
        at_the_end[(~passed.taken & np.isfinite(others.threshold)).any(axis=1)] = np.inf
    least: FloatColumn = np.maximum(others.threshold - size[:, None], passed.before).min(axis=1, initial=np.inf)
    np.minimum(least, at_the_end, out=least)
    return least


_RULES: Mapping[PaymentRule, Callable[[Offers, StopRule], Purchases]] = {
    "ipfl": ipfl_purchases,
    "critical": critical_purchases,
    "vcg": vcg_purchases,
}
