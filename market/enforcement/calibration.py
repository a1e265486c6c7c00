"""Detectors set to a share of false alarms, by the scores of rounds that are known to be clean."""

from __future__ import annotations

import math

import numpy as np

from learning.columns import FloatColumn
from market.enforcement.detectors import Detector


def conformal_limit(clean: FloatColumn, share: float) -> float:
    """The lowest limit that a further clean score exceeds with a probability of at most ``share`` in (0, 1).

    The ceil((n + 1)(1 - share))-th of n scores in order, if all n + 1 are exchangeable (Vovk, Gammerman and Shafer
    2005, Algorithmic learning in a random world; Laxhammar and Falkman 2010, Conformal prediction for distribution-
    independent anomaly detection). A case without a score (NaN) is never flagged and counts as the lowest.

    Raises ``ValueError`` with one line for a share out of range and for too few scores.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"expected a share between 0 and 1, got {share}")
    least = math.ceil(1.0 / share - 1e-9) - 1
    if len(clean) < least:
        raise ValueError(f"{len(clean)} clean rounds, {least} or more are needed for a share of {share:g}")
    place = math.ceil((len(clean) + 1) * (1.0 - share) - 1e-9)
    return float(np.sort(np.where(np.isnan(clean), -np.inf, clean))[place - 1])


def calibrated(detector: Detector, clean: FloatColumn, share: float) -> Detector:
    """The same detector with the limit that flags at most ``share`` of clean rounds like those with these scores.

    Raises ``ValueError`` with one line if there is none, because scores are infinite or too few, or because the
    detector has no limit to set.
    """
    limit = conformal_limit(clean, share)
    if not math.isfinite(limit):
        raise ValueError("clean rounds have no finite score")
    return detector.at(above(limit))


def above(number: float, digits: int = 6) -> float:
    """The next larger number of so many significant digits, such as a user would write."""
    place = math.floor(math.log10(abs(number))) - digits + 1 if number else -digits
    return round((math.floor(number / 10.0**place) + 1) * 10.0**place, -place)
