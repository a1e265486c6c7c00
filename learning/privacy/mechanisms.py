"""How much noise makes a release (epsilon, delta)-differentially private, and how private given noise is.

All functions work on columns: ``epsilon`` > 0, ``delta`` in (0, 1) and noise broadcast against each other. A noise
multiplier is the noise's standard deviation per unit of L2 sensitivity.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, erfinv, log_ndtr, ndtri

from learning.columns import BoolColumn, FloatColumn

_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


class NoiseLaw(StrEnum):
    """The distribution of the noise; it decides in which norm sensitivity is counted."""

    GAUSSIAN = "gaussian"
    LAPLACE = "laplace"

    @property
    def norm(self) -> int:
        """Order of the norm in which updates are clipped: 2 or 1."""
        return 2 if self is NoiseLaw.GAUSSIAN else 1

    def draw(self, generator: np.random.Generator, size: int) -> FloatColumn:
        """Independent numbers [size] of mean 0 and standard deviation 1."""
        if self is NoiseLaw.GAUSSIAN:
            return generator.standard_normal(size)
        return generator.laplace(scale=np.sqrt(0.5), size=size)


class NoiseTooSmall(UserWarning):
    """The classical formula is used where nothing proves that its noise suffices."""


def positive(name: str, value: ArrayLike) -> FloatColumn:
    """``value`` as numbers, all finite and above 0. Raises ``ValueError`` that calls them ``name``."""
    numbers = np.asarray(value, dtype=np.float64)
    refuse(~((numbers > 0) & (numbers < np.inf)), numbers, f"{name} must be a number above 0")
    return numbers


def probability(delta: ArrayLike) -> FloatColumn:
    """``delta`` as numbers in (0, 1). Raises ``ValueError``."""
    numbers = positive("delta", delta)
    refuse(~(numbers < 1), numbers, "delta must be below 1")
    return numbers


def refuse(wrong: BoolColumn, numbers: FloatColumn, rule: str) -> None:
    """Raise ``ValueError`` with the rule and the first of ``numbers`` that is ``wrong``, if any is."""
    if wrong.any():
        raise ValueError(f"{rule}, got {numbers[wrong].flat[0]:g}")


# ---- Gaussian -----------------------------------------------------------------------------------------------------


def gaussian_delta(epsilon: ArrayLike, noise_multiplier: ArrayLike) -> FloatColumn:
    """The least delta at which a Gaussian release is (epsilon, delta)-private; epsilon may be 0.

    Phi(1/(2s) - eps s) - e^eps Phi(-1/(2s) - eps s), s the noise multiplier: Balle and Wang 2018, "Improving the
    Gaussian mechanism for differential privacy", theorem 8.
    """
    eps = np.asarray(epsilon, dtype=np.float64)
    refuse(~((eps >= 0) & (eps < np.inf)), eps, "epsilon must be a number of at least 0")
    mu = 1 / positive("noise_multiplier", noise_multiplier)
    return np.where(eps > 0, np.exp(_log_delta(eps, mu)[0]), erf(mu / np.sqrt(8)))


def gaussian_noise_multiplier(epsilon: ArrayLike, delta: ArrayLike) -> FloatColumn:
    """The least noise multiplier at which a Gaussian release is (epsilon, delta)-private: inverts ``gaussian_delta``.

    Balle and Wang's analytic Gaussian mechanism (2018, algorithm 1), valid for every epsilon above 0. Solved for
    mu = 1/s by Newton steps, whose slope is d delta / d mu = phi(mu/2 - eps/mu).
    """
    eps, target = np.broadcast_arrays(positive("epsilon", epsilon), probability(delta))
    goal = np.log(target)

    def excess(mu: FloatColumn, eps: FloatColumn, goal: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        log_delta, _ = _log_delta(eps, mu)
        return log_delta - goal, mu * np.exp(-0.5 * (mu / 2 - eps / mu) ** 2 - _LOG_ROOT_TWO_PI - log_delta)

    # At epsilon = 0 delta is 2 Phi(mu/2) - 1, and it falls with epsilon. At the upper end mu/2 - eps/mu is z, and
    # e^eps Phi(-mu/2 - eps/mu) is at most Phi(-z), so delta is at least 2 Phi(z) - 1.
    z = np.sqrt(2) * erfinv(target)
    return 1 / _root(excess, 2 * z, z + np.sqrt(z**2 + 2 * eps), eps, goal)


def gaussian_epsilon(noise_multiplier: ArrayLike, delta: ArrayLike) -> FloatColumn:
    """The least epsilon of at least 0 at which a Gaussian release with this multiplier is (epsilon, delta)-private."""
    multiplier, target = np.broadcast_arrays(positive("noise_multiplier", noise_multiplier), probability(delta))
    mu, goal = 1 / multiplier, np.log(target)
    leaks = erf(mu / np.sqrt(8)) > target

    def excess(eps: FloatColumn, mu: FloatColumn, goal: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        log_delta, log_second = _log_delta(eps, mu)
        return goal - log_delta, eps * np.exp(log_second - log_delta)

    # At the upper end already the first term of delta alone is the target.
    ends = np.where(leaks, mu * (mu / 2 - ndtri(target)), 1.0)
    return np.where(leaks, _root(excess, np.zeros_like(mu), ends, mu, goal), 0.0)


def classical_noise_multiplier(epsilon: ArrayLike, delta: ArrayLike) -> FloatColumn:
    """sqrt(2 ln(1.25 / delta)) / epsilon: Dwork and Roth 2014, appendix A.

    Proved for epsilon up to 1; above it warns with ``NoiseTooSmall``, and well above it is not private enough.
    """
    eps = positive("epsilon", epsilon)
    if (eps > 1).any():
        message = f"the classical Gaussian formula is proved for epsilon up to 1, got {eps.max():g}"
        warnings.warn(message, NoiseTooSmall, stacklevel=2)
    return _classical(probability(delta)) / eps


def classical_epsilon(noise_multiplier: ArrayLike, delta: ArrayLike) -> FloatColumn:
    """The epsilon that ``classical_noise_multiplier`` takes this noise for, proved or not."""
    return _classical(probability(delta)) / positive("noise_multiplier", noise_multiplier)


def _classical(delta: FloatColumn) -> FloatColumn:
    return np.asarray(np.sqrt(2 * np.log(1.25 / delta)))


def _log_delta(eps: FloatColumn, mu: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
    """Logarithms of ``gaussian_delta`` and of its second term, without overflow; -inf where delta underflows."""
    first = log_ndtr(mu / 2 - eps / mu)
    second = eps + log_ndtr(-mu / 2 - eps / mu)
    with np.errstate(divide="ignore"):
        return first + np.log(-np.expm1(np.minimum(second - first, 0.0))), second


def _root(
    excess: Callable[..., tuple[FloatColumn, FloatColumn]], low: FloatColumn, high: FloatColumn, *given: FloatColumn
) -> FloatColumn:
    """Where the increasing ``excess(at, *given)`` is 0 between ``low`` >= 0 and ``high``, entry by entry.

    ``excess`` gives the value and its derivative by the logarithm of the place. Newton steps in the logarithm, and
    halving where such a step would leave the bracket; each entry stops when it is there.
    """
    shape = np.shape(low)
    low, high, *given_flat = (np.ravel(column).astype(np.float64) for column in (low, high, *given))
    found = 0.5 * (low + high)
    rows, at = np.arange(found.size), found.copy()
    for _ in range(100):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            value, slope = excess(at, *given_flat)
            change = -value / slope
            step = at * np.exp(change)
        low, high = np.where(value < 0, at, low), np.where(value > 0, at, high)
        # Newton's error is squared by each step, so after one of 1e-9 there is nothing left but rounding.
        near = (np.abs(change) <= 1e-9) & (np.abs(value) <= 1e-5)
        at = np.where(near | ((step > low) & (step < high)), step, 0.5 * (low + high))
        found[rows] = at
        going = ~(near | (high - low <= 1e-15 * high))
        if not going.any():
            break
        rows, at, low, high = rows[going], at[going], low[going], high[going]
        given_flat = [column[going] for column in given_flat]
    return found.reshape(shape)


# ---- Laplace ------------------------------------------------------------------------------------------------------


def laplace_noise_std(epsilon: ArrayLike, l1_sensitivity: ArrayLike) -> FloatColumn:
    """Standard deviation of the Laplace noise on each coordinate that makes a release (epsilon, 0)-private.

    The noise has scale l1_sensitivity / epsilon (Dwork et al. 2006), so variance 2 (l1_sensitivity / epsilon)^2.
    """
    return np.asarray(np.sqrt(2) * positive("l1_sensitivity", l1_sensitivity) / positive("epsilon", epsilon))


def laplace_epsilon(noise_std: ArrayLike, l1_sensitivity: ArrayLike) -> FloatColumn:
    """The epsilon of Laplace noise of this standard deviation on each coordinate; delta is 0."""
    return np.asarray(np.sqrt(2) * positive("l1_sensitivity", l1_sensitivity) / positive("noise_std", noise_std))


# ---- sums ---------------------------------------------------------------------------------------------------------


def secure_share_std(noise_std: ArrayLike, count: int) -> FloatColumn:
    """Standard deviation of the noise of each of ``count`` owners whose securely added noise has ``noise_std``.

    Then only the sum is private: each upload alone, if it were seen, would be protected by that little noise.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    return np.asarray(np.asarray(noise_std, dtype=np.float64) / np.sqrt(count))
