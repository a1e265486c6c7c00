"""What poor quality does to data: wrong labels, noisy features, missing classes, copies instead of samples.

All draws are made for every sample, whatever the rate. So of two qualities with the same stream the lower one
corrupts the same samples and more, in the same direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams


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


def replace_tokens(
    samples: NDArray[np.float32], rate: float, vocabulary: int, chance: np.random.Generator
) -> NDArray[np.float32]:
    """Token ids [n, length] of which each is, with probability ``rate``, one of the other ids, uniformly."""
    ids = flip_labels(samples.ravel().astype(np.int64), rate, vocabulary, chance)
    return ids.astype(np.float32).reshape(samples.shape)


def lost_classes(labels: IntColumn, share: float, chance: np.random.Generator) -> IntColumn:
    """Which classes of those in ``labels`` [n] are lost: ``share`` of them, rounded, by lot; at least one stays."""
    lot = chance.permutation(np.unique(labels))
    return np.sort(lot[: min(_rounded(share * len(lot)), len(lot) - 1)])


def usable_samples(
    indices: Sequence[IntColumn],
    labels: IntColumn,
    quality: FloatColumn,
    max_class_loss: float,
    streams: Streams,
) -> list[IntColumn]:
    """The samples of each shard that are left when poor quality has lost classes.

    ``indices``: one array per shard, into ``labels`` [n]. A shard of quality q loses the share (1 - q) *
    ``max_class_loss`` of its classes, with all their samples, so it shrinks. Drawn per shard number.
    """
    left = []
    for shard, part in enumerate(indices):
        share = (1.0 - float(quality[shard])) * max_class_loss
        lost = lost_classes(labels[part], share, streams.generator("class loss", shard))
        left.append(part[~np.isin(labels[part], lost)])
    return left


def copied_from(count: int, share: float, chance: np.random.Generator) -> IntColumn:
    """For each of ``count`` samples the one whose copy it is, itself if it is none.

    ``share`` of the samples, rounded, are copies; they are chosen by lot, as are the originals, which stay at least
    one.
    """
    lot, draws = chance.permutation(count), chance.random(count)
    copies = min(_rounded(share * count), count - 1)
    source = np.arange(count)
    source[lot[:copies]] = lot[copies + (draws[:copies] * (count - copies)).astype(np.int64)]
    return source


def noise_level(noisy: NDArray[np.float32], clean: NDArray[np.float32], spread: NDArray[np.float64]) -> float:
    """Root mean square of what was added to samples [n, *shape], in units of ``spread`` [*shape] where that is > 0."""
    varying = spread > 0
    if not varying.any():
        return 0.0
    added = (noisy - clean) / np.where(varying, spread, np.inf).astype(np.float32)
    return float(np.sqrt(np.square(added).sum(dtype=np.float64) / (len(clean) * varying.sum())))


def _rounded(number: float) -> int:
    return int(np.floor(number + 0.5))
