"""How much the owners' data differ: in size and in the mix of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn


def emd(class_mix: NDArray[np.float64], global_mix: FloatColumn) -> FloatColumn:
    """Distance [S] of each owner's label mix [S, C] from the global one [C]: the sum of absolute differences.

    The earth mover's distance of Zhao et al. 2018 ("Federated learning with non-IID data", section 3.2), for the
    discrete metric and without the factor 1/2: in [0, 2 (1 - least global share)], which is 2 (1 - 1/C) for a
    uniform global mix. Raises ``ValueError`` for mixes that do not fit or do not sum to one.
    """
    if class_mix.ndim != 2 or global_mix.shape != class_mix.shape[1:]:
        raise ValueError(f"class mixes {list(class_mix.shape)} do not fit a global mix {list(global_mix.shape)}")
    for mix in (class_mix, global_mix):
        if (mix < 0).any() or not np.allclose(mix.sum(axis=-1), 1.0, rtol=0, atol=1e-9):
            raise ValueError("a label mix must be shares of at least 0 that sum to 1")
    return np.asarray(np.abs(class_mix - global_mix).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """``sizes`` [S] in samples, ``class_counts`` [S, C] in samples, ``emd`` [S] from the mix of all together."""

    sizes: IntColumn
    class_counts: NDArray[np.int64]
    emd: FloatColumn


def heterogeneity(parts: Sequence[IntColumn], labels: IntColumn, classes: int) -> Heterogeneity:
    """What a partition has made: ``parts`` are the sample indices of each owner, none empty, ``labels`` [n]."""
    if len(parts) == 0 or min(len(part) for part in parts) == 0:
        raise ValueError("a partition needs at least one part, and each part at least one sample")
    counts = np.array([np.bincount(labels[part], minlength=classes) for part in parts], dtype=np.int64)
    sizes = counts.sum(axis=1)
    return Heterogeneity(sizes, counts, emd(counts / sizes[:, None], counts.sum(axis=0) / sizes.sum()))
