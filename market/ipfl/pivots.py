"""What buyers pay one seller under ``vcg`` as its report changes, without the best bundle of everybody each time.

A buyer chooses between the best bundle without the seller, and the seller together with the best bundle on top of it.
Neither hangs on the cost that the seller reports, and the first one not on its size either: both are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn
from market.ipfl.bundle import Bundle, best_bundle
from market.ipfl.gain import collaboration_gain
from market.ipfl.offers import FloatMatrix, SharingTypes, offers_to


class PivotSales:
    """Clarke payments to one seller at a time, while all others keep to ``reports``.

    ``model_distance`` [m, m] and ``weight`` (lambda) as in ``offers_to``.
    """

    def __init__(self, reports: SharingTypes, model_distance: FloatMatrix, weight: float) -> None:
        self._offers = offers_to(reports, model_distance, weight)
        self._price, self._acceptable = self._offers.price, self._offers.acceptable()
        self._best: dict[int, Bundle] = {}
        self._without: dict[tuple[int, int], float] = {}
        self._beside: dict[tuple[int, int, float], float] = {}

    def to(self, seller: int, size: float, cost: float, buyers: NDArray[np.int64]) -> tuple[BoolColumn, FloatColumn]:
        """Which of the buyers [R] import the model of a seller with this report, and what each pays in money.

        W(S*) with the seller is V - price, so the payment c_j + W(S*) - W(S*_-j) is V - penalty - W(S*_-j).
        """
        offers = self._offers
        penalty = offers.penalty[buyers, seller] * (size / offers.size[buyers, seller])
        first = collaboration_gain(offers.gain_scale[buyers], offers.held[buyers], np.full(len(buyers), size))
        highest = np.full(len(buyers), -np.inf)
        for place in np.flatnonzero(first > cost + penalty):
            buyer = int(buyers[place])
            highest[place] = self._surplus_beside(buyer, seller, size) - self._surplus_without(buyer, seller)
        highest -= penalty
        chosen = highest > cost
        return chosen, np.where(chosen, highest, 0.0)

    def _surplus_without(self, buyer: int, seller: int) -> float:
        """W(S*_-j) of a buyer."""
        if buyer not in self._best:
            self._best[buyer] = self._bundle(buyer, self._acceptable[buyer])
        best = self._best[buyer]
        if not best.chosen[seller]:
            return best.surplus
        if (buyer, seller) not in self._without:
            self._without[buyer, seller] = self._bundle(buyer, self._others(buyer, seller)).surplus
        return self._without[buyer, seller]

    def _surplus_beside(self, buyer: int, seller: int, size: float) -> float:
        """V: what a buyer has of the seller's ``size`` samples, at no price, and of the best bundle on top of them."""
        key = buyer, seller, size
        if key not in self._beside:
            scale, held = self._offers.gain_scale[[buyer]], self._offers.held[[buyer]]
            first = float(collaboration_gain(scale, held, np.array([size]))[0])
            self._beside[key] = first + self._bundle(buyer, self._others(buyer, seller), size).surplus
        return self._beside[key]

    def _others(self, buyer: int, seller: int) -> BoolColumn:
        others: BoolColumn = self._acceptable[buyer].copy()
        others[seller] = False
        return others

    def _bundle(self, buyer: int, available: BoolColumn, more: float = 0.0) -> Bundle:
        offers = self._offers
        held = float(offers.held[buyer]) + more
        return best_bundle(float(offers.gain_scale[buyer]), held, offers.size[buyer], self._price[buyer], available)
