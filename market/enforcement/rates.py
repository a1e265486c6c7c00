"""Measured rates of detectors: counts against the truth, with what is known of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn


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


def rate(flags: BoolColumn, level: float = 0.95) -> Rate:
    """How often a detector flags these cases, with the interval of Wilson 1927, Probable inference.

    It takes the cases for independent; those of one owner in several rounds are not quite.
    """
    from scipy.stats import norm

    count, hits = len(flags), int(flags.sum())
    if count == 0:
        return Rate(0, 0, math.nan, math.nan)
    z, share = float(norm.ppf(0.5 + level / 2)), hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return Rate(hits, count, max(0.0, middle - half), min(1.0, middle + half))


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
