"""Privacy losses that add up: Renyi differential privacy of one release, and the way back to (epsilon, delta).

A release has a Renyi divergence rdp(a) at each order a > 1, in nats. Those of several releases about the same data
add, whatever was decided after seeing the earlier ones (Mironov 2017, "Renyi differential privacy", proposition 1;
Feldman and Zrnic 2021 for budgets that are kept by stopping). Curves are [..., A], on the same A orders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from learning.columns import FloatColumn
from learning.privacy.mechanisms import positive, probability, refuse

ORDERS: FloatColumn = 1 + np.geomspace(0.05, 512, 64)
"""Orders near enough to each other that the best of them costs at most 1 % of epsilon (tested)."""

_NUMBERS_AT_ONCE = 2**22
"""Numbers of a table [pairs, A, Z] that are worked on at a time; bounds memory (32 MiB)."""


def gaussian_rdp(noise_multiplier: ArrayLike, orders: FloatColumn) -> FloatColumn:
    """a / (2 s^2) [..., A] of a Gaussian release with noise multipliers s [...] (Mironov 2017, corollary 3)."""
    multiplier = positive("noise_multiplier", noise_multiplier)
    return np.asarray(check_orders(orders) / (2 * multiplier[..., None] ** 2))


def laplace_rdp(epsilon: ArrayLike, orders: FloatColumn) -> FloatColumn:
    """Curve [..., A] of a Laplace release of such epsilon [...]: Mironov 2017, table II, with lambda = 1 / epsilon.

    The formula is that of one number. It is convex in epsilon, so with an L1 bound on a vector the worst case is a
    change in one coordinate only, and the formula holds for vectors too.
    """
    eps, a = positive("epsilon", epsilon)[..., None], check_orders(orders)
    up = np.log(a / (2 * a - 1)) + (a - 1) * eps
    down = np.log((a - 1) / (2 * a - 1)) - a * eps
    return np.asarray(np.maximum(np.logaddexp(up, down) / (a - 1), 0.0))


def subsampled_gaussian_rdp(noise_multiplier: ArrayLike, sampling_rate: ArrayLike, orders: FloatColumn) -> FloatColumn:
    """Curve [..., A] of a Gaussian release about a Poisson sample: each unit takes part by chance, on its own.

    The order-a moment of the ratio of (1 - q) N(0, s^2) + q N(1, s^2) to N(0, s^2), under the latter (Mironov, Talwar,
    Zhang 2019, "Renyi differential privacy of the sampled Gaussian mechanism", theorem 5), as an integral over the
    real line by the trapezoid rule, which for such functions is exact but for rounding. It holds for neighbours that
    differ by one unit more or less, and only as long as nobody sees who took part. ``sampling_rate`` q in (0, 1] and
    the multipliers s broadcast; equal pairs are computed once.
    """
    a = check_orders(orders)
    chance = positive("sampling_rate", sampling_rate)
    refuse(chance > 1, chance, "sampling_rate must be at most 1")
    multiplier, rate = np.broadcast_arrays(positive("noise_multiplier", noise_multiplier), chance)
    pairs, place = np.unique(np.stack([multiplier.ravel(), rate.ravel()], axis=1), axis=0, return_inverse=True)
    curves = np.empty((len(pairs), len(a)))
    for row, (s, q) in enumerate(pairs):
        curves[row] = a / (2 * s**2) if q == 1 else _sampled_curve(float(s), float(q), a)
    return curves[place.ravel()].reshape(*multiplier.shape, len(a))


def _sampled_curve(s: float, q: float, a: FloatColumn) -> FloatColumn:
    """The curve [A] of one pair; log moment / (a - 1)."""
    # The integrand is a sum of normal densities around 0 to a; it is smooth on a strip of half-width pi s^2.
    width = min(s / 4, s**2 / 2)
    curve = np.empty(len(a))
    # Orders of about the same size share a grid of places.
    for some in np.array_split(np.argsort(a), max(1, len(a) // 8)):
        z = np.arange(-12 * s, float(a[some].max()) + 12 * s, width)
        ratio = np.logaddexp(np.log1p(-q), np.log(q) + (2 * z - 1) / (2 * s**2))
        weight = -0.5 * (z / s) ** 2 - np.log(s * np.sqrt(2 * np.pi)) + np.log(width)
        for part in np.array_split(some, -(-len(some) * len(z) // _NUMBERS_AT_ONCE)):
            curve[part] = logsumexp(a[part, None] * ratio + weight, axis=1) / (a[part] - 1)
    return np.maximum(curve, 0.0)


def check_orders(orders: FloatColumn) -> FloatColumn:
    """``orders`` [A], all above 1. Raises ``ValueError``."""
    if orders.ndim != 1 or len(orders) == 0 or not ((orders > 1) & (orders < np.inf)).all():
        raise ValueError(f"orders must be a list of numbers above 1, got {orders}")
    return orders


# ---- conversion ---------------------------------------------------------------------------------------------------


def epsilon_of_rdp(rdp: FloatColumn, delta: float, orders: FloatColumn) -> FloatColumn:
    """The least epsilon [...] that curves [..., A] prove at this delta, at least 0.

    min over a of rdp(a) + ln((a - 1) / a) - (ln delta + ln a) / (a - 1): Balle, Barthe, Gaboardi, Hsu, Sato 2020,
    "Hypothesis testing interpretations and Renyi differential privacy", theorem 21; Canonne, Kamath, Steinke 2020,
    proposition 12. Never above ``simple_epsilon_of_rdp``.
    """
    return np.asarray(np.maximum((rdp + conversion_terms(delta, orders)).min(axis=-1), 0.0))


def conversion_terms(delta: float, orders: FloatColumn) -> FloatColumn:
    """What ``epsilon_of_rdp`` adds to a curve, at each order [A]."""
    log_delta = np.log(probability(delta))
    return np.asarray(np.log1p(-1 / orders) - (log_delta + np.log(orders)) / (orders - 1))


def simple_epsilon_of_rdp(rdp: FloatColumn, delta: float, orders: FloatColumn) -> FloatColumn:
    """min over a of rdp(a) + ln(1 / delta) / (a - 1) [...]: Mironov 2017, proposition 3. Loose for few releases."""
    return np.asarray((rdp - np.log(probability(delta)) / (orders - 1)).min(axis=-1))
