"""What one owner gains by bidding under several names: its data split into parts, each with a bid of its own.

There are two ways to count what the owner loses. By record: every record is in one part only, so the releases of the
parts compose in parallel (McSherry 2009, "Privacy integrated queries", theorem 4), and none loses more than the largest
epsilon that any of the names sells. By owner, the whole data set of a person, which is what the ledger of the market
protects: then all releases are about one thing and compose one after another. The owner is paid for each name. Where
the loss is counted by record, that makes false names worth while under every rule that pays by the head; All-in pays by
the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.privacy.mechanisms import gaussian_epsilon, gaussian_noise_multiplier
from market.privacy_auction.bids import Bids, Rule, Sale

DELTA = 1e-5
"""At which the releases of several names are added up."""


class Split(NamedTuple):
    """What an owner has as it is, and under several names, at its true valuation: utilities in money.

    ``split`` counts the loss by record, ``composed`` by owner, as the ledger would.
    """

    honest: float
    split: float
    composed: float

    @property
    def gain(self) -> float:
        """What the names bring by record, money; below 0 where they cost."""
        return self.split - self.honest

    @property
    def composed_gain(self) -> float:
        """The same by owner."""
        return self.composed - self.honest


def split_bids(bids: Bids, owner: int, names: int) -> Bids:
    """The bids with this one replaced by as many equal ones, each with an equal part of the data, at the end.

    Raises ``ValueError`` for fewer than one name.
    """
    if names < 1:
        raise ValueError(f"names must be at least 1, got {names}")
    others = bids.take(np.arange(len(bids)) != owner)

    def with_names(column: FloatColumn, own: float) -> FloatColumn:
        return np.concatenate([column, np.full(names, own)])

    return Bids(
        with_names(others.valuation, float(bids.valuation[owner])),
        with_names(others.privacy_budget, float(bids.privacy_budget[owner])),
        with_names(others.data_size, float(bids.data_size[owner]) / names),
    )


def sybil_gain(rule: Rule, bids: Bids, budget: float, owner: int, names: int) -> Split:
    """What this owner has with one name and with ``names`` of them, all others telling the truth.

    A name is never bought more of than its privacy budget: what a rule allocates beyond is cut, as in the market. By
    owner the names can together lose more than the privacy budget of each.
    """
    honest, _ = _utilities(rule(bids, budget), bids, np.array([owner]))
    several = split_bids(bids, owner, names)
    own = np.arange(len(several) - names, len(several))
    return Split(honest, *_utilities(rule(several, budget), several, own))


def composed_epsilon(epsilon: FloatColumn) -> float:
    """What Gaussian releases of these epsilons [K] about the same data come to at ``DELTA``; 0 where none is above 0.

    They are one release with SUM 1 / s^2, s the noise multipliers (Dong, Roth, Su 2022, corollary 3.3).
    """
    sold = epsilon[epsilon > 0.0]
    if len(sold) == 0:
        return 0.0
    information = (gaussian_noise_multiplier(sold, DELTA) ** -2.0).sum()
    return float(gaussian_epsilon(1.0 / np.sqrt(information), DELTA))


def _utilities(sale: Sale, bids: Bids, own: IntColumn) -> tuple[float, float]:
    """By record and by owner."""
    lost = np.minimum(sale.epsilon[own], bids.privacy_budget[own])
    paid, valuation = float(sale.payment[own].sum()), float(bids.valuation[own[0]])
    return paid - valuation * float(lost.max()), paid - valuation * composed_epsilon(lost)
