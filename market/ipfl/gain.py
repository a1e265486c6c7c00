"""What bought data is worth to a buyer, and up to which amount of data another seller is worth its price.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets", equation 4 and
Box 2. Everything is in total data: what the buyer holds itself plus what it has bought, in samples. All functions are
elementwise and broadcast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = 8
"""Four reach the last bit from the starting points below, which are within 20 % of the root."""

_CLOSE = 1e-7
"""Relative residual from which one more step leaves nothing to find: a step squares it."""

_ENDLESS = 1e-200
"""Scaled prices below this are met by any amount of data that a float can hold."""


def collaboration_gain(
    gain_scale: NDArray[np.float64], before: NDArray[np.float64], added: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What ``added`` >= 0 samples are worth on top of ``before`` > 0: sqrt(K / x) - sqrt(K / (x + n)), equation 4.

    G_i where ``before`` is what the buyer holds itself; otherwise the marginal gain of a further seller. Written
    without the difference, so that a small gain keeps its digits.
    """
    low, high = np.sqrt(before), np.sqrt(before + added)
    return np.asarray(np.sqrt(gain_scale) * added / (low * high * (low + high)))


def selection_threshold(
    gain_scale: NDArray[np.float64], added: NDArray[np.float64], price: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The total x > N_j at which the last ``added`` = N_j samples are worth ``price``: the threshold of Box 2.

    Seller j is worth its price at exactly the totals below x. Infinite for a price of 0 or less; N_j (never worth it)
    for an infinite price or a gain scale of 0.

    With x = N_j (1 + u) the condition is h(u) = u^-1/2 - (1 + u)^-1/2 = price sqrt(N_j / K) = s. h falls from infinity
    to 0, so there is one root, and it lies in [max((1 + s)^-2, (2 s)^-2/3 - 1), min(s^-2, (2 s)^-2/3)]. log h is
    concave in log u with a slope between -1/2 and -3/2, which Newton's steps in logarithms make use of; they stay in
    the bracket.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = np.where(gain_scale > 0, price * np.sqrt(added / gain_scale), np.inf)
        at_small, at_large = (1 + scaled) ** -2, (2 * scaled) ** (-2 / 3)
        low, high = np.maximum(at_small, at_large - 1), np.minimum(scaled**-2, at_large)
        ratio = np.maximum(at_small, at_large - 0.5)
        for _ in range(_STEPS):
            root, root_next = np.sqrt(ratio), np.sqrt(1 + ratio)
            excess = 1 / (root * root_next * (root + root_next) * scaled)  # h / s, in a form without cancellation
            share = root / root_next
            power = 2 / (1 + share + share * share)  # -1 over the slope
            gap = power * (excess - 1)
            # excess**power to third order in the gap, which costs less than a power and is good enough for a step.
            ratio = np.clip(ratio * (excess + 1 + gap) / (excess + 1 - gap), low, high)
            if not (np.abs(excess - 1) > _CLOSE).any():
                break
    threshold = added * (1 + np.where(np.isfinite(ratio), ratio, 0.0))
    threshold = np.where(scaled < _ENDLESS, np.inf, threshold)
    return np.where(price <= 0, np.inf, threshold)
