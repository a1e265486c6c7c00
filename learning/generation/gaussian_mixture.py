"""Class-conditional Gaussian mixtures in a principal subspace: the generator for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, IntColumn
from learning.generation.class_mixtures import ClassMixtures
from learning.generation.generator import GENERATORS, DataRange, check_labels, check_samples, known_classes
from learning.generation.subspace import Subspace, principal_subspace
from learning.streams import Streams


@GENERATORS.register("gaussian_mixture")
@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of Gaussians per class, in the principal directions of all own data; milliseconds on a CPU.

    What the ``rank`` directions leave out is left out, so images are a little smoother than real ones.

    Attributes:
        components: Gaussians per class, at most; a class has one for every 20 samples, at least one.
        rank: principal directions, at most.
        prior: samples that the covariance within classes, pooled over all own data, counts for in each component.
    """

    axes: ClassVar[tuple[int, ...]] = (1, 3)
    components: int = 4
    rank: int = 48
    prior: float = 5.0

    def __post_init__(self) -> None:
        if self.components < 1 or self.rank < 1:
            raise ValueError(f"components and rank must be at least 1, got {self.components} and {self.rank}")
        if not (np.isfinite(self.prior) and self.prior > 0):
            raise ValueError(f"prior must be a number above 0, got {self.prior}")

    def fit(self, x: Tensor, y: Tensor, classes: int, owner: int, counter: int, streams: Streams) -> FittedMixture:
        """See ``Generator.fit``. The time grows as n F ``rank``."""
        check_samples(self, x, y, classes)
        flat = x.reshape(len(x), -1).cpu().numpy().astype(np.float64)
        space = principal_subspace(flat, self.rank, streams.generator("mixture sketch", owner, counter))
        chance = streams.generator("mixture start", owner, counter)
        mixtures = ClassMixtures.fit(space.scores(flat), y.cpu().numpy(), self.components, self.prior, chance)
        return FittedMixture(space, mixtures, known_classes(y, classes), DataRange.of(x), tuple(x.shape[1:]))


@dataclass(frozen=True, eq=False)
class FittedMixture:
    """One mixture per known class, in coordinates of the subspace."""

    space: Subspace
    mixtures: ClassMixtures
    known: BoolColumn
    limits: DataRange
    shape: tuple[int, ...]

    def sample(self, labels: IntColumn, owner: int, counter: int, streams: Streams) -> Tensor:
        """See ``Fitted.sample``."""
        check_labels(labels, self.known)
        rank = self.space.basis.shape[1]
        uniform = streams.generator("mixture component", owner, counter).random(len(labels))
        normal = streams.generator("generated sample", owner, counter).standard_normal((len(labels), rank))
        made = self.space.samples(self.mixtures.points(labels, uniform, normal)).astype(np.float32)
        return self.limits.clip(torch.from_numpy(made).reshape(-1, *self.shape).to(self.limits.low.device))
