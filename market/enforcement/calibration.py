"""Detectors set to a share of false alarms, by the scores of rounds that are known to be clean."""

from __future__ import annotations

import math

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.enforcement.detectors import Detector


def conformal_limit(clean: FloatColumn, share: float, whose: IntColumn | None = None) -> float:
    """The lowest limit that a further clean score exceeds with a probability of at most ``share`` in (0, 1).

    The ceil((n + 1)(1 - share))-th of n scores in order, if all n + 1 are exchangeable (Vovk, Gammerman and Shafer
    2005, Algorithmic learning in a random world; Laxhammar and Falkman 2010, Conformal prediction for distribution-
    independent anomaly detection). A case without a score (NaN) is never flagged and counts as the lowest.

    ``whose``: a number for each case, the same for those that belong together, such as the rounds of one owner. Then
    only owners are exchangeable, and rounds within one: each of k owners has the weight 1/(k + 1), shared by its
    scores, and the limit is where their weights reach 1 - share (Lee, Barber and Willett 2023, Distribution-free
    inference with hierarchical data). It holds for a round of a further owner.

    Raises ``ValueError`` with one line for a share out of range, and for too few owners: no finite limit would do.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"expected a share between 0 and 1, got {share}")
    _, group = np.unique(np.arange(len(clean)) if whose is None else whose, return_inverse=True)
    size = np.bincount(group)
    least, what = math.ceil(1.0 / share - 1e-9) - 1, "rounds" if whose is None else "owners"
    if len(size) < least:
        raise ValueError(f"{len(size)} clean {what}, {least} or more are needed for a share of {share:g}")
    order = np.argsort(np.where(np.isnan(clean), -np.inf, clean), kind="stable")
    reached = np.cumsum(1.0 / size[group[order]])  # in units of 1 / (k + 1)
    place = int(np.searchsorted(reached, (len(size) + 1) * (1.0 - share) - 1e-9))
    highest = clean[order[min(place, len(order) - 1)]]
    return float(-np.inf if np.isnan(highest) else highest)


def calibrated(detector: Detector, clean: FloatColumn, share: float, whose: IntColumn | None = None) -> Detector:
    """The same detector with the limit that flags at most ``share`` of clean rounds like those with these scores.

    ``whose`` as in ``conformal_limit``. Raises ``ValueError`` with one line if there is none, because scores are
    infinite or too few, or because the detector has no limit to set.
    """
    limit = conformal_limit(clean, share, whose)
    if not math.isfinite(limit):
        raise ValueError("clean rounds have no finite score")
    return detector.at(above(limit))


def above(number: float, digits: int = 6) -> float:
    """The next larger number of so many significant digits, such as a user would write."""
    place = math.floor(math.log10(abs(number))) - digits + 1 if number else -digits
    return round((math.floor(number / 10.0**place) + 1) * 10.0**place, -place)
