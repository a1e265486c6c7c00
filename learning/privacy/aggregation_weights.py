"""How much uploads of unequal noise count in the aggregate. Weights follow from epsilons and declared sizes only.

Everywhere: ``epsilon`` [N], at least 0, is the privacy loss that each owner sold, ``data_size`` [N], at least 0, its
declared samples. Weights [N] are at least 0 and sum to 1. An owner with epsilon 0 has weight 0; if all have, there is
nothing to weigh and the data shares come back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import FloatColumn
from learning.registry import Registry

Weigh = Callable[[FloatColumn, FloatColumn], FloatColumn]
"""From epsilon [N] and data_size [N] to weights [N]."""

AGGREGATION_WEIGHTS: Registry[Weigh] = Registry("aggregation weights")


def data_shares(data_size: ArrayLike) -> FloatColumn:
    """data_size / SUM data_size. Raises ``ValueError`` for sizes that are negative, not finite or all 0."""
    sizes = np.asarray(data_size, dtype=np.float64)
    if not ((sizes >= 0) & (sizes < np.inf)).all() or not sizes.sum() > 0:
        raise ValueError("data sizes must be numbers of at least 0, and one above")
    return np.asarray(sizes / sizes.sum())


def power_weights(
    epsilon: FloatColumn, data_size: FloatColumn, *, data_power: float, epsilon_power: float
) -> FloatColumn:
    """Weights proportional to data_size^data_power * epsilon^epsilon_power; powers of at least 0."""
    eps = np.asarray(epsilon, dtype=np.float64)
    if not ((eps >= 0) & (eps < np.inf)).all():
        raise ValueError("epsilon must be a number of at least 0 for every owner")
    if len(eps) != len(data_size):
        raise ValueError(f"columns differ in length: {len(eps)} epsilons, {len(data_size)} data sizes")
    shares, highest = data_shares(data_size), eps.max(initial=0.0)
    if highest == 0:
        return shares
    # Relative to the largest, so that no power overflows.
    raw = np.where(eps > 0, (shares / shares.max()) ** data_power * (eps / highest) ** epsilon_power, 0.0)
    return np.asarray(raw / raw.sum()) if raw.sum() > 0 else shares


@AGGREGATION_WEIGHTS.register("uniform")
def uniform(epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
    """The same weight for everybody who sold privacy"""
    return power_weights(epsilon, data_size, data_power=0, epsilon_power=0)


@AGGREGATION_WEIGHTS.register("data_size")
def by_data_size(epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
    """Proportional to data, among those who sold privacy (ConvlAggr of FL-Market, Zheng et al. 2021)"""
    return power_weights(epsilon, data_size, data_power=1, epsilon_power=0)


@AGGREGATION_WEIGHTS.register("epsilon")
def by_epsilon(epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
    """Proportional to epsilon (algorithm 2 of MFG-RegretNet)"""
    return power_weights(epsilon, data_size, data_power=0, epsilon_power=1)


@AGGREGATION_WEIGHTS.register("epsilon_squared")
def by_epsilon_squared(epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
    """Proportional to epsilon squared: least noise, where its deviation goes by 1 / epsilon (VarOpt of FL-Market)"""
    return power_weights(epsilon, data_size, data_power=0, epsilon_power=2)


def noise_variance(weights: FloatColumn, variance: FloatColumn) -> float:
    """SUM weights^2 * variance: the variance of the aggregate's noise; ``variance`` may be infinite at weight 0."""
    used = weights > 0
    return float((weights[used] ** 2 * variance[used]).sum())


def error_bound(weights: FloatColumn, variance: FloatColumn, data_size: FloatColumn, bias_weight: float) -> float:
    """ERR of FL-Market: noise variance plus bias_weight * (SUM |weights - data shares|)^2."""
    distance = np.abs(weights - data_shares(data_size)).sum()
    return noise_variance(weights, variance) + bias_weight * float(distance) ** 2


def least_error_weights(variance: FloatColumn, data_size: FloatColumn, bias_weight: float) -> FloatColumn:
    """The weights of the least ``error_bound``: OptAggr of FL-Market (Zheng et al. 2021), solved exactly.

    ``variance`` [N], above 0, is that of each owner's noise; infinite for an owner that sold nothing, who gets weight
    0. ``bias_weight``, at least 0, is the L^2 of the paper.

    With v, W the variances and data shares and S the distance, the conditions of the optimum say that there are two
    levels p <= r = p + 2 * bias_weight * S of marginal variance v * weight: who is below p at its data share is filled
    up to p, who is above r is drained to r, the others keep their share. What is filled, m = S / 2, is what is drained
    plus the shares of those who must have weight 0. As functions of m both levels are piecewise linear, p rising and r
    falling, so the m where they fit together is found among sorted corners: O(N log N), without iterations.
    """
    v, share = np.asarray(variance, dtype=np.float64), data_shares(data_size)
    if len(v) != len(share):
        raise ValueError(f"columns differ in length: {len(v)} variances, {len(share)} data sizes")
    if not (v > 0).all():
        raise ValueError("variances must be above 0; infinite for owners without a weight")
    if not (0 <= bias_weight < np.inf):
        raise ValueError(f"bias_weight must be a number of at least 0, got {bias_weight}")
    some = np.isfinite(v)
    if not some.any():
        return share
    weights = np.zeros(len(v))
    low, high = _levels(v[some], share[some], float(share[~some].sum()), bias_weight)
    weights[some] = np.clip(share[some], low / v[some], high / v[some])
    return np.asarray(weights / weights.sum())


def _levels(v: FloatColumn, share: FloatColumn, outside: float, bias_weight: float) -> tuple[float, float]:
    """The two levels p <= r for owners with finite variance; ``outside``: the shares of the others."""
    order = np.argsort(v * share, kind="stable")
    corner, inverse, held = (v * share)[order], (1 / v)[order], share[order]
    # What it takes to fill everybody up to a corner, and what draining down to it gives; at 0 everything is drained.
    filled = corner * np.cumsum(inverse) - np.cumsum(held)
    drained = np.cumsum(held[::-1])[::-1] - corner * np.cumsum(inverse[::-1])[::-1]
    corner_r = np.concatenate([[0.0], corner])
    drained_r = np.concatenate([[held.sum()], drained]) + outside
    # Beyond the highest corner everybody is filled: one more corner, at all that there is to fill with.
    most = held.sum() + outside
    corner_p = np.append(corner, (most + held.sum()) / inverse.sum())
    filled_p = np.append(filled, most)
    # Cumulated sums are monotone but for rounding.
    filled_p = np.maximum.accumulate(filled_p)
    drained_r = np.minimum.accumulate(drained_r)

    def gap(m: FloatColumn) -> FloatColumn:
        low = np.interp(m, filled_p, corner_p)
        high = np.interp(m, drained_r[::-1], corner_r[::-1])
        return np.asarray(high - low - 4 * bias_weight * m)

    corners = np.unique(np.concatenate([[outside], filled_p, drained_r]))
    corners = corners[corners >= outside]
    gaps = gap(corners)
    if gaps[0] <= 0:  # nobody is drained
        return float(np.interp(outside, filled_p, corner_p)), np.inf
    # At the last corner everybody is filled and drained to 0, so the gap is below 0 there.
    right = int(np.argmax(gaps <= 0))
    left = right - 1
    m = corners[left] + (corners[right] - corners[left]) * gaps[left] / (gaps[left] - gaps[right])
    return float(np.interp(m, filled_p, corner_p)), float(np.interp(m, drained_r[::-1], corner_r[::-1]))
