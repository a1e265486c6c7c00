"""What a privacy loss means in a run: mechanism, delta, clipping norm and which data sets count as neighbours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import FloatColumn
from learning.privacy import mechanisms
from learning.privacy.mechanisms import NoiseLaw
from learning.registry import Registry


class NeighbouringRelation(StrEnum):
    """Between which data privacy hides the difference.

    ``replace_one``: any two data sets of an owner, so any two uploads of norm up to C: sensitivity 2 C. This is local
    privacy, against whoever sees the upload. ``add_remove``: an owner being part of a sum of uploads or not:
    sensitivity C.
    """

    REPLACE_ONE = "replace_one"
    ADD_REMOVE = "add_remove"

    def sensitivity(self, clip_norm: float) -> float:
        """The largest distance of two neighbouring releases, in the norm that is clipped."""
        return 2 * clip_norm if self is NeighbouringRelation.REPLACE_ONE else clip_norm


class NoiseMechanism(ABC):
    """From epsilon to noise and back. ``law``: the distribution of the noise."""

    law: ClassVar[NoiseLaw]

    @abstractmethod
    def noise_std(self, epsilon: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        """Standard deviation of the noise on each coordinate, for epsilon above 0."""

    @abstractmethod
    def epsilon(self, noise_std: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        """Its inverse, for noise above 0."""


NOISE_MECHANISMS: Registry[type[NoiseMechanism]] = Registry("noise mechanism")


@NOISE_MECHANISMS.register("gaussian_analytic")
class AnalyticGaussian(NoiseMechanism):
    """Gaussian noise, as little as (epsilon, delta) allows (Balle and Wang 2018)."""

    law = NoiseLaw.GAUSSIAN

    def noise_std(self, epsilon: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.gaussian_noise_multiplier(epsilon, delta) * sensitivity

    def epsilon(self, noise_std: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.gaussian_epsilon(np.asarray(noise_std) / sensitivity, delta)


@NOISE_MECHANISMS.register("gaussian_classical")
class ClassicalGaussian(NoiseMechanism):
    """Gaussian noise by the textbook formula, proved for epsilon up to 1 only (Dwork and Roth 2014)."""

    law = NoiseLaw.GAUSSIAN

    def noise_std(self, epsilon: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.classical_noise_multiplier(epsilon, delta) * sensitivity

    def epsilon(self, noise_std: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.classical_epsilon(np.asarray(noise_std) / sensitivity, delta)


@NOISE_MECHANISMS.register("laplace")
class Laplace(NoiseMechanism):
    """Laplace noise on updates clipped in the L1 norm; delta is 0 (Dwork et al. 2006)."""

    law = NoiseLaw.LAPLACE

    def noise_std(self, epsilon: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.laplace_noise_std(epsilon, sensitivity)

    def epsilon(self, noise_std: ArrayLike, delta: float, sensitivity: float) -> FloatColumn:
        return mechanisms.laplace_epsilon(noise_std, sensitivity)


@dataclass(frozen=True)
class PrivacyTerms:
    """How every release of a run is made private; per owner only epsilon differs.

    Attributes:
        clip_norm: C, above 0, in units of weights: L2 for Gaussian noise, L1 for Laplace.
        delta: the probability of failure, in (0, 1), the same for everybody. 1e-5 or less.
        noise_mechanism: a name in ``NOISE_MECHANISMS``.
        neighbouring_relation: which sensitivity the noise is for.

    Raises ``UnknownName`` and ``ValueError``.
    """

    clip_norm: float
    delta: float = 1e-5
    noise_mechanism: str = "gaussian_analytic"
    neighbouring_relation: NeighbouringRelation = NeighbouringRelation.REPLACE_ONE

    def __post_init__(self) -> None:
        mechanisms.positive("clip_norm", self.clip_norm)
        mechanisms.probability(self.delta)
        object.__setattr__(self, "neighbouring_relation", NeighbouringRelation(self.neighbouring_relation))
        _ = self.mechanism

    @property
    def mechanism(self) -> NoiseMechanism:
        """The mechanism of that name."""
        return NOISE_MECHANISMS[self.noise_mechanism]()

    @property
    def sensitivity(self) -> float:
        """The largest distance of two neighbouring clipped updates, in the norm that is clipped."""
        return self.neighbouring_relation.sensitivity(self.clip_norm)

    def noise_std(self, epsilon: ArrayLike) -> FloatColumn:
        """Standard deviation [K] of the noise on each weight, in units of weights, for losses epsilon [K].

        Infinite where epsilon is 0: an owner that sells no privacy has nothing to send, and ``LocalTerms`` refuses it.
        Raises ``ValueError`` for epsilon that is negative, infinite or NaN.
        """
        losses = np.asarray(epsilon, dtype=np.float64)
        std = np.full(losses.shape, np.inf)
        sells = losses != 0
        if sells.any():
            std[sells] = self.mechanism.noise_std(losses[sells], self.delta, self.sensitivity)
        return std

    def epsilon(self, noise_std: ArrayLike) -> FloatColumn:
        """The privacy loss [K] of one release with such noise [K]; 0 for infinite noise."""
        noise = np.asarray(noise_std, dtype=np.float64)
        losses = np.zeros(noise.shape)
        sends = noise != np.inf
        if sends.any():
            losses[sends] = self.mechanism.epsilon(noise[sends], self.delta, self.sensitivity)
        return losses

    def record(self) -> dict[str, Any]:
        """What a result has to say for its epsilon to mean something."""
        return {
            "neighbouring_relation": str(self.neighbouring_relation),
            "noise_mechanism": self.noise_mechanism,
            "delta": self.delta,
            "clip_norm": self.clip_norm,
        }
