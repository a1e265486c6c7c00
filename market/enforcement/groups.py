"""Detectors of groups: what an auditor of the market reads in bids and purchases over many rounds.

A ring leaves nothing in an upload and, member by member, little in a claim. What gives it away is what its members do
together. A group detector looks at the record of a market and gives every owner a ``score``, the larger the more
suspicious, NaN where there is nothing to go by. It cannot tell agreement from a common cause that is not on record.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount, check_finite
from market.enforcement.evidence import deviation
from market.mechanism import DATA_SIZE

Matrix = NDArray[np.float64]
"""Shape [T, N]: rounds and owners."""


@dataclass(frozen=True)
class MarketRecord:
    """What a market has seen of N owners in T rounds.

    ``claims`` by name, [T, N], NaN where an owner did not report; ``bought`` [T, N, N]: row used the model of column;
    ``dissimilarity`` [N, N]: mean distance of two owners' models where they traded, in either direction, else NaN.
    """

    claims: Mapping[str, Matrix]
    bought: NDArray[np.bool_]
    dissimilarity: Matrix

    def __len__(self) -> int:
        return len(self.dissimilarity)


class GroupDetector:
    """Reads the record of a market."""

    name: ClassVar[str]

    @property
    def limit(self) -> float:
        """The score beyond which an owner is flagged."""
        raise NotImplementedError

    def score(self, record: MarketRecord) -> FloatColumn:
        """How suspicious each owner is; NaN where there is nothing to go by."""
        raise NotImplementedError

    def flagged(self, score: FloatColumn) -> BoolColumn:
        """Whom it flags, by the scores."""
        return np.asarray(score > self.limit)


GROUP_DETECTORS: Registry[type[GroupDetector]] = Registry("group detector")


@GROUP_DETECTORS.register("bid_comovement")
@dataclass(frozen=True)
class BidComovement(GroupDetector):
    """Flags who bids high with another one, up to ``lags`` rounds apart, where chance is below 10^-``evidence``.

    A bid is high if it is above the middle of the owner's own range, once what moves everybody is taken off. If rounds
    were exchangeable, the rounds in which both bid high would be hypergeometric (Fisher's exact test). Bids that never
    change say nothing. After Bajari, Ye 2003, Deciding between competition and collusion, Rev. Econ. Stat. 85(4):
    without collusion bids are independent, given what is publicly known.
    """

    name: ClassVar[str] = "bid_comovement"
    lags: int = 3
    evidence: float = 2.0

    def __post_init__(self) -> None:
        check_amount("lags", self.lags)
        check_amount("evidence", self.evidence)

    @property
    def limit(self) -> float:
        return self.evidence

    def score(self, record: MarketRecord) -> FloatColumn:
        """The negative decimal logarithm of the chance, for the most alike of all others, lags and claims [N]."""
        least, looks = np.full(len(record), np.inf), np.zeros(len(record))
        for claimed in record.claims.values():
            high, moves = _high(claimed)
            chance, tried = self._chances(high[:, moves])
            least[moves] = np.fmin(least[moves], chance)
            looks[moves] += tried
        chance = -np.expm1(looks * np.log1p(-np.minimum(least, 1.0 - 1e-16)))  # of so many looks (Šidák)
        return np.where(looks > 0, -np.log10(np.maximum(chance, 1e-300)), np.nan)

    def _chances(self, high: Matrix) -> tuple[FloatColumn, int]:
        """The least chance of each of M owners against all others at all lags, and how many these are."""
        from scipy.stats import hypergeom

        rounds, owners = high.shape
        lags = [lag for lag in range(-int(self.lags), int(self.lags) + 1) if rounds - abs(lag) >= 4]
        least = np.full(owners, np.inf)
        if owners < 2:
            return least, 0
        there = ~np.isnan(high)
        up, seen = np.where(there, high, 0.0), there.astype(np.float64)
        for lag in lags:
            one, other = slice(max(0, lag), rounds + min(0, lag)), slice(max(0, -lag), rounds - max(0, lag))
            both, total = up[one].T @ up[other], seen[one].T @ seen[other]
            first, second = up[one].T @ seen[other], seen[one].T @ up[other]
            chance = np.asarray(hypergeom.sf(both - 1.0, total, first, second))
            np.fill_diagonal(chance, np.inf)
            least = np.fmin(least, chance.min(axis=1))
        return least, (owners - 1) * len(lags)


@GROUP_DETECTORS.register("reciprocal_trade")
@dataclass(frozen=True)
class ReciprocalTrade(GroupDetector):
    """Flags who buys from and sells to the same ``partners`` more than models explain, by ``deviations`` robust ones.

    A logistic regression on how far apart two models are and on the data that both claim says how likely a purchase is
    among pairs that ever trade. The score is the share of rounds in which an owner and its ``partners`` closest
    partners bought from each other, less what was to be expected, in robust deviations from the cohort. After
    Cong, Li, Tang, Yang 2023, Crypto wash trading, Management Science 69(11), and Squartini, Garlaschelli 2011,
    Analytical maximum-likelihood method to detect patterns in real networks, New J. Phys. 13: reciprocity against a
    null model.
    """

    name: ClassVar[str] = "reciprocal_trade"
    partners: int = 2
    deviations: float = 2.5

    def __post_init__(self) -> None:
        check_amount("partners", self.partners)
        check_finite("deviations", self.deviations)

    @property
    def limit(self) -> float:
        return self.deviations

    def score(self, record: MarketRecord) -> FloatColumn:
        excess = mutual_excess(record)
        known = ~np.isnan(excess)
        closest = -np.sort(-np.where(known, excess, 0.0), axis=1)[:, : max(1, int(self.partners))]
        mean = closest.sum(axis=1) / max(1, closest.shape[1])
        return deviation(np.where(known.any(axis=1), mean, np.nan))


def mutual_excess(record: MarketRecord) -> Matrix:
    """Share of rounds in which two owners bought from each other less its expectation, [N, N]; NaN for no pair."""
    rounds, count = len(record.bought), len(record)
    excess = np.full((count, count), np.nan)
    size = np.log(np.maximum(np.nan_to_num(record.claims[DATA_SIZE], nan=1.0), 1.0))
    present = ~np.isnan(record.claims[DATA_SIZE])
    pair = ~np.isnan(record.dissimilarity) & ~np.eye(count, dtype=np.bool_)
    when, buyer, seller = np.nonzero(present[:, :, None] & present[:, None, :] & pair)
    if len(when) == 0:
        return excess
    causes = np.stack([record.dissimilarity[buyer, seller], size[when, buyer], size[when, seller]], axis=1)
    expected = np.zeros((rounds, count, count))
    expected[when, buyer, seller] = fitted(causes, record.bought[when, buyer, seller])
    both = record.bought & record.bought.transpose(0, 2, 1)
    together = np.zeros((count, count))
    np.add.at(together, (buyer, seller), 1.0)
    surplus = (both - expected * expected.transpose(0, 2, 1)).sum(axis=0)
    traded = together > 0
    excess[traded] = surplus[traded] / together[traded]
    return excess


def fitted(causes: Matrix, happened: BoolColumn, ridge: float = 1.0) -> FloatColumn:
    """Probabilities by logistic regression on standardised ``causes`` [K, C], by Newton's method.

    ``ridge`` is the precision of a normal prior around 0 of every coefficient but the constant, so that the fit exists
    where the causes tell everything. Where all or nothing happened, that share.
    """
    from scipy.special import expit

    share = float(happened.mean())
    if share in (0.0, 1.0):
        return np.full(len(happened), share)
    spread = causes.std(axis=0)
    standard = (causes - causes.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    design = np.column_stack([np.ones(len(happened)), standard])
    prior = np.diag(np.append(0.0, np.full(causes.shape[1], ridge)))
    weights = np.append(np.log(share / (1.0 - share)), np.zeros(causes.shape[1]))
    for _ in range(50):
        chance = expit(design @ weights)
        slope = design.T @ (happened - chance) - prior @ weights
        curvature = (design * (chance * (1.0 - chance))[:, None]).T @ design + prior
        step = np.linalg.solve(curvature, slope)
        weights += step / max(1.0, float(np.abs(step).max()))  # of at most 1, or Newton may overshoot
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(expit(design @ weights))


def _high(claimed: Matrix) -> tuple[Matrix, BoolColumn]:
    """1 where a claim is above the middle of its owner's range, else 0, NaN where there is none; and who ever moves."""
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rounds and owners without a report
        bids = np.where(claimed > 0.0, np.log(claimed), np.nan)
        # What moves everybody: the median move of the round, not its level, for other owners come and go.
        moved = np.nanmedian(np.diff(bids, axis=0), axis=1)
        common = np.concatenate([[0.0], np.cumsum(np.nan_to_num(moved))])[:, None]
        own = bids - common
        low, top = np.nanmin(own, axis=0), np.nanmax(own, axis=0)
        moves = np.asarray(np.nanmax(bids, axis=0) - np.nanmin(bids, axis=0) > 1e-9)
    return np.where(np.isnan(own), np.nan, own > (low + top) / 2.0), moves
