"""Gaussian mixtures fitted by expectation maximisation, held up by a prior where samples are few.

Maximum a posteriori (Fraley and Raftery 2007, "Bayesian regularization for normal mixture estimation"): every
covariance has an inverse Wishart prior worth ``strength`` samples of covariance ``typical``, every weight a Dirichlet
prior worth one sample. So a component of one sample is an ordinary Gaussian around it, and no likelihood is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from learning.columns import FloatColumn, IntColumn

ITERATIONS, LLOYD_ITERATIONS = 40, 5
TOLERANCE = 1e-4
"""Rise of the mean log posterior per sample, in nats, below which the fit has arrived."""
PSEUDO_COUNT = 1.0

FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """K Gaussians in r dimensions: ``weights`` [K], ``means`` [K, r], lower Cholesky ``factors`` [K, r, r].

    ``course``: the log posterior (without constants) after each iteration, in nats; it never falls.
    """

    weights: FloatColumn
    means: FloatMatrix
    factors: FloatMatrix
    course: tuple[float, ...] = ()

    def log_densities(self, z: FloatMatrix) -> FloatMatrix:
        """Log of weight times density [n, K] of points [n, r], in nats."""
        moved = z[None] - self.means[:, None]
        white = moved @ np.linalg.inv(self.factors).transpose(0, 2, 1)
        spread = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        dimensions = z.shape[1]
        scale = np.log(self.weights) - spread - 0.5 * dimensions * np.log(2 * np.pi)
        return np.asarray((scale[:, None] - 0.5 * np.square(white).sum(axis=2)).T)

    def points(self, uniform: FloatColumn, normal: FloatMatrix) -> FloatMatrix:
        """Points [n, r] from uniform numbers [n], which choose the component, and standard normal ones [n, r]."""
        chosen = np.minimum(np.searchsorted(np.cumsum(self.weights), uniform), len(self.weights) - 1)
        made = self.means[chosen]
        for component in np.unique(chosen):
            rows = chosen == component
            made[rows] += normal[rows] @ self.factors[component].T
        return made


def fit_mixture(
    z: FloatMatrix, components: int, typical: FloatMatrix, strength: float, chance: np.random.Generator
) -> Mixture:
    """A mixture of ``components`` Gaussians for points [n, r]; ``typical`` [r, r] is positive definite."""
    member = _clusters(z, components, chance)
    share = np.eye(components)[member]
    mixture, course = _maximised(z, share, typical, strength), [-np.inf]
    for _ in range(ITERATIONS):
        each = mixture.log_densities(z)
        total = logsumexp(each, axis=1)
        course.append(float(total.sum()) + log_prior(mixture, typical, strength))
        if course[-1] - course[-2] < TOLERANCE * len(z):
            break
        mixture = _maximised(z, np.exp(each - total[:, None]), typical, strength)
    return Mixture(mixture.weights, mixture.means, mixture.factors, tuple(course[1:]))


def log_prior(mixture: Mixture, typical: FloatMatrix, strength: float) -> float:
    """Log density of the prior at the mixture's parameters, without its constants, in nats."""
    log_determinants = 2 * np.log(np.diagonal(mixture.factors, axis1=1, axis2=2)).sum()
    roots = np.linalg.solve(mixture.factors, np.broadcast_to(np.linalg.cholesky(typical), mixture.factors.shape))
    return float(
        PSEUDO_COUNT * np.log(mixture.weights).sum() - 0.5 * strength * (log_determinants + np.square(roots).sum())
    )


def _maximised(z: FloatMatrix, share: FloatMatrix, typical: FloatMatrix, strength: float) -> Mixture:
    """The mode of the posterior, given each point's share [n, K] in each component."""
    count = share.sum(axis=0)
    weights = (count + PSEUDO_COUNT) / (len(z) + PSEUDO_COUNT * len(count))
    means = share.T @ z / np.maximum(count, 1e-12)[:, None]
    moved = z[None] - means[:, None]
    scatter = np.einsum("nk,kni,knj->kij", share, moved, moved, optimize=True)
    covariances = (scatter + strength * typical) / (count + strength)[:, None, None]
    return Mixture(weights, means, np.linalg.cholesky(covariances))


def _clusters(z: FloatMatrix, number: int, chance: np.random.Generator) -> IntColumn:
    """Which of ``number`` clusters [n] each point belongs to: k-means++ (Arthur, Vassilvitskii 2007), then Lloyd."""
    draws = chance.random(number)
    centres = z[[int(draws[0] * len(z))]]
    for draw in draws[1:]:
        near = _distances(z, centres).min(axis=1)
        heap = np.cumsum(near)
        place = int(np.searchsorted(heap, draw * heap[-1], side="right")) if heap[-1] > 0 else 0
        centres = np.concatenate([centres, z[[min(place, len(z) - 1)]]])
    for _ in range(LLOYD_ITERATIONS):
        member = _distances(z, centres).argmin(axis=1)
        for cluster in np.unique(member):
            centres[cluster] = z[member == cluster].mean(axis=0)
    return np.asarray(_distances(z, centres).argmin(axis=1))


def _distances(z: FloatMatrix, centres: FloatMatrix) -> FloatMatrix:
    """Squared distances [n, K]."""
    return np.asarray(np.square(z[:, None] - centres[None]).sum(axis=2))
