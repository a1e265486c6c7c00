"""What poor quality does to data: wrong labels and noisy features.

All draws are made for every sample, whatever the rate. So of two qualities with the same stream the lower one
corrupts the same samples and more, in the same direction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn


def flip_labels(labels: IntColumn, rate: float, classes: int, chance: np.random.Generator) -> IntColumn:
    """Labels [n] of which each is, with probability ``rate``, one of the other classes, uniformly."""
    flipped = chance.random(len(labels)) < rate
    step = chance.integers(1, classes, size=len(labels))
    return np.where(flipped, (labels + step) % classes, labels)


def add_noise(
    samples: NDArray[np.float32], spread: NDArray[np.float32], chance: np.random.Generator
) -> NDArray[np.float32]:
    """Samples [n, *shape] plus independent Gaussian noise of deviation ``spread`` [*shape]."""
    noise = chance.standard_normal(samples.shape, dtype=np.float32)
    return samples + noise * spread
