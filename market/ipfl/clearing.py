"""One round of the model-sharing market: graph and payments from reports, utilities from the truth.

Zhang et al. 2025, equations 3, 5 and 10. What owners say decides who buys from whom and at what payment; what they
gain and what sharing costs them is computed from what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn
from market.ipfl.gain import collaboration_gain
from market.ipfl.greedy import StopRule
from market.ipfl.offers import BoolMatrix, FloatMatrix, Offers, SharingTypes, check_distances, offers_to
from market.ipfl.payments import PaymentRule, Purchases, exactly_summable, purchases


@dataclass(frozen=True)
class SharingRules:
    """What the server lays down: lambda, how payments are found, and what a greedy buyer does at a misfit."""

    dissimilarity_penalty: float
    payment_rule: PaymentRule = "ipfl"
    graph_stop_rule: StopRule = "break"


@dataclass(frozen=True)
class SharingOutcome:
    """A round settled. ``adjacency`` [m, m] (row buys, column sells), ``payment`` [m, m] from row to column.

    Columns [m] in money: ``gain``, ``net_payment`` (paid less received), ``utility_client`` = gain - true cost of
    sharing - net payment. ``welfare`` is the sum of gains less that of sharing costs, ``balance`` the sum of net
    payments.
    """

    adjacency: BoolMatrix
    payment: FloatMatrix
    gain: FloatColumn
    net_payment: FloatColumn
    utility_client: FloatColumn
    welfare: float
    balance: float


def clear(reports: SharingTypes, model_distance: FloatMatrix, rules: SharingRules) -> Purchases:
    """The graph and the payments that reports lead to. Raises ``ValueError`` for distances that do not fit."""
    check_distances(model_distance, len(reports))
    offers = offers_to(reports, model_distance, rules.dissimilarity_penalty)
    found = purchases(offers, rules.payment_rule, rules.graph_stop_rule)
    return Purchases(found.chosen, exactly_summable(found.payment))


def settle(truth: SharingTypes, purchased: Purchases) -> SharingOutcome:
    """What a graph with its payments is worth to owners of these true types."""
    adjacency, payment = purchased
    gain = collaboration_gain(truth.gain_scale, truth.data_size, adjacency @ truth.data_size)
    net_payment = payment.sum(axis=1) - payment.sum(axis=0)
    cost = costs_of_sharing(truth.sharing_cost, adjacency.sum(axis=0))
    return SharingOutcome(
        adjacency=adjacency,
        payment=payment,
        gain=gain,
        net_payment=net_payment,
        utility_client=gain - cost - net_payment,
        welfare=float(gain.sum() - cost.sum()),
        balance=float(net_payment.sum()),
    )


def play_round(
    truth: SharingTypes, reports: SharingTypes, model_distance: FloatMatrix, rules: SharingRules
) -> SharingOutcome:
    """Clear the market on ``reports`` and settle it on ``truth``."""
    return settle(truth, clear(reports, model_distance, rules))


def costs_of_sharing(sharing_cost: FloatColumn, sales: FloatColumn) -> FloatColumn:
    """c_i times the number of buyers; 0 for who sold nothing, whatever selling would cost it."""
    with np.errstate(invalid="ignore"):
        return np.where(sales > 0, sharing_cost * sales, 0.0)


def flip_gains(offers: Offers, chosen: BoolMatrix) -> FloatMatrix:
    """How much flipping each single a_ij lowers the buyer's objective, [R, M]; equations 10 and 11.

    The objective is phi_i(a) = sum of prices - G_i(a). Entries that cannot be flipped (not available) are -infinity.
    """
    bought = (offers.size * chosen).sum(axis=1, keepdims=True)
    others = offers.held[:, None] + np.where(chosen, np.maximum(bought - offers.size, 0.0), bought)
    worth = collaboration_gain(offers.gain_scale[:, None], others, offers.size)
    saved = np.where(chosen, offers.price - worth, worth - offers.price)
    return np.where(offers.available, saved, -np.inf)
