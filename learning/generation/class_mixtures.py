"""A Gaussian mixture for every class, in a space of few dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn
from learning.generation.mixture import Mixture, fit_mixture

SAMPLES_PER_COMPONENT = 20
"""A class with fewer samples than this for each component gets fewer components."""
LEAST_VARIANCE = 1e-12
"""In every direction: so constant data stay computable."""

FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassMixtures:
    """A mixture for each class that was there, by label."""

    mixtures: dict[int, Mixture]

    @classmethod
    def fit(
        cls, z: FloatMatrix, labels: IntColumn, components: int, prior: float, chance: np.random.Generator
    ) -> ClassMixtures:
        """Mixtures of at most ``components`` Gaussians for points z [n, r] with labels [n].

        ``prior``: how many samples the covariance within classes, pooled over all, counts for in each component.
        """
        typical = within_classes(z, labels)
        found = {}
        for label in np.unique(labels).tolist():
            own = z[labels == label]
            number = min(components, max(1, len(own) // SAMPLES_PER_COMPONENT))
            found[label] = fit_mixture(own, number, typical, prior, chance)
        return cls(found)

    def points(self, labels: IntColumn, uniform: FloatColumn, normal: FloatMatrix) -> FloatMatrix:
        """Points [n, r] of classes [n] from uniform [n] and standard normal [n, r] numbers."""
        made = np.empty_like(normal)
        for label in np.unique(labels).tolist():
            rows = labels == label
            made[rows] = self.mixtures[label].points(uniform[rows], normal[rows])
        return made


def within_classes(z: FloatMatrix, labels: IntColumn) -> FloatMatrix:
    """Covariance [r, r] of points [n, r] within their classes; if each is alone in its class, that of all together.

    Positive definite: shrunk by a tenth towards a multiple of the identity, as it may come from few points.
    """
    moved = z - z.mean(axis=0)
    classes = np.unique(labels)
    if len(classes) < len(labels):
        for label in classes:
            rows = labels == label
            moved[rows] = z[rows] - z[rows].mean(axis=0)
    found = moved.T @ moved / max(1, len(z) - len(classes))
    variance = float(np.trace(found)) / len(found)
    return np.asarray(0.9 * found + max(0.1 * variance, LEAST_VARIANCE) * np.eye(len(found)))
