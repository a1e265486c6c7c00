"""What owners of one static market would gain by lying, and where the graph is not even locally optimal.

One owner lies at a time and all others report what they report. A lie and the truth are both worth what they bring at
the owner's true type. The cost is one partial clearing per owner and factor (under ``vcg`` one best bundle or two per
owner and buyer): meant for up to a few hundred owners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn
from market.ipfl.clearing import SharingOutcome, SharingRules, flip_gains
from market.ipfl.gain import collaboration_gain
from market.ipfl.offers import BoolMatrix, FloatMatrix, SharingTypes, check_distances, offers_to
from market.ipfl.payments import purchases
from market.ipfl.pivots import PivotSales

Report = Literal["gain_scale", "data_size", "sharing_cost"]

COST_ABOVE = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
COST_BELOW = (0.05, 0.1, 0.25, 0.5, 0.8, 0.9)
SIZES = (0.1, 0.5, 1.5, 2.0, 5.0, 10.0, 100.0, 1e4)
GAIN_SCALES = (0.25, 0.5, 0.8, 0.9, 1.1, 1.25, 2.0)

NEGLIGIBLE = 1e-9
"""Gains and losses up to this, relative to 1 + the honest utility, are put down to float arithmetic."""


class Rationality(NamedTuple):
    """How many owners end below zero, and the lowest utility (money)."""

    violations: int
    worst: float


class Lies(NamedTuple):
    """What each owner gains by each lie: ``gain`` [F, m] in money for ``factors`` [F]; ``gainful`` [F, m] if really.

    The gain is 0 where a factor changes nothing, as the cost of an owner that never sells.
    """

    factors: FloatColumn
    gain: FloatMatrix
    gainful: BoolMatrix


class Flips(NamedTuple):
    """Single changes of the graph that would lower their buyer's objective by more than rounding.

    ``largest`` is the largest gain (money, at least 0), ``share`` that of buyers with such a change; ``additions`` and
    ``removals`` count the changes.
    """

    largest: float
    share: float
    additions: int
    removals: int


def individual_rationality(outcome: SharingOutcome) -> Rationality:
    """Who loses by being in the market; the outside option is worth 0."""
    utility = outcome.utility_client
    return Rationality(int((utility < -NEGLIGIBLE).sum()), float(utility.min()))


def lie_gains(
    truth: SharingTypes,
    reports: SharingTypes,
    model_distance: FloatMatrix,
    rules: SharingRules,
    report: Report,
    factors: Sequence[float],
) -> Lies:
    """What owners gain by reporting ``factor`` times the true value of one thing instead of the true value.

    ``reports`` is what the others say, and what the liar says of the other things.
    """
    check_distances(model_distance, len(truth))
    multiples = np.array(factors, dtype=np.float64)
    gain = np.zeros((len(multiples), len(truth)))
    gainful = np.zeros(gain.shape, dtype=np.bool_)
    sales = _sales(reports, model_distance, rules)
    for owner in range(len(truth)):
        true_value = getattr(truth, report)[owner]
        if true_value in (0.0, np.inf):
            continue

        def worth(value: float, owner: int = owner) -> float:
            said = getattr(reports, report).copy()
            said[owner] = value
            return _utility_of(owner, truth, replace(reports, **{report: said}), model_distance, rules, sales)

        honest = worth(true_value)
        gain[:, owner] = [worth(factor * true_value) - honest for factor in multiples]
        gainful[:, owner] = gain[:, owner] > NEGLIGIBLE * (1.0 + abs(honest))
    return Lies(multiples, gain, gainful)


def one_flip_gain(
    outcome: SharingOutcome, reports: SharingTypes, model_distance: FloatMatrix, rules: SharingRules
) -> Flips:
    """Local optimality of the graph as the server sees it: equation 11."""
    saved = flip_gains(offers_to(reports, model_distance, rules.dissimilarity_penalty), outcome.adjacency)
    better = saved > NEGLIGIBLE
    return Flips(
        largest=float(saved.max(initial=0.0)),
        share=float(better.any(axis=1).mean()),
        additions=int((better & ~outcome.adjacency).sum()),
        removals=int((better & outcome.adjacency).sum()),
    )


Sales = Callable[[int, SharingTypes, NDArray[np.int64]], tuple[BoolColumn, FloatColumn]]
"""Which of some buyers buy from an owner under these reports, and what each pays to it."""


def _sales(reports: SharingTypes, model_distance: FloatMatrix, rules: SharingRules) -> Sales:
    """How to find the sales of one owner that reports something else than in ``reports``."""
    weight = rules.dissimilarity_penalty
    if rules.payment_rule == "vcg":
        pivots = PivotSales(reports, model_distance, weight)
        return lambda owner, said, buyers: pivots.to(
            owner, float(said.data_size[owner]), float(said.sharing_cost[owner]), buyers
        )

    def cleared(owner: int, said: SharingTypes, buyers: NDArray[np.int64]) -> tuple[BoolColumn, FloatColumn]:
        offers = offers_to(said, model_distance, weight, buyers)
        chosen, payment = purchases(offers, rules.payment_rule, rules.graph_stop_rule)
        return chosen[:, owner], payment[:, owner]

    return cleared


def _utility_of(
    owner: int,
    truth: SharingTypes,
    reports: SharingTypes,
    model_distance: FloatMatrix,
    rules: SharingRules,
    sales: Sales,
) -> float:
    """An owner's utility; of the buyers, only those that might ever buy from it are looked at."""
    weight, size = rules.dissimilarity_penalty, reports.data_size
    price = reports.sharing_cost[owner] + weight * size[owner] / size * model_distance[:, owner]
    might = collaboration_gain(reports.gain_scale, size, size[[owner]]) > price
    might[owner] = False
    sold, received = sales(owner, reports, np.flatnonzero(might))
    own_offers = offers_to(reports, model_distance, weight, np.array([owner]))
    chosen, payment = purchases(own_offers, rules.payment_rule, rules.graph_stop_rule)
    bought = chosen @ truth.data_size
    gain = collaboration_gain(truth.gain_scale[[owner]], truth.data_size[[owner]], bought)
    cost = float(truth.sharing_cost[owner]) * int(sold.sum()) if sold.any() else 0.0
    return float(gain[0] - payment.sum() + received.sum()) - cost
