"""Measured rates of detectors: counts against the truth, with how well they are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn


@dataclass(frozen=True)
class Rate:
    """``hits`` of ``count`` cases, and the ends of the confidence interval of their share."""

    hits: int
    count: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share itself, NaN without cases."""
        return self.hits / self.count if self.count else math.nan


def rate(flags: BoolColumn, whose: IntColumn | None = None, level: float = 0.95) -> Rate:
    """How often a detector flags these cases, with the interval of Wilson 1927, Probable inference.

    ``whose``: a number for each case, the same for those that belong together, such as the rounds of one owner. Then
    the interval is that of as many independent cases as tell as much (Rao and Scott 1992, A simple method for the
    analysis of clustered binary data). Without it the cases are taken for independent.
    """
    from scipy.stats import norm

    count, hits = len(flags), int(flags.sum())
    if count == 0:
        return Rate(0, 0, math.nan, math.nan)
    z, share = float(norm.ppf(0.5 + level / 2)), hits / count
    worth = count if whose is None else count / design_effect(flags, whose)
    middle = (share + z * z / (2 * worth)) / (1 + z * z / worth)
    half = z / (1 + z * z / worth) * math.sqrt(share * (1 - share) / worth + (z / (2 * worth)) ** 2)
    return Rate(hits, count, max(0.0, middle - half), min(1.0, middle + half))


def design_effect(flags: BoolColumn, whose: IntColumn) -> float:
    """How many times the variance of independent cases the share of flags has, at least 1.

    The variance of a ratio estimator over groups (Rao and Scott 1992, equation 1): k/(k - 1) times the sum of
    (x - p m)^2 over n^2, with x of m cases flagged in each of k groups and p = x/m overall. Where all cases are alike,
    or all of one group, nothing tells; then a group is worth no more than one case.
    """
    _, group = np.unique(whose, return_inverse=True)
    size = np.bincount(group).astype(np.float64)
    hits = np.bincount(group, weights=flags.astype(np.float64))
    count, groups, share = len(flags), len(size), float(flags.mean())
    if groups == 1 or share in (0.0, 1.0):
        return count / groups
    variance = groups / (groups - 1) * float(((hits - share * size) ** 2).sum()) / count**2
    return max(1.0, variance * count / (share * (1.0 - share)))


def area(scores: FloatColumn, guilty: BoolColumn) -> float:
    """Probability that a violation scores above a clean case, ties half: the area under the ROC curve.

    1 tells all apart, 0.5 is guessing. Cases without a score are left out; NaN where either kind is missing.
    """
    from scipy.stats import rankdata

    known = ~np.isnan(scores)
    ranks, bad = rankdata(scores[known]), guilty[known]
    positive, negative = int(bad.sum()), int((~bad).sum())
    if positive == 0 or negative == 0:
        return math.nan
    return float((ranks[bad].sum() - positive * (positive + 1) / 2) / (positive * negative))
